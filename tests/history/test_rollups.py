"""Roll-ups are what the readings give, at any moment: late, imported, interrupted, begun anew."""

import math
import os
import pty
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError

from flask10x.commands.rollups import command
from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.database import schema
from flask10x.database.database import Database
from flask10x.database.error_codes import is_busy
from flask10x.database.paths import database_path
from flask10x.history import charts, rollup_check, rollups
from flask10x.history.charts import Chart
from flask10x.history.parameters import SERIES, parse_query
from flask10x.history.view import View
from flask10x.maintenance.backup import backup
from flask10x.maintenance.restore import restore
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from flask10x.readings.times import iso_text
from tests.support import compared_rollups
from tests.support.both_engines import refuse, write_lock
from tests.support.databases import drop_below, environment_of
from tests.support.new_database import lay_new_database
from tests.support.old_files import run as run_import
from tests.support.rows import execute, insert_readings, pico, select

HOUR = 3_600_000
# 2025-08-24 09:00:00 in Tokyo, the zone of the tests; a whole hour of UTC.
NINE = 1_755_993_600_000
NUMBER = NINE // HOUR


def store(database: Database, *readings: Reading) -> None:
    with database.commit() as connection:
        insert_readings(connection, readings)


def follow_all(database: Database) -> int:
    """Follow to the end; in how many pieces."""
    pieces = 1
    while rollups.follow(BUILT_IN, database):
        pieces += 1
    return pieces


def behind(database: Database) -> int:
    with database.reader.begin() as connection:
        return rollups.behind(connection)


def differences(database: Database) -> list[tuple[str, int]]:
    looked = compared_rollups.hours(BUILT_IN, database)
    return [
        (difference.endpoint, difference.number)
        for found in looked
        for difference in found.differences
    ]


def table(database: Database) -> list[tuple[Any, ...]]:
    return select(database.path, "SELECT * FROM rollups ORDER BY endpoint, measurement, hour")


# --- The follower ----------------------------------------------------------------------------


def test_an_hour_of_each_measurement(database: Database) -> None:
    store(
        database,
        Reading("data", NINE, (1000.0, 25.0)),
        Reading("data", NINE + HOUR - 1, (1002.0, None)),
        Reading("data", NINE + HOUR, (990.0, None)),
        Reading("data3", NINE, (1.5, 60.0, 994.5, 5000.0)),
    )
    assert follow_all(database) == 1
    assert table(database) == [
        ("data", "pressure", NUMBER, 2, 2, 2002.0, 1000.0, 1002.0),
        ("data", "pressure", NUMBER + 1, 1, 1, 990.0, 990.0, 990.0),
        ("data", "temperature", NUMBER, 2, 1, 25.0, 25.0, 25.0),
        ("data", "temperature", NUMBER + 1, 1, 0, 0.0, None, None),
        ("data3", "gas_resistance", NUMBER, 1, 1, 5000.0, 5000.0, 5000.0),
        ("data3", "humidity", NUMBER, 1, 1, 60.0, 60.0, 60.0),
        ("data3", "pressure", NUMBER, 1, 1, 994.5, 994.5, 994.5),
        ("data3", "temperature", NUMBER, 1, 1, 1.5, 1.5, 1.5),
    ]
    assert select(database.path, "SELECT * FROM followers") == [("rollups", 4)]


def test_late_readings_change_the_hour_they_belong_to(database: Database) -> None:
    store(database, pico(1000, NINE), pico(1004, NINE + HOUR))
    follow_all(database)
    store(database, pico(990, NINE + 1))
    assert behind(database) == 1
    follow_all(database)
    rows = [row for row in table(database) if row[1] == "pressure"]
    assert [row[3:] for row in rows] == [
        (2, 2, 1990.0, 990.0, 1000.0),
        (1, 1, 1004.0, 1004.0, 1004.0),
    ]
    assert differences(database) == []


def test_nothing_new_writes_nothing(database: Database) -> None:
    store(database, pico(1))
    follow_all(database)
    before = table(database)
    execute(database.path, refuse("followers", "NEW.last_id > 0", "no"))
    assert rollups.follow(BUILT_IN, database) == 0
    assert table(database) == before


