"""Old readings go only once every follower has finished with them, and nothing else is lost."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection

from flask10x.config.settings import Settings
from flask10x.database import removed
from flask10x.database.database import Database
from flask10x.export import only_copies, removable
from flask10x.export.append import export
from flask10x.export.rebuild import rebuild
from flask10x.export.verify import verify
from flask10x.history import days, rollups
from flask10x.importing.importer import import_file
from flask10x.readings.obstacles import Obstacle
from flask10x.readings.stations import BUILT_IN
from flask10x.runtime import removal
from flask10x.runtime.removal import Removal, StationRemoval
from flask10x.system.locks import FileLock, lock_path
from tests.support import compared_rollups
from tests.support.csv_folder import (
    FIRST_MS,
    HEADER,
    csv_file,
    imported,
    lines,
    put,
    store,
)
from tests.support.rows import execute, select
from tests.support.stations import with_measurement

ZONE = ZoneInfo("Asia/Tokyo")
PICO = BUILT_IN.by_endpoint["data"]
IDS = "SELECT id FROM readings ORDER BY id"


def old(number: int) -> int:
    """Readings before this one are old."""
    return FIRST_MS + 1000 * number


def ids(database: Database) -> list[int]:
    return [number for (number,) in select(database.path, IDS)]


def sums_of(database: Database) -> list[tuple[object, ...]]:
    return [
        row
        for table in ("rollups", "rollup_days")
        for row in select(database.path, f"SELECT * FROM {table} ORDER BY 1, 2, 3")
    ]


def follow(database: Database) -> None:
    while rollups.follow(BUILT_IN, database):
        pass
    while days.follow(BUILT_IN, database, ZONE, rollups.save_at_once):
        pass


def proven(settings: Settings, database: Database) -> str:
    """What --verify says of a file that is right."""
    outcome = verify(settings, database, [PICO])[0]
    assert not outcome.failed, outcome.text
    return outcome.text


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "PIECE_ROWS", 3)
    monkeypatch.setattr("flask10x.export.rows.PAGE_ROWS", 2)


@pytest.fixture
def finished(settings: Settings, database: Database) -> StationRemoval:
    """Two rows of the old server, eight of ours that every follower has finished with."""
    put(settings, HEADER + lines(0, 1))
    store(settings, *range(2, 10))
    assert export(settings, database, [PICO])[0].rows == 8
    follow(database)
    return StationRemoval(settings, database, PICO)


def all_steps(station: StationRemoval, kept_since_ms: int) -> int:
    """Remove all that may go; how many readings that were."""
    total = 0
    while True:
        done = station.step(kept_since_ms)
        total += done.readings
        if not done.is_more:
            return total


def test_old_readings_go_a_piece_at_a_time(
    settings: Settings, database: Database, finished: StationRemoval
) -> None:
    before, content = sums_of(database), csv_file(settings).read_bytes()
    assert finished.step(old(7)) == Removal(readings=3, is_more=True)
    assert ids(database) == [4, 5, 6, 7, 8]
    assert finished.step(old(7)) == Removal(readings=2)
    assert finished.step(old(7)) == Removal()
    assert ids(database) == [6, 7, 8]
    assert select(database.path, "SELECT * FROM removed") == [("data", 5, old(6) + 123, 5)]
    assert sums_of(database) == before
    assert csv_file(settings).read_bytes() == content
    assert "7 rows of removed readings have their checksum" in proven(settings, database)
    assert not [
        d for looked in compared_rollups.hours(BUILT_IN, database) for d in looked.differences
    ]


def test_only_sums_of_measurements_are_kept(settings: Settings, database: Database) -> None:
    """And those of former times, of which a file that was set aside has the values."""
    stations = BUILT_IN
    for name in ("noise", "dust"):
        execute(database.path, f"ALTER TABLE readings ADD COLUMN {name} REAL")
        measurement = replace(PICO.measurements[0], path=name, column=name, csv_header=name)
        stations = with_measurement(stations, "data", measurement)
    former = stations.by_endpoint["data"]
    store(settings, *range(2, 10))
    execute(database.path, "UPDATE readings SET noise = 40 WHERE id = 2")
    execute(database.path, "UPDATE readings SET dust = 7 WHERE id = 4")
    export(replace(settings, stations=stations), database, [former])
    export(settings, database, [PICO])
    follow(database)
    assert all_steps(StationRemoval(settings, database, PICO), old(7)) == 5
    kept = "SELECT measurement, readings, count FROM removed_hours ORDER BY 1"
    # What a column of former times has is kept, and what the station never had is not.
    expected = [("dust", 5, 1), ("noise", 5, 1), ("pressure", 5, 5), ("temperature", 5, 5)]
    assert select(database.path, kept) == expected


def test_the_last_reading_of_a_station_stays(database: Database, finished: StationRemoval) -> None:
    assert all_steps(finished, old(1000)) == 7
    assert ids(database) == [8]


def test_what_is_not_rolled_up_or_exported_stays(
    settings: Settings, database: Database, finished: StationRemoval
) -> None:
    store(settings, 10, 11, 12)
    assert all_steps(finished, old(1000)) == 8
    assert export(settings, database, [PICO])[0].rows == 3
    assert all_steps(finished, old(1000)) == 0
    follow(database)
    assert all_steps(finished, old(1000)) == 2
    assert ids(database) == [11]
    proven(settings, database)


def test_a_newer_reading_holds_up_those_behind_it(
    settings: Settings, database: Database, finished: StationRemoval
) -> None:
    execute(database.path, f"UPDATE readings SET arrived_at = {old(90)} WHERE id = 2")
    assert all_steps(finished, old(80)) == 1
    assert ids(database) == [2, 3, 4, 5, 6, 7, 8]
    assert all_steps(finished, old(91)) == 6


def test_other_stations_keep_theirs(database: Database, settings: Settings) -> None:
    for number in range(4):
        store(settings, number)
        execute(
            database.path,
            "INSERT INTO readings (endpoint, received_at, temperature)"
            f" VALUES ('data3', {old(number)}, 1)",
        )
    assert export(settings, database, [PICO])[0].rows == 4
    follow(database)
    assert all_steps(StationRemoval(settings, database, PICO), old(90)) == 3
    assert ids(database) == [2, 4, 6, 7, 8]


@pytest.mark.sqlite_only("counts the steps of its machine")
def test_rows_of_others_cost_a_removal_nothing(
    settings: Settings,
    database: Database,
    finished: StationRemoval,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It deletes its own by their ids: between them may lie millions, and the writers wait."""
    columns, of_others = "endpoint, received_at, temperature", 20_000
    execute(
        database.path,
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {of_others})"
        f" INSERT INTO readings ({columns}) SELECT 'data3', {old(3)}, 1 FROM n",
    )
    store(settings, 10, 11)
    assert export(settings, database, [PICO])[0].rows == 2
    follow(database)
    thousands_of_steps: list[None] = []

    def handled(connection: Connection, handler: Callable[[], None] | None) -> None:
        raw = connection.connection.dbapi_connection
        assert raw is not None
        raw.set_progress_handler(handler, 1000)

    def kept(connection: Connection, rows: Any, keep: Any = removed.keep_removed_hours) -> None:
        keep(connection, rows)
        handled(connection, lambda: thousands_of_steps.append(None))

    def noted(connection: Connection, *arguments: Any, note: Any = removed.note_removed) -> None:
        handled(connection, None)
        note(connection, *arguments)

    monkeypatch.setattr(removed, "keep_removed_hours", kept)
    monkeypatch.setattr(removed, "note_removed", noted)
    assert all_steps(finished, old(90)) == 9
    assert len(thousands_of_steps) < 5


