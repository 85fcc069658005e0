"""Old files to import, and what the database holds afterwards as a second connection sees it."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.importing.importer import ImportOptions, ImportOutcome, import_file
from tests.support.rows import select

PICO = "current_time,Pressure,Tempereture"
NAME = "PicodataX.csv"

Line = tuple[str, float | None]


def write(path: Path, *lines: str, header: str = PICO, end: str = "\r\n") -> Path:
    path.write_bytes("".join(f"{line}{end}" for line in (header, *lines)).encode())
    return path


def run(
    settings: Settings,
    database: Database,
    path: Path,
    advance: Callable[..., object] = lambda _: None,
    **options: Any,
) -> tuple[int, int, int]:
    """Import: how many rows were stored, were there already, were rejected."""
    outcome: ImportOutcome = import_file(
        settings, database, path, ImportOptions(**options), advance
    )
    return outcome.stored, outcome.present, outcome.rejected


def stored(database: Database) -> list[tuple[Any, ...]]:
    """The rows of `data` in the order of their ids: received_at, pressure, temperature."""
    sql = "SELECT received_at, pressure, temperature FROM readings WHERE endpoint = 'data'"
    return select(database.path, f"{sql} ORDER BY id")


def local_rows(database: Database, zone: ZoneInfo, condition: str = "1 = 1") -> Counter[Line]:
    """How often each local second with its pressure is stored for `data`."""
    sql = f"SELECT received_at, pressure FROM readings WHERE endpoint = 'data' AND {condition}"
    return Counter(
        (f"{datetime.fromtimestamp(ms // 1000, zone):%Y-%m-%d %H:%M:%S}", pressure)
        for ms, pressure in select(database.path, sql)
    )


def imported_ranges(database: Database) -> list[tuple[int, int, int]]:
    """The recorded ranges: first id, last id, the id that they stand after."""
    return select(database.path, "SELECT first_id, last_id, after_id FROM imports ORDER BY id")
