"""The wheel works without the checkout: it brings its migrations, templates and static files."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from flask10x import __version__
from tests.contract.test_lock import LOCKED
from tests.e2e.service import PROJECT, Service, reserved_port

VENDOR = PROJECT / "flask10x" / "web" / "static" / "vendor"
CHARTS = "uPlot.iife.min.js"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
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
        "flask10x/migrations/versions/0001_readings.py",
        "flask10x/locale/ja/LC_MESSAGES/flask10x.mo",
        "flask10x/web/templates/history.html",
        "flask10x/web/static/flask10x.css",
        "flask10x/py.typed",
    } <= names
    assert not [name for name in names if name.startswith(("tests", "migrations", "benchmarks"))]


@pytest.mark.skipif(not (VENDOR / CHARTS).is_file(), reason="needs `make static`")
def test_it_brings_the_charts_and_their_licence(installed: Path) -> None:
    brought = {path.name for path in (installed / VENDOR.relative_to(PROJECT)).iterdir()}
    assert brought == {CHARTS, "uPlot.min.css", "uPlot.LICENSE.txt"}


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
            assert service.get("/static/flask10x.css").status == 200
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