Change = Callable[[Settings, Database], object]
FLOORS = "SELECT floor_size_bytes FROM csv_files WHERE floor_last_id IS NOT NULL"
OBSTACLES: dict[str, tuple[Change, Obstacle]] = {
    "never exported": (
        lambda _, database: execute(database.path, "DELETE FROM csv_files"),
        "never_exported",
    ),
    "interrupted": (
        lambda _, database: execute(
            database.path,
            "UPDATE csv_files SET intent_from_id = 9, intent_to_id = 9, intent_start_offset = 0,"
            " intent_length = 0, intent_sha256 = ''"
            " WHERE name = 'PicodataX.csv'",
        ),
        "interrupted",
    ),
    "gone": (lambda settings, _: csv_file(settings).unlink(), "file_gone"),
    "changed": (
        lambda settings, _: csv_file(settings).write_bytes(HEADER + lines(0, 1, 2)),
        "file_changed",
    ),
}


@pytest.mark.parametrize("name", OBSTACLES)
def test_nothing_goes_without_a_file_that_has_it(
    settings: Settings, database: Database, finished: StationRemoval, name: str
) -> None:
    change, obstacle = OBSTACLES[name]
    change(settings, database)
    assert finished.step(old(90)) == Removal(obstacle=obstacle)
    assert len(ids(database)) == 8


