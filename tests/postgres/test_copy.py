"""`flask10x copy`: all that is kept, from one engine to the other and back, and nothing twice."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, delete, select

from flask10x.config.settings import Settings
from flask10x.database import counters, dialects, queue_notes, removed, schema
from flask10x.database.database import Database
from flask10x.database.insert import existing_columns
from flask10x.database.removed import Removed
from flask10x.database.tables import metadata, notes, readings, shared_metadata
from flask10x.database.tables import rollups as summed
from flask10x.errors import DatabaseCopyError, SchemaError
from flask10x.history import days, rollup_check, rollups
from flask10x.history.sums import Ids
from flask10x.maintenance import copying
from flask10x.maintenance.copying import CopiedRow, CopiedTable, copy
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from flask10x.readings.times import HOUR_MS
from flask10x.system.progress import Bar
from tests.postgres.copying import (
    FORMER,
    add_reading,
    differences,
    in_file,
    make_full,
    on_postgres,
)
from tests.support import compared_rollups
from tests.support.new_database import lay_new_file
from tests.support.rows import insert_readings

# 2025-08-24 09:00:00 in Tokyo, a whole hour of UTC.
NINE = 1_755_993_600_000
INDIA = ZoneInfo("Asia/Kolkata")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "PIECE_ROWS", 3)
    monkeypatch.setattr(copying, "PIECE_ROWS_OF_BODIES", 2)


@pytest.fixture
def source(settings: Settings, tmp_path: Path) -> Settings:
    made = in_file(settings, tmp_path / "source.sqlite3")
    lay_new_file(tmp_path / "source.sqlite3")
    make_full(made)
    return made


@pytest.fixture
def target(settings: Settings) -> Iterator[Settings]:
    with on_postgres(settings) as made:
        yield made


def test_all_that_is_kept_goes_to_postgres_on_to_another_and_back(
    settings: Settings, source: Settings, target: Settings, tmp_path: Path
) -> None:
    back = in_file(settings, tmp_path / "back.sqlite3")
    with on_postgres(settings, migrated=False) as second:
        for one, other in ((source, target), (target, second), (second, back)):
            assert copy(one, other) == (13, 0)
            assert differences(one, other) == []
    assert differences(source, back) == []


def test_the_sums_of_one_engine_are_right_on_the_other(
    settings: Settings, target: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "PIECE_ROWS", 5000)
    first, back = (in_file(settings, tmp_path / f"{name}.sqlite3") for name in ("first", "back"))
    lay_new_file(tmp_path / "first.sqlite3")
    with closing(Database(first)) as database:
        fill_with_decimals(database)
    copy(first, target)
    assert wrong_sums(target) == differences(first, target) == []
    # Now by its own sums, but for what only the first engine could add up.
    with closing(Database(target)) as database:
        assert list(rollup_check.rebuild(BUILT_IN, database, INDIA))[-1] == 0
        totals = totals_of(database)
    with closing(Database(first)) as database:
        assert totals != totals_of(database)
    copy(target, back)
    assert wrong_sums(back) == differences(target, back) == []
    # A reading that a person has changed by the least that its sensor shows.
    with closing(Database(back)) as database, database.commit() as connection:
        connection.exec_driver_sql("UPDATE readings SET pressure = pressure + 0.1 WHERE id = 9000")
    assert len(wrong_sums(back)) == 1


def fill_with_decimals(database: Database) -> None:
    """10,800 readings, one in 2 minutes, with a decimal; those of the first 90 minutes are gone.

    Midnight of the zone lies within an hour of UTC.
    """
    chance, usual = Random(15), ((990, 1030), (20, 30))
    rows = [
        Reading(
            "data", NINE + n * 120_000, tuple(round(chance.uniform(*ends), 1) for ends in usual)
        )
        for n in range(10_800)
    ]
    with database.commit() as connection:
        insert_readings(connection, rows)
        days.begin(connection, INDIA)
    assert list(rollups.catch_up(BUILT_IN, database))[-1] == 0
    columns = BUILT_IN.by_endpoint["data"].columns
    with database.commit() as connection:
        for hour in (NINE // HOUR_MS, NINE // HOUR_MS + 1):
            gone = rollups.of_readings("data", columns, connection, hour, Ids(45))
            removed.keep_removed_hours(connection, gone)
        connection.execute(delete(readings).where(readings.c.id <= 45))
        removed.note_removed(connection, "data", Removed(45, NINE + 44 * 120_000, 45))


def wrong_sums(settings: Settings) -> list[object]:
    """What the comparison of the roll-ups finds."""
    with closing(Database(settings)) as database:
        of_hours = list(compared_rollups.hours(BUILT_IN, database))
        of_days = list(compared_rollups.of_days(BUILT_IN, database))
    assert (sum(one.compared for one in of_hours), sum(one.compared for one in of_days)) == (
        360,
        16,
    )
    hours = [found for one in of_hours for found in one.differences]
    return [*hours, *(found for one in of_days for found in one.differences)]


def totals_of(database: Database) -> list[float]:
    with database.reader.begin() as connection:
        query = select(summed.c.total).order_by(summed.c.hour, summed.c.measurement)
        return list(connection.execute(query).scalars())


@pytest.mark.tools
def test_ids_go_on_behind_those_of_the_source(
    settings: Settings, source: Settings, target: Settings, tmp_path: Path
) -> None:
    back = in_file(settings, tmp_path / "back.sqlite3")
    copy(source, target)
    copy(target, back)
    for end in (target, back):
        add_reading(end, 700)
        with closing(Database(end)) as database, database.commit() as connection:
            assert dialects.last_id(connection) == 14
            written = notes.insert().values(first_ms=1, last_ms=2, text="x", written_at=3)
            assert connection.execute(written).inserted_primary_key == (6,)
            assert dialects.statements_of(connection).sequence(connection, "queue 17") == 9


@pytest.mark.tools
def test_numbers_of_all_hosts_and_of_none_are_copied(
    settings: Settings, target: Settings, tmp_path: Path
) -> None:
    back = in_file(settings, tmp_path / "back.sqlite3")
    add_reading(target, 700)
    elsewhere = replace(target, host_name="cellar")
    with closing(Database(elsewhere)) as database, database.commit() as connection:
        queue_notes.note(connection, "17", 0, 9)
    with on_postgres(settings) as second:
        for other in (back, second):
            copy(target, other)
            assert differences(target, other) == []
            with closing(Database(other)) as database, database.reader.begin() as connection:
                assert dialects.last_id(connection) == 1
                assert queue_notes.up_to(connection, "17") == 9
        # That host has it, so that no other one forgets it.
        with closing(Database(second)) as database, database.reader.begin() as connection:
            assert queue_notes.queues(connection) == set()


def test_each_table_is_copied_or_named_as_one_that_is_not() -> None:
    copied = {"readings", *(table.name for table in copying.other_tables())}
    assert copied == set(metadata.tables)
    # What a process, a host or a server has for itself; `log` goes as numbers.
    not_copied = {"log", "leases", "owners", "active_alerts", "alert_mutes"}
    not_copied |= {"setup_files"}
    assert set(shared_metadata.tables) == not_copied


def test_differences_are_named(source: Settings, target: Settings) -> None:
    copy(source, target)
    with closing(Database(target)) as database, database.commit() as connection:
        connection.exec_driver_sql("UPDATE readings SET co2 = 0.5 WHERE id = 5")
        connection.exec_driver_sql("DELETE FROM readings WHERE id = 7")
        connection.exec_driver_sql("UPDATE rollups SET total = 5 WHERE endpoint = 'é1'")
        connection.exec_driver_sql("INSERT INTO counters VALUES ('mine', 1)")
        dialects.statements_of(connection).set_sequence(connection, "queue 17", 8)
    assert differences(source, target) == [
        "readings 5, co2: 0.0, in the copy 0.5",
        "counters mine: only in the copy",
        "rollups é1, é1, 1, total: 1.7976931348623157e+308, in the copy 5.0",
        "sequences queue 17, number: 9, in the copy 8",
    ]


def test_a_broken_off_copy_is_thrown_away_and_no_service_starts_on_it(
    source: Settings, target: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(Exception):
        pass

    put, pieces = copying.put, list[str]()

    def killed(connection: Connection, table: CopiedTable, rows: Sequence[CopiedRow]) -> None:
        put(connection, table, rows)
        pieces.append(table.name)
        if len(pieces) == 9:
            raise Killed

    monkeypatch.setattr(copying, "put", killed)
    with pytest.raises(Killed):
        copy(source, target)
    monkeypatch.undo()
    said = r"unfinished copy of sqlite:///.*source.sqlite3: delete it"
    with pytest.raises(SchemaError, match=said):
        schema.upgrade(target)
    with pytest.raises(SchemaError, match=said):
        copy(source, target)


def test_what_comes_meanwhile_is_counted(
    source: Settings, target: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy is of one moment: it has no row that came after its first."""
    before = copying.fill_whole

    def fill_whole(snapshot: Connection, database: Database, bar: Bar) -> None:
        # The snapshot begins with the first statement.
        dialects.last_id(snapshot)
        add_reading(source, 700)
        before(snapshot, database, bar)

    monkeypatch.setattr(copying, "fill_whole", fill_whole)
    assert copy(source, target) == (13, 1)
    assert differences(source, target) == [
        "readings 14: not in the copy",
        "sequences readings, number: 14, in the copy 13",
    ]


