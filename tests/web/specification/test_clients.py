"""Generators of clients take the specification without a warning."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.readings.stations import BUILT_IN, Stations
from tests.support.stations import HOUSE
from tests.web.specification.test_specification import specification

pytestmark = pytest.mark.tools

ROOT = Path(__file__).resolve().parents[3]
BIN = ROOT / "node_modules" / ".bin"
# As docs/en/howto/use-the-api.md does it for another station.
USE = """
from flask_10x_client import Client
from flask_10x_client.api.read import latest
from flask_10x_client.api.send import send_data3, write_v1
from flask_10x_client.models import ReadingData3, Station
reading = ReadingData3(temperature=30.2, humidity=61, pressure=1009.8, gas_res="8.5kΩ")
print(sorted(reading.to_dict()), Station.DATA3, latest.sync.__name__, send_data3.sync.__name__)
"""


def with_channel(stations: Stations) -> Stations:
    """The same, of which the first has a channel of Ambient and its first value another name."""
    first, *others = stations.all
    value, *values = first.measurements
    value = replace(value, ambient="d1", aliases=("env.value",))
    first = replace(first, ambient_channel="12345", measurements=(value, *values))
    return Stations((first, *others))


@pytest.fixture(params=["built in", "more", "partial"])
def document(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Path:
    """The specification of a house in a file."""
    if request.param != "built in":
        settings = replace(settings, stations=with_channel(HOUSE))
    if request.param == "partial":
        every = frozenset(settings.stations.by_endpoint)
        settings = replace(settings, partial_readings=every)
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(specification(settings)), encoding="utf-8")
    return file


def run(*command: str | Path) -> str:
    """What the command writes; it has to succeed."""
    # The generator looks for ruff beside its Python.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "NO_COLOR": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=200, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.skipif(not find_spec("openapi_python_client"), reason="make tools installs it")
def test_openapi_python_client(document: Path, tmp_path: Path) -> None:
    client = tmp_path / "client"
    generator = (sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning")
    written = run(*generator, "--path", document, "--output-path", client)
    assert "warning" not in written.lower(), written
    used = run(sys.executable, "-c", f"import sys; sys.path.insert(0, {str(client)!r}){USE}")
    assert used == "['gas_res', 'humidity', 'pressure', 'temperature'] data3 sync sync\n"


@pytest.mark.skipif(not (BIN / "openapi-typescript").exists(), reason="npm ci installs it")
def test_openapi_typescript(document: Path, tmp_path: Path) -> None:
    types = tmp_path / "flask10x.ts"
    first, *lines = run(BIN / "openapi-typescript", document, "--output", types).splitlines()
    assert "openapi-typescript" in first
    assert [line for line in lines if str(document) not in line and line] == []
    run(BIN / "tsc", "--noEmit", "--strict", types)
    text = types.read_text(encoding="utf-8")
    assert all(f'"/{station.endpoint}": {{' in text for station in BUILT_IN.all)
