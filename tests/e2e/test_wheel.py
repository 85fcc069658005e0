"""The wheel works without the checkout: it brings its migrations, templates and static files."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.e2e.service import PROJECT, Service, reserved_port

VENDOR = PROJECT / "flask10x" / "web" / "static" / "vendor"
CHARTS = "uPlot.iife.min.js"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but the installed wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(PROJECT))
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_holds_everything_and_nothing_else(installed: Path) -> None:
    names = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    assert {
        "flask10x/migrations/env.py",
        "flask10x/migrations/versions/0001_readings.py",
        "flask10x/web/templates/history.html",
        "flask10x/web/static/flask10x.css",
        "flask10x/py.typed",
    } <= names
    assert not [name for name in names if name.startswith(("tests", "migrations", "benchmarks"))]


@pytest.mark.skipif(not (VENDOR / CHARTS).is_file(), reason="needs `make static` (npm)")
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
            service.close()
