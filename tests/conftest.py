"""Fixtures in a chain, each on `tmp_path`: settings -> database -> writer -> app -> client."""

import functools
import gc
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, event
from werkzeug.routing import Rule

from flask10x.config import environment_file
from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.paths import database_path
from flask10x.readings.parse import Reading
from flask10x.recording.writer import Writer
from flask10x.runtime.store import Store
from flask10x.system import logs
from flask10x.system.gauges import Gauges
from flask10x.web.app import create_app
from tests.support import bedroom, commands, databases, postgres, skips, variants
from tests.support.html import MINUTE, NINE
from tests.support.new_database import lay_new_database

# A deadline for each example would be an assertion about the wall clock.
hypothesis.settings.register_profile(
    "flask10x", deadline=None, max_examples=databases.examples(100)
)
hypothesis.settings.load_profile("flask10x")

# Commands speak the language of the developer's machine otherwise; tests/commands/test_japanese.py
# asks for Japanese.
os.environ["LANGUAGE"] = "en"
# Nor do messages of alerts.
os.environ["LANG"] = "C.UTF-8"
for name in ("LC_ALL", "LC_MESSAGES"):
    os.environ.pop(name, None)
# Nor do tests, and what they start, take settings of the developer's shell, or read those of a
# service that this machine has.
for _name in [name for name in os.environ if name.startswith(environment_file.PREFIX)]:
    del os.environ[_name]
os.environ[environment_file.VARIABLE] = ""
# Nor do they inherit that SIGINT is ignored, as it is for what a shell or `nohup` starts in the
# background: the program rightly leaves it so, and a test that presses Ctrl+C would wait in vain.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Where pytest makes the folders of tests, unless somebody says so: a COMMIT waits for the disk, and
# tests make tens of thousands.
if memory := postgres.in_memory():
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))
postgres.announce()
databases.check_engine()
event.listen(Engine, "before_cursor_execute", databases.refuse_fractions_as_whole_numbers)

# Tests make thousands of applications, and each would compile its templates and routes: of the
# 100 ms of processor time that a page takes then, 10 remain. What has another source or other
# parts is compiled. The import reads the settings of the environment, so it comes after the above.
from flask10x.server.templates import CompiledTemplates  # noqa: E402

Flask.jinja_options = {"bytecode_cache": CompiledTemplates()}
_compile, _compiled = Rule.compile, dict[str, dict[str, Any]]()
# What Rule.compile makes; it is bound to no application but by its functions.
_OF_COMPILE = ("_parts", "_trace", "_converters", "_build", "_build_unknown", "arguments")


def _compile_once(rule: Rule) -> None:
    key = repr((rule.rule, rule.subdomain, rule.host, rule.defaults, rule.merge_slashes))
    if key not in _compiled:
        _compile(rule)
        _compiled[key] = {name: vars(rule)[name] for name in _OF_COMPILE}
    made = _compiled[key]
    builders = {name: made[name].__func__.__get__(rule) for name in ("_build", "_build_unknown")}
    vars(rule).update(made | builders)


setattr(Rule, "compile", _compile_once)  # noqa: B010

# A machine that is full of tests may take longer for a page than a home waits for one.
PATIENT = {"QUERY_TIMEOUT_SEC": "60"}
# They take half a minute and more each. What a process begins with is not left over at the end,
# when the others have nothing to do.
LONGEST = ("tests/simulated_month/", "tests/e2e/test_specification.py")
# The threads of a store that is closed.
ENDING = ("writer", "monitor", "alerts")
MakeSettings = Callable[..., Settings]
MakeApp = Callable[..., Flask]


def pytest_configure(config: pytest.Config) -> None:
    """Let a test that is skipped fail, where only listed reasons count."""
    if os.environ.get(skips.ASKED) == skips.LISTED:
        config.pluginmanager.register(skips)