def test_a_piece_is_bounded_by_rows_and_by_hours(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(database, *(pico(n, NINE + n) for n in range(25)))
    monkeypatch.setattr(rollups, "PIECE_ROWS", 10)
    assert follow_all(database) == 3
    store(database, *(pico(n, NINE + n * HOUR) for n in range(7)))
    monkeypatch.setattr(rollups, "PIECE_HOURS", 3)
    assert rollups.follow(BUILT_IN, database) == 4
    assert rollups.follow(BUILT_IN, database) == 1
    assert rollups.follow(BUILT_IN, database) == 0
    assert behind(database) == 0
    assert differences(database) == []


def test_rows_of_unknown_stations_are_passed_over(database: Database) -> None:
    execute(database.path, "INSERT INTO readings (endpoint, received_at) VALUES ('attic', 1)")
    assert follow_all(database) == 1
    assert (table(database), behind(database)) == ([], 0)


def test_a_piece_that_cannot_be_stored_changes_nothing(database: Database) -> None:
    store(database, pico(1000, NINE))
    follow_all(database)
    before = table(database)
    store(database, pico(1010, NINE + 1))
    with write_lock(database.path), pytest.raises(DBAPIError) as refused:
        rollups.follow(BUILT_IN, database)
    assert is_busy(refused.value)
    assert (table(database), behind(database)) == (before, 1)
    follow_all(database)
    assert differences(database) == []


def test_two_followers_at_once_do_not_undo_each_other(
    database: Database, settings: Settings
) -> None:
    store(database, pico(1000, NINE))

    def late(second: Database, change: rollups.Change) -> None:
        """Before this piece is stored somebody else takes it, and one that came later."""
        store(database, pico(1010, NINE + 1))
        follow_all(database)
        rollups.save_at_once(second, change)

    other = Database(settings)
    rollups.follow(BUILT_IN, other, late)
    other.close()
    assert behind(database) == 0
    assert differences(database) == []


def test_an_imported_file_of_long_ago_is_rolled_up(
    database: Database, settings: Settings, bedroom_csv: Path
) -> None:
    store(database, Reading("data2", NINE, (600.0, 25.0, 50.0, 996.5, None)))
    follow_all(database)
    run_import(settings, database, bedroom_csv)
    assert behind(database) == 20_000
    follow_all(database)
    assert differences(database) == []
    found = assert_agree(database, settings, "endpoint=data2&to=2026-01-01")
    assert (found.source, found.readings) == ("rollups", 20_001)


@pytest.mark.sqlite_only("a backup is of the SQLite file")
def test_a_restored_backup_goes_on_from_its_own_position(
    settings: Settings, tmp_path: Path
) -> None:
    schema.upgrade(settings)
    with closing(Database(settings)) as database:
        store(database, pico(1, NINE))
        follow_all(database)
        store(database, pico(2, NINE + 1))
        made = backup(settings, tmp_path / "backups").path
        follow_all(database)
    restore(settings, made)
    with closing(Database(settings)) as restored:
        assert behind(restored) == 1
        follow_all(restored)
        assert differences(restored) == []


# --- Rebuild and verify ----------------------------------------------------------------------


def filled(database: Database) -> None:
    chance = random.Random(3)
    store(
        database,
        *(
            Reading(
                "data2",
                NINE + chance.randrange(5 * HOUR),
                (chance.uniform(400, 900), None, chance.random(), 1e-5, chance.gauss(0, 1)),
            )
            for _ in range(300)
        ),
    )


def test_verify_names_each_hour_that_differs(database: Database) -> None:
    filled(database)
    follow_all(database)
    assert differences(database) == []
    execute(
        database.path,
        f"UPDATE rollups SET total = total + 0.00001 WHERE measurement = 'co2' AND hour = {NUMBER}",
        f"DELETE FROM rollups WHERE measurement = 'humidity' AND hour = {NUMBER + 1}",
        f"DELETE FROM rollups WHERE hour = {NUMBER + 2}",
        "INSERT INTO rollups VALUES ('data2', 'co2', 5, 1, 1, 1, 1, 1)",
        "INSERT INTO rollups VALUES ('data', 'pressure', 7, 1, 1, 1, 1, 1)",
    )
    assert differences(database) == [
        ("data", 7),
        ("data2", 5),
        ("data2", NUMBER),
        ("data2", NUMBER + 1),
        ("data2", NUMBER + 2),
    ]


def test_a_total_may_differ_by_what_adding_up_rounds(database: Database) -> None:
    # Added up in another order, or as decimals, as another engine does and another SQLite.
    store(database, *(pico(1000.1, NINE + n) for n in range(10)))
    follow_all(database)
    of_pressure = "WHERE measurement = 'pressure'"
    (total,) = select(database.path, f"SELECT total FROM rollups {of_pressure}")[0]
    for other, wrong in (
        (math.nextafter(total, math.inf), []),
        (sum(10 * [1000.1]), []),
        # 11 * 10 * 2 ** -52 * 1000.1 is 2.4e-11.
        (10_001 - 2e-11, []),
        (10_001 + 3e-11, [("data", NUMBER)]),
    ):
        execute(database.path, f"UPDATE rollups SET total = {other!r} {of_pressure}")
        assert differences(database) == wrong
    # Without a value there is nothing to round.
    execute(database.path, "UPDATE rollups SET total = 1e-300, count = 0, minimum = NULL")
    assert differences(database) == [("data", NUMBER)]


def test_verify_leaves_out_what_is_not_rolled_up_yet(database: Database) -> None:
    filled(database)
    follow_all(database)
    store(database, pico(1, NINE), Reading("data2", NINE, (1.0, 1.0, 1.0, 1.0, 1.0)))
    assert differences(database) == []


def test_rebuild_gives_the_same_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(database)
    follow_all(database)
    before = table(database)
    execute(
        database.path,
        "UPDATE rollups SET count = 7",
        "INSERT INTO rollups VALUES ('data', 'pressure', 7, 1, 1, 1, 1, 1)",
    )
    monkeypatch.setattr(rollups, "PIECE_ROWS", 100)
    assert list(rollup_check.rebuild(BUILT_IN, database, UTC)) == [200, 100, 0]
    assert table(database) == before


def run(settings: Settings, monkeypatch: pytest.MonkeyPatch, *options: str) -> tuple[int, str]:
    monkeypatch.setattr(settings_module, "load", lambda: settings)
    done = CliRunner().invoke(command, options)
    return done.exit_code, done.output


def test_the_command(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(database, pico(1000, NINE), pico(1002, NINE + 1))
    assert run(settings, monkeypatch) == (
        0,
        "rolled up to reading 0, 2 behind\ndays: the service has yet to make them\n",
    )
    assert run(settings, monkeypatch, "--rebuild") == (
        0,
        "rolled up to reading 2, 0 behind\ndays: of Asia/Tokyo\n",
    )


def test_a_bar_on_a_terminal(database: Database, settings: Settings) -> None:
    store(database, pico(1000, NINE), pico(1002, NINE + 1))
    terminal, child = pty.openpty()
    with open(terminal, "rb", buffering=0) as screen:
        done = subprocess.run(
            [sys.executable, "-m", "flask10x", "rollups", "--rebuild"],
            env={**environment_of(settings.data_dir), "TERM": "xterm"},
            stdout=subprocess.PIPE,
            stderr=child,
            timeout=60,
            check=True,
        )
        shown = screen.read(65_536)
    os.close(child)
    assert done.stdout.startswith(b"rolled up to reading 2, 0 behind\ndays: of ")
    assert b"hourly totals" in shown
    assert b"100%" in shown


@pytest.mark.sqlite_only("a database that is not there is a file that is not there")
def test_the_command_without_a_database(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(settings_module, "load", lambda: settings)
    done = CliRunner().invoke(command)
    assert "there is no database" in str(done.exception)
    assert not (tmp_path / "flask10x.sqlite3").exists()


# --- Charts ----------------------------------------------------------------------------------


def chart(database: Database, settings: Settings, text: str) -> Chart:
    query = parse_query(parse_qsl(text), settings, NINE, SERIES)
    with database.reader.begin() as connection:
        return charts.chart(View(connection, query.registry), query)


def of_readings(database: Database, settings: Settings, text: str) -> Chart:
    """The same chart as the readings alone give it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flask10x.history.view.MOST_ROWS_BEHIND", -1)
        return chart(database, settings, text)


def assert_agree(database: Database, settings: Settings, text: str) -> Chart:
    found, expected = chart(database, settings, text), of_readings(database, settings, text)
    assert expected.source == "readings"
    assert (found.window, found.readings) == (expected.window, expected.readings)
    assert len(found.lines) == len(expected.lines)
    for one, other in zip(found.lines, expected.lines, strict=True):
        assert (one.station, one.measurement) == (other.station, other.measurement)
        assert (one.interval_ms, set(one.buckets)) == (other.interval_ms, set(other.buckets))
        for number, bucket in one.buckets.items():
            raw = other.buckets[number]
            assert (bucket.count, bucket.minimum, bucket.maximum) == (
                *(raw.count, raw.minimum, raw.maximum),
            )
            assert raw.minimum is not None
            assert raw.maximum is not None
            # Values of both signs can leave little of themselves in a sum.
            largest = max(abs(raw.minimum), abs(raw.maximum))
            assert bucket.average == pytest.approx(raw.average, rel=1e-12, abs=largest * 1e-12)
    return found


def test_a_long_range_comes_from_the_rollups(database: Database, settings: Settings) -> None:
    store(database, *(pico(n, NINE + n * HOUR // 3) for n in range(3000)))
    assert chart(database, settings, "").source == "rollups"
    follow_all(database)
    text = "from=2025-08-24+09:30&to=2025-09-27+22:10"
    found = assert_agree(database, settings, text)
    assert found.source == "rollups"
    # Else the test would prove nothing.
    execute(database.path, "UPDATE rollups SET maximum = 1e6 WHERE measurement = 'pressure'")
    with pytest.raises(AssertionError):
        assert_agree(database, settings, text)
    for bypassed in ("pressure__gt=1", "incomplete=1", "to=2025-08-25"):
        assert chart(database, settings, f"{text[:21]}&{bypassed}").source == "readings"


def test_charts_are_right_between_any_two_pieces(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each piece ends within an hour, and the late ones fall into hours that are rolled up already.
    store(database, *(pico(n, NINE + n * HOUR // 7) for n in range(300)))
    store(database, *(pico(n, NINE + n * HOUR // 7 + 1) for n in range(300)))
    monkeypatch.setattr(rollups, "PIECE_ROWS", 47)
    text = "from=2025-08-24+09:30&to=2025-09-27+22:10"
    left = 1
    while left:
        left = rollups.follow(BUILT_IN, database)
        assert assert_agree(database, settings, text).source == "rollups"
        assert differences(database) == []


def test_far_behind_a_chart_comes_from_the_readings(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(database, *(pico(n, NINE + n * HOUR) for n in range(2000)))
    monkeypatch.setattr("flask10x.history.view.MOST_ROWS_BEHIND", 1999)
    assert chart(database, settings, "").source == "readings"


def test_sums_beyond_a_double_are_no_answer_but_no_error(
    database: Database, settings: Settings
) -> None:
    huge = 1.7e308
    store(database, *(Reading("data3", NINE + n, (1.0, 1.0, 1.0, huge)) for n in range(3)))
    follow_all(database)
    (*_, line) = chart(database, settings, "from=2020-01-01").lines
    (bucket,) = line.buckets.values()
    assert (bucket.average, bucket.minimum, bucket.maximum) == (None, huge, huge)
    assert differences(database) == []


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Database]]:
    """Two months of four stations, some rolled up, some not, some late."""
    folder = tmp_path_factory.mktemp("rollups")
    settings = settings_module.load({**environment_of(folder), "FLASK10X_TIMEZONE": "Asia/Tokyo"})
    lay_new_database(database_path(settings))
    database = Database(settings)
    chance = random.Random(11)
    widths = {"data": 2, "data2": 5, "data3": 4, "data4": 6}

    def some(count: int) -> list[Reading]:
        return [
            Reading(
                name,
                NINE + chance.randrange(60 * 24 * HOUR),
                tuple(
                    chance.choice([None, chance.uniform(-50, 2000)]) for _ in range(widths[name])
                ),
            )
            for name in chance.choices(list(widths), k=count)
        ]

    store(database, *some(3000))
    follow_all(database)
    store(database, *some(300))
    yield settings, database
    database.close()
    drop_below(folder)


MINUTES = st.integers(0, 62 * 24 * 60)


@given(MINUTES, MINUTES, st.sampled_from([2, 3, 24, 100, 600]), st.booleans())
def test_any_range_agrees_with_the_readings(
    lived_in: tuple[Settings, Database], one: int, other: int, buckets: int, some: bool
) -> None:
    settings, database = lived_in
    first, last = (
        iso_text(NINE + minute * 60_000, UTC).replace("+", "%2B") for minute in sorted((one, other))
    )
    chosen = "&endpoint=data2&endpoint=data4&measurement=co2&measurement=voltage" * some
    assert_agree(database, settings, f"from={first}&to={last}&buckets={buckets}{chosen}")


def test_a_removal_between_the_look_and_the_commit_is_noticed(database: Database) -> None:
    """What was computed before it is computed again after it, at the next step."""
    store(database, pico(1000.0, NINE), pico(1001.0, NINE + 1000))

    def removed_meanwhile(database: Database, change: rollups.Change) -> None:
        execute(database.path, "INSERT INTO removed VALUES ('data2', 1, 1, 1)")
        rollups.save_at_once(database, change)

    assert rollups.follow(BUILT_IN, database, removed_meanwhile) == 0
    assert select(database.path, "SELECT * FROM rollups") == []
    assert select(database.path, "SELECT * FROM followers") == []
    follow_all(database)
    assert select(database.path, "SELECT last_id FROM followers") == [(2,)]