def test_a_database_in_use_is_refused(
    settings: Settings, source: Settings, target: Settings
) -> None:
    with pytest.raises(DatabaseCopyError, match="into itself"):
        copy(source, source)
    make_full(target, readings=2)
    with pytest.raises(DatabaseCopyError, match=r"rows in readings, accepted_keys, .*: name an"):
        copy(source, target)
    assert differences(source, target) != []


def test_a_copy_is_no_target(source: Settings, target: Settings) -> None:
    copy(source, target)
    with pytest.raises(DatabaseCopyError, match=r"rows in readings, .*: name an empty"):
        copy(source, target)


def test_the_note_of_an_older_copy_is_no_row(source: Settings, target: Settings) -> None:
    """Versions before this one left it in a copy that was finished."""
    with closing(Database(source)) as database, database.commit() as connection:
        connection.exec_driver_sql("INSERT INTO counters VALUES ('copy of sqlite:///x', 5)")
    copy(source, target)
    assert differences(source, target) == []


def test_readings_of_a_stop_are_stored_first(source: Settings, target: Settings) -> None:
    (source.data_dir / "leftover-7-1.jsonl").write_text("")
    with pytest.raises(DatabaseCopyError, match=r"readings wait in .*; start the service"):
        copy(source, target)


def test_a_source_of_another_version_is_refused(source: Settings, target: Settings) -> None:
    with closing(Database(source)) as database, database.commit() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0012'")
    with pytest.raises(SchemaError, match=r"is at version 0012, .* flask10x migrate"):
        copy(source, target)


@pytest.mark.tools
def test_what_a_former_station_has_sent_is_there(source: Settings, target: Settings) -> None:
    copy(source, target)
    with closing(Database(target)) as database, database.reader.begin() as connection:
        assert FORMER in existing_columns(connection)
        assert counters.unfinished_copy(connection) == ""
        assert len(connection.execute(select(readings.c.id)).all()) == 12