def test_nothing_goes_in_another_zone(
    settings: Settings, database: Database, finished: StationRemoval
) -> None:
    other = StationRemoval(replace(settings, timezone="UTC"), database, PICO)
    assert other.step(old(90)) == Removal(obstacle="other_zone")
    assert len(ids(database)) == 8


def test_nothing_goes_that_the_file_says_otherwise(
    database: Database, finished: StationRemoval
) -> None:
    execute(database.path, "UPDATE readings SET pressure = 1 WHERE id = 2")
    done = finished.step(old(90))
    assert " instead of " in done.difference
    assert done == Removal(difference=done.difference)
    assert len(ids(database)) == 8
    assert select(database.path, FLOORS) == []


def test_nothing_goes_during_an_export(database: Database, finished: StationRemoval) -> None:
    lock = FileLock(lock_path(database.path, "export"))
    assert lock.try_acquire()
    assert finished.step(old(90)) == Removal()
    lock.close()
    assert finished.step(old(90)).readings == 3


def test_a_row_that_changed_meanwhile_keeps_all(
    database: Database, finished: StationRemoval, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Roll-ups that are begun again between the look and the commit."""
    prove = removable.prove

    def begun_again(*arguments: Any) -> object:
        database.commit_change(rollups.forget)
        return prove(*arguments)

    monkeypatch.setattr(removable, "prove", begun_again)
    finished.step(old(90))
    assert len(ids(database)) == 8


def test_rows_of_an_import_that_stand_before_older_readings(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rebuilt file has them first; readings behind them wait until all is compared."""
    monkeypatch.setattr(removal, "COMPARED_ROWS", 2)
    store(settings, *range(5, 10), *range(5))
    imported(settings, 6, 10)
    assert rebuild(settings, database, [PICO])[0].rows == 10
    assert csv_file(settings).read_bytes() == HEADER + lines(*range(10))
    follow(database)
    station = StationRemoval(settings, database, PICO)
    assert station.step(old(8)) == Removal(is_more=True)
    assert len(ids(database)) == 10
    proven(settings, database)
    assert all_steps(station, old(8)) == 3
    assert ids(database) == [4, 5, 6, 7, 8, 9, 10]
    proven(settings, database)
    # Id 5 is the newest by its time.
    assert all_steps(station, old(90)) == 1


def test_a_rebuilt_file_keeps_what_is_below_the_floor(
    settings: Settings, database: Database, finished: StationRemoval
) -> None:
    content = csv_file(settings).read_bytes()
    all_steps(finished, old(6))
    put(settings, content.replace(b"998.5", b"1.5"))
    assert "differ" in verify(settings, database, [PICO])[0].text.lower()
    execute(database.path, "DELETE FROM imports")
    put(settings, content[: len(content) - len(lines(9))])
    outcome = rebuild(settings, database, [PICO])[0]
    assert not outcome.failed, outcome.text
    assert "are kept as they are" in outcome.text
    assert csv_file(settings).read_bytes() == content
    proven(settings, database)
    store(settings, 10)
    assert export(settings, database, [PICO])[0].rows == 1
    proven(settings, database)


@pytest.mark.parametrize("is_first", [False, True])
def test_a_rebuilt_file_says_which_imported_rows_it_has_not(
    settings: Settings,
    database: Database,
    finished: StationRemoval,
    tmp_path: Path,
    *,
    is_first: bool,
) -> None:
    """Those of another file that have their place among removed readings."""
    other = tmp_path / csv_file(settings).name
    other.write_bytes(HEADER + lines(15, 16))
    content = csv_file(settings).read_bytes()
    if is_first:
        import_file(settings, database, other)
    all_steps(finished, old(6))
    if not is_first:
        import_file(settings, database, other)
    for _ in range(2):
        outcome = rebuild(settings, database, [PICO])[0]
        assert "2 imported rows are not in it, for they belong before removed" in outcome.text
        assert csv_file(settings).read_bytes() == content
        proven(settings, database)
    assert import_file(settings, database, csv_file(settings)).removed == 6
    assert "2 imported rows" in rebuild(settings, database, [PICO])[0].text


@pytest.mark.parametrize("whole", [False, True])
def test_a_file_that_lost_its_beginning_is_not_rebuilt(
    settings: Settings, database: Database, finished: StationRemoval, whole: bool
) -> None:
    content = csv_file(settings).read_bytes()
    all_steps(finished, old(6))
    put(settings, content.replace(b"992.5", b"2.5"))
    assert verify(settings, database, [PICO])[0].failed
    outcome = rebuild(settings, database, [PICO], whole=whole)[0]
    assert outcome.failed
    assert "have changed, and the readings in them were removed" in outcome.text
    # It may have readings that a restored database lacks.
    path = csv_file(settings)
    assert (
        "put back a copy of the file (flask10x export --restore-file COPY), or begin a new one,"
        f" with the rows of this one in the database: flask10x import {path}; mv"
        f" --backup=numbered {path} {path}.old && flask10x export"
    ) in outcome.text
    execute(database.path, "UPDATE csv_files SET floor_last_id = NULL")
    outcome = rebuild(settings, database, [PICO], whole=whole)[0]
    assert outcome.failed and f": flask10x import {path}; mv --backup=numbered " in outcome.text
    csv_file(settings).unlink()
    outcome = rebuild(settings, database, [PICO], whole=whole)[0]
    assert outcome.failed
    assert "were removed from the database (RETENTION_DAYS)" in outcome.text
    assert not csv_file(settings).exists()


class Died(BaseException):
    """The process is gone: no error handler runs either."""


@pytest.fixture
def killed_rebuild(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """A rebuild that dies before its file gets the name, when its position is committed."""

    def run(*, whole: bool = False) -> None:
        path = csv_file(settings)

        def die(*_: object) -> None:
            raise Died

        with monkeypatch.context() as patch:
            patch.setattr("flask10x.export.rebuild.put_in_place", die)
            with pytest.raises(Died):
                rebuild(settings, database, [PICO], whole=whole)
        assert path.with_name(f".{path.name}.rebuilt").exists()

    return run


def goes_on(settings: Settings, database: Database, rows: int) -> None:
    """An export takes the rebuilt file as its own, which is all that it can be, and goes on."""
    outcome = export(settings, database, [PICO])[0]
    assert not outcome.failed, outcome.text
    assert outcome.rows == rows
    assert "an interrupted rebuild was found to be complete" in outcome.text
    proven(settings, database)
    content = csv_file(settings).read_bytes()
    assert "as before" in rebuild(settings, database, [PICO])[0].text
    assert csv_file(settings).read_bytes() == content


@pytest.mark.parametrize("kept_from", [6, 90])
def test_a_rebuild_that_was_killed_above_a_floor(
    settings: Settings,
    database: Database,
    finished: StationRemoval,
    killed_rebuild: Callable[..., None],
    kept_from: int,
) -> None:
    """The zone in which it was written is that of its rows above the floor."""
    all_steps(finished, old(kept_from))
    store(settings, 10, 11)
    killed_rebuild()
    store(settings, 12)
    assert finished.step(old(90)) == Removal(obstacle="interrupted")
    goes_on(settings, database, 1)
    assert csv_file(settings).read_bytes() == HEADER + lines(*range(13))


def test_a_rebuild_that_was_killed_and_has_no_row_above_its_floor(
    settings: Settings,
    database: Database,
    finished: StationRemoval,
    killed_rebuild: Callable[..., None],
) -> None:
    """Its zone is that of before: the newest reading, which stays, was imported and comes first."""
    path = csv_file(settings)
    other = settings.data_dir / path.name
    other.write_bytes(HEADER + lines(15))
    for file in (other, path):
        import_file(settings, database, file)
    content = HEADER + lines(15, *range(10))
    assert not rebuild(settings, database, [PICO])[0].failed
    assert path.read_bytes() == content
    follow(database)
    all_steps(finished, old(90))
    assert select(database.path, FLOORS) == [(len(content),)]
    path.write_bytes(content + b"torn")
    killed_rebuild()
    in_other_zone = export(replace(settings, timezone="UTC"), database, [PICO])[0]
    assert in_other_zone.failed
    assert "Asia/Tokyo" in in_other_zone.text
    store(settings, 12)
    assert export(settings, database, [PICO])[0].rows == 1
    assert path.read_bytes() == content + lines(12)
    proven(settings, database)


def test_a_whole_rebuild_that_was_killed_has_its_floor(
    settings: Settings,
    database: Database,
    finished: StationRemoval,
    killed_rebuild: Callable[..., None],
) -> None:
    """The removed readings are in an archived file, and the file begins with its first line."""
    all_steps(finished, old(6))
    csv_file(settings).rename(settings.csv_dir / "2025.csv")
    store(settings, 10, 11)
    assert export(settings, database, [PICO])[0].rows == 2
    killed_rebuild(whole=True)
    store(settings, 12)
    goes_on(settings, database, 1)
    assert csv_file(settings).read_bytes() == HEADER + lines(6, 7, 8, 9, 10, 11, 12)


def test_an_export_notes_that_the_same_file_was_touched(
    settings: Settings, database: Database, finished: StationRemoval
) -> None:
    """Its rights were changed, or it came back from a copy; no new row comes."""
    path = csv_file(settings)
    path.chmod(0o640)
    assert finished.step(old(5)) == Removal(obstacle="file_changed")
    kept = verify(replace(settings, retention_days=1), database, [PICO])[0].text
    assert kept.endswith(" Run: flask10x export PicodataX.csv")
    assert export(settings, database, [PICO])[0].text == "0 rows appended"
    assert all_steps(finished, old(5)) == 3
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    assert finished.step(old(90)) == Removal(obstacle="file_changed")
    assert export(settings, database, [PICO])[0].text == "0 rows appended"
    assert all_steps(finished, old(90)) == 4
    proven(settings, database)


def test_an_import_brings_no_removed_reading_back(
    settings: Settings, database: Database, finished: StationRemoval
) -> None:
    """Their hours would count them twice."""
    all_steps(finished, old(6))
    outcome = import_file(settings, database, csv_file(settings))
    assert (outcome.stored, outcome.present, outcome.removed) == (0, 4, 6)
    assert str(outcome) == (
        "PicodataX.csv: 10 rows read, 0 stored, 4 present, 0 rejected; 6 rows left out: readings of"
        " their time were removed (RETENTION_DAYS); keep the file, it may be the only one with them"
    )
    assert ids(database) == [5, 6, 7, 8]


def test_a_file_that_was_begun_again_has_no_floor(
    settings: Settings, database: Database, finished: StationRemoval
) -> None:
    all_steps(finished, old(6))
    csv_file(settings).rename(settings.csv_dir / "2025.csv")
    store(settings, 10, 11)
    assert export(settings, database, [PICO])[0].rows == 2
    follow(database)
    proven(settings, database)
    assert not rebuild(settings, database, [PICO])[0].failed
    assert csv_file(settings).read_bytes() == HEADER + lines(10, 11)
    # Four of them are in the archived file only, and that one has to be seen.
    assert finished.step(old(90)) == Removal(obstacle="archived_gone")
    only_copies.name_archived(settings, database, settings.csv_dir / "2025.csv")
    assert all_steps(finished, old(90)) == 5
    assert csv_file(settings).read_bytes() == HEADER + lines(10, 11)
    proven(settings, database)
