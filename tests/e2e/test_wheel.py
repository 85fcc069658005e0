"""The wheel works without the checkout: it brings its migrations, templates and static files."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from flask10x import __version__
from tests.contract.test_lock import LOCKED
from tests.e2e.service import PROJECT, Service, reserved_port

VENDOR = PROJECT / "flask10x" / "web" / "static" / "vendor"
CHARTS = "uPlot.iife.min.js"

# They build and install for seconds.
pytestmark = pytest.mark.tools


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (VENDOR / CHARTS).is_file():
        pytest.skip("without the chart library there is no wheel: make static")
    folder = tmp_path_factory.mktemp("wheel")
    run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(PROJECT))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """A folder with nothing but the installed wheel."""
    site = wheel.parent / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def run(*arguments: str, python: str = sys.executable) -> str:
    """What Python prints, called with these arguments; it has to succeed."""
    done = subprocess.run(
        [python, *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_holds_everything_and_nothing_else(installed: Path) -> None:
    names = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    assert {
        "flask10x/migrations/env.py",
        "flask10x/migrations/versions/0019_schema.py",
        "flask10x/locale/ja/LC_MESSAGES/flask10x.mo",
        "flask10x/config/schemas/stations.schema.json",
        "flask10x/deploy/flask10x.service",
        "flask10x/deploy/flask10x.socket",
        "flask10x/deploy/flask10x.env",
        "flask10x/web/specification/openapi.json",
        "flask10x/web/pages/history/template.html",
        "flask10x/web/pages/history/script.js",
        "flask10x/web/static/flask10x.css",
        "flask10x/py.typed",
    } <= names
    assert not [name for name in names if name.startswith(("tests", "migrations", "benchmarks"))]


def test_it_brings_the_charts_and_their_licence(installed: Path) -> None:
    brought = {path.name for path in (installed / VENDOR.relative_to(PROJECT)).iterdir()}
    assert brought == {CHARTS, "uPlot.min.css", "uPlot.LICENSE.txt"}


@pytest.mark.parametrize("target", ["wheel", "sdist"])
def test_without_the_charts_nothing_is_built(tmp_path: Path, target: str) -> None:
    """Whoever installs it has no Makefile that could fetch them."""
    for name in ("hatch_build.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, tmp_path)
    (tmp_path / "migrations").mkdir()
    shutil.copytree(
        PROJECT / "flask10x", tmp_path / "flask10x", ignore=shutil.ignore_patterns("vendor")
    )
    there = tmp_path / VENDOR.relative_to(PROJECT)
    there.mkdir(parents=True)
    for name in (CHARTS, "uPlot.LICENSE.txt"):
        (there / name).write_text("x")
    build = [sys.executable, "-m", "hatchling", "build", "--target", target]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() == (
        f"Without the chart library no {target} is built: {VENDOR.relative_to(PROJECT)} has no"
        " uPlot.min.css. Fetch it first, with a network: make static"
    )
    (there / "uPlot.min.css").write_text("x")
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "dist").iterdir())) == 1


def test_it_serves(installed: Path, tmp_path: Path) -> None:
    with reserved_port() as port:
        service = Service(tmp_path, port, {})
        service.environment["PYTHONPATH"] = str(installed)
        # In safe-path mode Python does not put the current folder first, as an installed command.
        service.environment["PYTHONSAFEPATH"] = "1"
        service.start()
        try:
            where = service.run("-c", "import flask10x; print(flask10x.__file__)")
            assert where.stdout.startswith(str(installed))
            assert service.post("data", {"pressure": 1013.25, "temperature": 25.1}).status == 200
            assert service.get("/history").status == 200
            for name in ("flask10x.css", "history.js"):
                assert service.get(f"/static/{name}").status == 200
            service.stop()
            service.export()
            assert (service.csv_dir / "PicodataX.csv").read_bytes().count(b"\r\n") == 2
        finally:
            service.discard()


# A minute where packages come slowly; CI runs it by itself.
@pytest.mark.sqlite_only("the lock without the extra for PostgreSQL")
@pytest.mark.long
def test_it_installs_from_the_lock_alone(wheel: Path, tmp_path: Path) -> None:
    """As on a Pi: a new virtual environment, no package without a hash, no tool of developers."""
    python = str(tmp_path / "venv" / "bin" / "python")
    pip = ("-m", "pip", "--quiet")
    lock = str(PROJECT / "requirements.lock")
    run("-m", "venv", str(tmp_path / "venv"))
    run(*pip, "install", "--require-hashes", "--requirement", lock, python=python)
    run(*pip, "install", "--no-index", "--no-deps", str(wheel), python=python)

    run("-m", "pip", "check", python=python)
    there = json.loads(run("-m", "pip", "list", "--format", "json", python=python))
    versions = {
        re.sub("[._]", "-", package["name"].lower()): package["version"] for package in there
    }
    own = {"flask10x": __version__}
    assert LOCKED | own == {n: v for n, v in versions.items() if n not in ("pip", "setuptools")}

    with reserved_port() as port:
        service = Service(tmp_path, port, {})
        service.python = python
        del service.environment["PYTHONPATH"]
        service.starts_migrated = False
        try:
            said = service.run("-m", "flask10x", "--version").stdout
            assert said == f"flask10x, version {__version__}\n"
            assert service.run("-m", "flask10x", "migrate").returncode == 0
            service.start()
            assert service.get("/healthz").status == 200
        finally:
            service.discard()

    # The way of the manual, from the source: what builds it is in the lock too.
    source = ("--no-index", "--no-deps", "--no-build-isolation", "--force-reinstall", str(PROJECT))
    run(*pip, "install", *source, python=python)
    assert run("-m", "flask10x", "--version", python=python) == said


def interpreter(version: str) -> str:
    """One of this version, Debian's among them; the test is skipped where there is none."""
    candidates = (sys.executable, shutil.which(f"python{version}"), "/usr/bin/python3")
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    for python in filter(None, candidates):
        with suppress(OSError):
            done = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=False)
            if done.stdout.strip() == version:
                return python
    pytest.skip(f"Python {version} is not installed")


