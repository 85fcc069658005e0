"""The altitude of the house reaches the stations that have none of their own."""

from pathlib import Path

from flask10x.config import settings
from flask10x.readings.stations import BUILT_IN


def test_a_station_of_its_own_altitude_keeps_it(tmp_path: Path) -> None:
    file = tmp_path / "stations.toml"
    file.write_text("[stations.data]\naltitude_m = 0\n", encoding="utf-8")
    found = settings.load({"FLASK10X_STATIONS": str(file), "FLASK10X_ALTITUDE_M": "35.5"})
    assert [s.altitude_m for s in found.stations.all] == [0, 35.5, 35.5, 35.5]
    assert found.stations.file == str(file)


def test_without_one_nobody_has_any() -> None:
    found = settings.load({}, stations=BUILT_IN)
    assert found.stations is BUILT_IN
    assert all(s.altitude_m is None for s in found.stations.all)
