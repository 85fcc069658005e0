"""The names of a station's CSV files: of the one that is written, and of those before it."""

import re
from pathlib import PurePath

from flask10x.readings.stations import Station

SUFFIX = ".csv"
"""Of every station's file."""


def until(name: str, day: str, number: int = 1) -> str:
    """What a file of this name is called when it was written until that day, `2026-11-26`.

    `number` tells several of one day apart.
    """
    path = PurePath(name)
    return f"{path.stem}-until-{day}{f'-{number}' if number > 1 else ''}{path.suffix}"


def is_of(station: Station, name: str) -> bool:
    """Whether a file of this name is the station's: the one that is written, or one before it."""
    path = PurePath(station.csv_name)
    pattern = rf"{re.escape(path.stem)}(-until-\d{{4}}-\d\d-\d\d(-\d+)?)?{re.escape(path.suffix)}"
    return re.fullmatch(pattern, name) is not None


def renamed(station: Station, name: str, new_name: str) -> str:
    """What a file of the station is called when the one that is written is called `new_name`."""
    end = name.removeprefix(PurePath(station.csv_name).stem)
    return f"{PurePath(new_name).stem}{end}"