# Packages come from the index that pip is set to; CI runs it by itself.
@pytest.mark.sqlite_only("the wheel without the extra for PostgreSQL")
@pytest.mark.long
@pytest.mark.parametrize("version", ["3.11", "3.13"])
def test_it_serves_from_an_empty_environment_without_the_lock(
    wheel: Path, tmp_path: Path, version: str
) -> None:
    """As `pip install flask10x`: what the wheel asks for has to be all that it needs."""
    python = str(tmp_path / "venv" / "bin" / "python")
    run("-m", "venv", str(tmp_path / "venv"), python=interpreter(version))
    run("-m", "pip", "--quiet", "install", str(wheel), python=python)
    run("-m", "pip", "check", python=python)
    with reserved_port() as port:
        service = Service(tmp_path, port, {})
        service.python = python
        del service.environment["PYTHONPATH"]
        service.environment["PYTHONSAFEPATH"] = "1"
        service.starts_migrated = False
        try:
            service.start()
            assert service.post("data", {"pressure": 1013.25, "temperature": 25.1}).status == 200
            service.wait_for_rows(1)
            assert json.loads(service.get("/history/json").body)[0]["data"] == {
                "pressure": 1013.25,
                "temperature": 25.1,
            }
            page = service.get("/history").body.decode()
            assert "make " not in re.sub("<[^>]+>", "", page)
            (script,) = re.findall(rf'src="([^"]*/{re.escape(CHARTS)}[^"]*)"', page)
            charts = service.get(script)
            assert charts.status == 200
            assert charts.body == (VENDOR / CHARTS).read_bytes()
            service.stop()
        finally:
            service.discard()
