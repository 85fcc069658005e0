"""What commands say of columns that `stations.toml` names and the database lacks."""

from pathlib import Path

import pytest

from flask10x.config import settings
from flask10x.database.paths import shown_name
from tests.commands.test_main import run
from tests.support import databases
from tests.support.databases import environment_of
from tests.support.rows import execute

BALCONY = """
[stations.balcony]
label = "Balcony"
[stations.balcony.measurements.temperature]
unit = "°C"
[stations.balcony.measurements.soil_wet]
unit = "%"
[stations.balcony.measurements.soil_salt]
unit = ""
"""
CO2 = """
[stations.balcony.measurements.co2]
unit = "ppm"
"""


def test_columns_of_the_file_are_missed_and_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in environment_of(tmp_path).items():
        monkeypatch.setenv(name, value)
    file, path = tmp_path / "stations.toml", tmp_path / databases.FILE_NAME
    databases.lay_empty_database(path)
    database = shown_name(settings.load())
    assert run("migrate") == 0
    file.write_text(BALCONY, encoding="utf-8")
    capsys.readouterr()
    assert run("rollups") == 1
    assert capsys.readouterr().err == (
        f"flask10x: {database} lacks columns that {file} names: soil_wet, soil_salt;"
        " reload or restart the service, or run: flask10x migrate\n"
    )
    assert run("migrate") == 0
    added, version = capsys.readouterr().out.splitlines()
    assert added == "columns added for the stations: soil_wet, soil_salt"
    assert version.startswith(f"{database} is at version ")
    assert run("rollups") == 0
    # No new column, but a measurement that this station has not had.
    file.write_text(BALCONY + CO2, encoding="utf-8")
    capsys.readouterr()
    assert run("rollups", "--rebuild") == 1
    assert capsys.readouterr().err == (
        f"flask10x: the rollups are not yet those of the measurements in {file};"
        " restart the service, or run: flask10x migrate\n"
    )
    assert run("migrate") == 0
    assert run("rollups") == 0
    # Nor does a check find anything wrong with them, also when no station has them any more.
    file.unlink()
    execute(path, "INSERT INTO readings (endpoint, received_at, soil_wet) VALUES ('x', 0, 1)")
    capsys.readouterr()
    assert run("check", "--full") == 0
    assert "FAIL" not in capsys.readouterr().out
