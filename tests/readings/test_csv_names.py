"""Which files are a station's by their names."""

import pytest

from flask10x.readings import csv_lines
from flask10x.readings.stations import BUILT_IN

BEDROOM = BUILT_IN.by_endpoint["data2"]


@pytest.mark.parametrize(
    ("name", "is_its"),
    [
        ("BedRoomEnv.csv", True),
        ("BedRoomEnv-until-2026-11-26.csv", True),
        ("BedRoomEnv-until-2026-11-26-12.csv", True),
        ("BedRoomEnv.csv.old", False),
        ("BedRoomEnv-until-2026.csv", False),
        ("old BedRoomEnv.csv", False),
        ("OutsideEnv-until-2026-11-26.csv", False),
    ],
)
def test_whose_file_it_is(name: str, is_its: bool) -> None:
    assert csv_lines.is_name_of(BEDROOM, name) == is_its


def test_the_name_of_a_file_that_was_written_until_a_day() -> None:
    assert csv_lines.archived_name("LR.env.csv", "2026-11-26") == "LR.env-until-2026-11-26.csv"
    assert csv_lines.archived_name("LR.csv", "2026-11-26", 3) == "LR-until-2026-11-26-3.csv"