@pytest.fixture(autouse=True, scope="session")
def markers_apart() -> Iterator[None]:
    """No test, nor any process of one, leaves or finds a marker of its database in this home."""
    # Not by a fixture for folders: on PostgreSQL only tests that have one are run.
    of_the_user = Path("~/.local/state/flask10x").expanduser()
    before = set(of_the_user.glob("*"))
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for name in commands.OF_MARKERS:
            patch.setenv(name, folder)
        yield
    # Folders of tests get their names again, and a test that begins in one would miss a database.
    left = [marker.read_text() for marker in set(of_the_user.glob("*")) - before]
    assert not [text for text in left if "/pytest-of-" in text]


@pytest.fixture(autouse=True)
def nothing_left_running() -> Iterator[None]:
    """A test that leaves a writer or monitor thread behind fails."""
    before = set(threading.enumerate())
    yield
    left = [t.name for t in set(threading.enumerate()) - before if t.name in ENDING]
    assert not left


@pytest.fixture(autouse=True)
def databases_dropped(request: pytest.FixtureRequest) -> Iterator[None]:
    """On PostgreSQL the databases of a test go with it."""
    if not databases.ON_POSTGRES or "tmp_path" not in request.fixturenames:
        yield
        return
    folder: Path = request.getfixturevalue("tmp_path")
    yield
    databases.drop_below(folder)


@pytest.fixture(scope="session")
def bedroom_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the old server: 20,000 rows of nine days of the made-up bedroom."""
    path = tmp_path_factory.mktemp("bedroom") / bedroom.NAME
    path.write_bytes(bedroom.old_file())
    return path


@pytest.fixture
def make_settings(tmp_path: Path) -> MakeSettings:
    """Settings on `tmp_path`, with whatever is given set as the environment would set it."""

    def make(**given: object) -> Settings:
        values = {"DATA_DIR": str(tmp_path), "TIMEZONE": "Asia/Tokyo", **PATIENT} | given
        environment = {f"FLASK10X_{k}": str(v) for k, v in values.items()}
        own = databases.variables(Path(environment["FLASK10X_DATA_DIR"]))
        return settings_module.load(own | environment)

    return make


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    return make_settings()


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    lay_new_database(database_path(settings))
    database = Database(settings)
    yield database
    database.close()


@pytest.fixture
def app(settings: Settings, database: Database) -> Iterator[Flask]:
    """The application with its writer not started: tests call `writer.step()`."""
    logs.configure(settings)
    app = create_app(settings)
    yield app
    store: Store = app.extensions["flask10x"]
    store.close()


@pytest.fixture
def make_app(make_settings: MakeSettings) -> Iterator[MakeApp]:
    """Further applications with settings of their own, their writers not started."""
    apps: list[Flask] = []

    def make(**given: Any) -> Flask:
        apps.append(create_app(make_settings(**given)))
        return apps[-1]

    yield make
    for app in apps:
        app.extensions["flask10x"].close()


@pytest.fixture
def store(app: Flask) -> Store:
    store: Store = app.extensions["flask10x"]
    return store


@pytest.fixture
def writer(store: Store) -> Writer:
    return store.writer


@pytest.fixture
def gauges(store: Store) -> Gauges:
    return store.gauges


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def four(writer: Writer) -> None:
    """One reading of each station, a minute apart; the two of 09:02 and 09:03 have gaps."""
    for reading in (
        Reading("data", NINE, (1013.25, 25.1)),
        Reading("data2", NINE + MINUTE, (650.0, 26.5, 48.0, 996.5, 5419.0)),
        Reading("data3", NINE + 2 * MINUTE, (30.20312, 61.0, 994.5, None)),
        Reading("data4", NINE + 3 * MINUTE, (612.0, 433.0, 0.00001, None, 26.0, 52.0)),
    ):
        writer.submit(reading)
    writer.step()


@functools.cache
def _source(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not of the engine of this run, and begin with the longest.

    This comes before pytest chooses by `-m`, so that it knows which tests are variants.
    """
    variants.mark(items)
    for item in items:
        # `make tools` finds files by this word.
        if item.get_closest_marker("tools") and "mark.tools" not in _source(item.path):
            raise pytest.UsageError(f"{item.nodeid}: write `pytest.mark.tools` in its own file")
    databases.keep_what_is_of_the_engine(config, items)
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the collector from visiting thousands of tests and all modules again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
