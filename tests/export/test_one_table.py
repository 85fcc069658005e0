"""From a database of before `csv_files` each state of a file is taken over.

The next export goes on. The states are made by exports that die at a commit, or after some of the
bytes.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import alembic.command
import pytest
from alembic.config import Config

from flask10x.config.settings import Settings
from flask10x.database import schema
from flask10x.database.database import Database
from flask10x.database.tables import csv_files
from flask10x.export import append, rebuild, target
from flask10x.export.append import export
from flask10x.export.file import CsvFile
from flask10x.export.verify import verify
from flask10x.readings.stations import BUILT_IN, Stations
from tests.support.csv_folder import HEADER, NAME, csv_file, database_file, imported, lines, store
from tests.support.rows import execute, select

PICO = BUILT_IN.by_endpoint["data"]
BEFORE = "0020"


class Died(BaseException):
    """The process, at this place."""


def dying(commits: int, patch: pytest.MonkeyPatch, module: Any) -> None:
    """Die before the commit that comes after so many."""
    left, save = [commits], target.save_state

    def die(*arguments: Any, **named: Any) -> None:
        if not left[0]:
            raise Died
        left[0] -= 1
        save(*arguments, **named)

    patch.setattr(module, "save_state", die)


def partly(share: float, patch: pytest.MonkeyPatch) -> None:
    """Die when so much of the bytes is in the file."""

    def die(file: CsvFile, data: bytes, _start: int) -> None:
        with open(file.path, "ab") as opened:
            opened.write(data[: int(len(data) * share)])
        raise Died

    patch.setattr(CsvFile, "append", die)


def none(settings: Settings, database: Database, patch: pytest.MonkeyPatch) -> bytes:
    """An export that came to its end."""
    return HEADER + lines(0, 1, 2, 3)


def appending(share: float) -> "Phase":
    """It has written so much of the new bytes."""

    def run(settings: Settings, database: Database, patch: pytest.MonkeyPatch) -> bytes:
        partly(share, patch)
        with pytest.raises(Died):
            export(settings, database)
        return HEADER + lines(0, 1, 2, 3)

    return run


def rebuilding(commits: int) -> "Phase":
    """A rebuild with an imported row has died before a commit: its file lies beside or not."""

    def run(settings: Settings, database: Database, patch: pytest.MonkeyPatch) -> bytes:
        imported(settings, 3, 3, after=1)
        dying(commits, patch, rebuild)
        with pytest.raises(Died):
            rebuild.rebuild(settings, database, [PICO])
        return HEADER + (lines(0, 2, 1, 3) if commits else lines(0, 1, 3))

    return run


def moved_away(settings: Settings, database: Database, patch: pytest.MonkeyPatch) -> bytes:
    """A file was archived, and one has followed."""
    csv_file(settings).unlink()
    export(settings, database)
    return HEADER + lines(2, 3)


def set_aside(commits: int) -> "Phase":
    """The columns have changed, and an export dies while it sets the file aside."""

    def run(settings: Settings, database: Database, patch: pytest.MonkeyPatch) -> bytes:
        changed = replace(PICO, measurements=PICO.measurements[:1])
        other = replace(settings, stations=Stations((changed,)))
        dying(commits, patch, append)
        with pytest.raises(Died):
            export(other, database)
        return b""

    return run


def with_floor(settings: Settings, database: Database, patch: pytest.MonkeyPatch) -> bytes:
    """Readings were removed below the floor of the file."""
    execute(
        database_file(settings),
        "UPDATE csv_files SET floor_last_id = 1, floor_size_bytes = 69, floor_checksum = 7",
    )
    return HEADER + lines(0, 1, 2, 3)


Phase = Callable[[Settings, Database, pytest.MonkeyPatch], bytes]
PHASES: dict[str, Phase] = {
    "none": none,
    **{f"append {share}": appending(share) for share in (0, 0.4, 1)},
    **{f"rebuild {commits}": rebuilding(commits) for commits in (0, 1)},
    "moved away": moved_away,
    **{f"set aside {commits}": set_aside(commits) for commits in (0, 1, 2, 3)},
    "floor": with_floor,
}


@pytest.mark.parametrize("phase", PHASES)
def test_every_state_is_taken_over(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    path = database_file(settings)
    store(settings, 0, 1)
    export(settings, database)
    store(settings, 2, 3)
    with monkeypatch.context() as patch:
        expected = PHASES[phase](settings, database, patch)
    before = rows(settings)
    config = Config(attributes={"settings": settings})
    config.set_main_option("script_location", str(schema.migrations()))
    alembic.command.downgrade(config, BEFORE)
    intents = select(path, "SELECT name FROM export_intents")
    assert len(intents) == sum(row["intent_to_id"] is not None for row in before)
    schema.upgrade(settings)
    assert rows(settings) == before
    if expected:
        with closing(Database(settings)) as opened:
            outcomes = {outcome.path.name: outcome for outcome in export(settings, opened)}
            assert not outcomes[NAME].failed, outcomes[NAME].text
            assert csv_file(settings).read_bytes() == expected
            assert phase == "floor" or not verify(settings, opened, [PICO])[0].failed


def rows(settings: Settings) -> list[dict[str, object]]:
    """The table, without the ids."""
    names = [column.name for column in csv_files.c if column.name != "id"]
    query = f"SELECT {', '.join(names)} FROM csv_files ORDER BY kind, name, last_id"
    kept = [dict(zip(names, row, strict=True)) for row in select(database_file(settings), query)]
    for row in kept:
        # How the time of its last row is written was kept nowhere.
        if row["kind"] == "archived":
            row["last_time"] = None
    return kept
