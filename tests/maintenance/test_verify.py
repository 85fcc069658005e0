"""Bits that rot: each copy's are found, the wrong copy is named, and the value is put back."""

import random
import shutil
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from flask10x.config import settings as settings_module
from flask10x.database import verified
from flask10x.database.database import Database
from flask10x.database.verified import Difference, Result
from flask10x.history import rollup_check
from flask10x.maintenance import earlier_backups
from flask10x.maintenance.backup import backup
from flask10x.maintenance.verify import comparing, findings, run
from flask10x.maintenance.verify.findings import Row
from flask10x.maintenance.verify.wording import Words
from flask10x.system import backup_files
from flask10x.translation import translation
from tests.conftest import MakeSettings
from tests.faults import rot
from tests.support import compared_rollups, databases
from tests.support.commands import run_command
from tests.support.copies import (
    ALL,
    EXPORTED,
    FIRST_MS,
    SAVED,
    STATIONS,
    House,
    furnish,
    roll_up,
)
from tests.support.rot import StoredValue, flip, stored_values
from tests.support.rows import execute, select


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A furnished folder of SQLite, made once."""
    folder = tmp_path_factory.mktemp("pristine")
    if not databases.ON_POSTGRES:
        environment = {"FLASK10X_DATA_DIR": str(folder), "FLASK10X_TIMEZONE": "Asia/Tokyo"}
        furnish(settings_module.load(environment))
    return folder


@pytest.fixture
def house(make_settings: MakeSettings, tmp_path: Path, pristine: Path) -> House:
    settings = make_settings(DATA_DIR=tmp_path / "data")
    if databases.ON_POSTGRES:
        furnish(settings)
    else:
        shutil.copytree(pristine, settings.data_dir)
    return House(settings, pristine)


def test_a_sound_house_has_no_difference(house: House) -> None:
    before = house.contents()
    result = house.verify()
    assert result.differences == ()
    assert (result.readings, result.lines, result.backup_readings) == (ALL, EXPORTED, SAVED)
    assert result.backup == str(house.newest_backup)
    assert house.contents() == before
    assert verified.last_result(house.settings) == result


# Of each copy: where its bits can be flipped, and what is said of it.
Flip = Callable[[House, random.Random], str]


def flip_of_table(house: House, chance: random.Random) -> str:
    """A value of a reading; one that is in no backup only where a CSV file has all of it."""
    places = [
        each
        for each in stored_values(house.file, "readings")
        if int(str(each.row[0])) <= SAVED
        or (int(str(each.row[0])) <= EXPORTED and each.column not in ("endpoint", "received_at"))
    ]
    return _flip_value(house.file, chance.choice(places), chance)


def flip_of_hours(house: House, chance: random.Random) -> str:
    return _flip_value(house.file, _rolled_up(house, chance, "rollups"), chance)


def flip_of_days(house: House, chance: random.Random) -> str:
    return _flip_value(house.file, _rolled_up(house, chance, "rollup_days"), chance)


def flip_of_csv(house: House, chance: random.Random) -> str:
    path = house.csv(chance.choice(STATIONS))
    offset, bit = chance.randrange(path.stat().st_size), chance.randrange(8)
    flip(path, offset, bit)
    return f"{path.name} {offset} {bit}"


def flip_of_backup(house: House, chance: random.Random) -> str:
    path = house.newest_backup
    offset, bit = chance.randrange(path.stat().st_size), chance.randrange(8)
    flip(path, offset, bit)
    return f"{path.name} {offset} {bit}"


def _rolled_up(house: House, chance: random.Random, table: str) -> StoredValue:
    """A sum; a total only where the backup has it, for the last bits may be those of rounding."""
    with closing(sqlite3.connect(house.newest_backup)) as connection:
        saved = {tuple(row[:3]): row for row in connection.execute(f"SELECT * FROM {table}")}
    with closing(sqlite3.connect(house.file)) as connection:
        rows = {tuple(row[:3]): row for row in connection.execute(f"SELECT * FROM {table}")}
    same = {key for key, row in rows.items() if saved.get(key) == row}
    places = [
        each
        for each in stored_values(house.file, table)
        if each.row in same or each.column != "total"
    ]
    assert places
    return chance.choice(places)


def _flip_value(path: Path, place: StoredValue, chance: random.Random) -> str:
    byte, bit = chance.randrange(place.length), chance.randrange(8)
    flip(path, place.offset + byte, bit)
    return f"{place} {byte} {bit}"


FLIPS: dict[str, Flip] = {
    "table": flip_of_table,
    "hours": flip_of_hours,
    "days": flip_of_days,
    "csv": flip_of_csv,
    "backup": flip_of_backup,
}


@pytest.mark.sqlite_only("flips bits of its file")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("flips", [2, pytest.param(100, marks=pytest.mark.long)])
@pytest.mark.parametrize("copy", FLIPS)
def test_each_bit_is_found_named_and_put_back(house: House, copy: str, flips: int) -> None:
    before, wrong = house.contents(), list[tuple[object, ...]]()
    for number in range(flips):
        place = FLIPS[copy](house, random.Random(f"{copy} {number}"))
        result = house.verify(repair=True)
        named = {name for each in result.differences for name in each.wrong}
        if named != {copy} or not all(each.wrong for each in result.differences):
            wrong.append((number, place, result.differences))
        # A backup is only named.
        elif house.contents() != before or (result.open and copy != "backup"):
            wrong.append((number, place, "not as before", result.differences))
        house.renew()
    assert wrong == []


@pytest.mark.sqlite_only("flips bits of its file")
def test_a_time_that_changed_within_its_second_is_put_back(house: House) -> None:
    """A line of a CSV file has whole seconds and fits both times: the index decides."""
    before = house.contents()
    values = stored_values(house.file, "readings")
    (place,) = (each for each in values if each.row == (101,) and each.column == "received_at")
    flip(house.file, place.offset + place.length - 1, 4)
    difference = only(house.verify(repair=True))
    assert (difference.number, difference.wrong) == (101, ("table",))
    assert difference.is_repaired
    assert house.contents() == before


@pytest.fixture
def table_wrong(house: House) -> int:
    """The id of a reading whose temperature has changed since it was exported and backed up."""
    execute(house.file, "UPDATE readings SET temperature = temperature + 8 WHERE id = 101")
    return 101


def only(result: Result) -> Difference:
    assert len(result.differences) == 1, result.differences
    (difference,) = result.differences
    return difference


def saved_temperature(path: Path) -> float:
    """What a backup has, a file of SQLite on either engine."""
    with closing(sqlite3.connect(path)) as connection:
        row = connection.execute("SELECT temperature FROM readings WHERE id = 101").fetchone()
    return float(row[0])


def test_without_repair_nothing_is_touched(house: House, table_wrong: int) -> None:
    before = house.contents()
    difference = only(house.verify())
    assert (difference.kind, difference.wrong, difference.number) == ("reading", ("table",), 101)
    assert not difference.is_repaired
    assert house.contents() == before
    assert len([*house.settings.backup_dir.glob("*.sqlite3")]) == 1


def test_a_repair_comes_after_a_copy_with_a_note_and_a_line(house: House, table_wrong: int) -> None:
    right = saved_temperature(house.newest_backup)
    difference = only(house.verify(repair=True))
    assert difference.is_repaired
    assert select(house.file, "SELECT temperature FROM readings WHERE id = 101") == [(right,)]
    # The copy has what was wrong, and no name of a backup; the new backup has what is right.
    (before,) = house.settings.backup_dir.glob("flask10x-before-repair-*.sqlite3")
    assert saved_temperature(before) == right + 8
    for path in (made := backup_files.restorable(house.settings.backup_dir)):
        with earlier_backups.whole(path, house.settings.data_dir) as plain:
            assert saved_temperature(plain) == right
    assert len(made) == 2
    ((endpoint, at, text),) = select(house.file, "SELECT endpoint, first_ms, text FROM notes")
    assert (endpoint, at) == ("data", difference.at_ms)
    assert "the table had changed" in text and f"temperature {right}" in text
    log = (house.settings.log_dir / "flask10x.log").read_text()
    assert "INFO Pico, reading 101 of " in log and "Wrong: the table; repaired." in log
    assert house.verify().differences == ()
    # The next repair keeps one copy.
    execute(house.file, "UPDATE readings SET temperature = temperature + 8 WHERE id = 103")
    assert only(house.verify(repair=True)).is_repaired
    assert len([*house.settings.backup_dir.glob("flask10x-before-repair-*.sqlite3")]) == 1


def test_a_column_of_stations_toml_is_repaired_too(house: House) -> None:
    """The backup is from before it was added."""
    execute(
        house.file,
        "ALTER TABLE readings ADD COLUMN battery DOUBLE PRECISION"
        if databases.ON_POSTGRES
        else "ALTER TABLE readings ADD COLUMN battery REAL",
    )
    execute(house.file, "UPDATE readings SET battery = 3.5, temperature = 7 WHERE id = 101")
    right = saved_temperature(house.newest_backup)
    assert only(house.verify(repair=True)).is_repaired
    query = "SELECT temperature, battery FROM readings WHERE id = 101"
    assert select(house.file, query) == [(right, 3.5)]


def test_a_change_before_the_newest_backup_is_seen_by_file_and_roll_up(
    house: House, table_wrong: int
) -> None:
    """The backup has the wrong value, too: it says no more than the table."""
    house.newest_backup.with_name(f"{house.newest_backup.name}.sha256").unlink()
    house.newest_backup.unlink()
    backup(house.settings, house.settings.backup_dir)
    difference = only(house.verify(repair=True))
    assert difference.wrong == ("table", "backup")
    assert difference.is_repaired


def test_what_no_copy_decides_is_said_to_be_so(house: House) -> None:
    """A reading that is in no file and no backup; its hour shows that something has changed."""
    number = ALL - 1
    execute(house.file, f"UPDATE readings SET pressure = pressure + 8 WHERE id = {number}")
    before = house.contents()
    result = house.verify(repair=True)
    assert {each.kind for each in result.differences} == {"hour"}
    assert [each.wrong for each in result.differences] == [()]
    assert house.contents() == before
    assert len(result.open) == 1


def test_a_table_and_a_changed_file_alone_prove_themselves_by_the_checksum(house: House) -> None:
    """Without a backup the file's checksum says which of the two has changed."""
    shutil.rmtree(house.settings.backup_dir)
    path = house.csv("data")
    content = path.read_bytes()
    path.write_bytes(content.replace(b",25.0", b",29.0", 1) if b",25.0" in content else
                     content[:-4] + bytes([content[-4] ^ 1]) + content[-3:])  # fmt: skip
    execute(house.file, "DELETE FROM rollups", "DELETE FROM rollup_days")
    result = house.verify(repair=True)
    of_files = [each for each in result.differences if each.kind == "file"]
    assert [(each.wrong, each.is_repaired) for each in of_files] == [(("csv",), True)]
    assert path.read_bytes() == content


REMOVED = (
    "INSERT INTO removed_hours SELECT endpoint, hour, measurement, readings, count, total,"
    " minimum, maximum FROM rollups WHERE endpoint = 'data' AND hour <= 487778",
    "DELETE FROM readings WHERE endpoint = 'data' AND received_at < 1756004400000",
    "INSERT INTO removed (endpoint, last_id, last_ms, readings) SELECT 'data', min(id) - 1, 0,"
    " 1 FROM readings WHERE endpoint = 'data'",
)


def test_readings_that_were_removed_on_purpose_are_no_difference(house: House) -> None:
    execute(house.file, *REMOVED)
    with closing(Database(house.settings)) as database:
        first = select(house.file, "SELECT min(id) FROM readings WHERE endpoint = 'data'")[0][0]
        size = sum(
            map(len, house.csv("data").read_bytes().splitlines(keepends=True)[: first // 2 + 1])
        )
        assert size
        checksum = zlib.crc32(house.csv("data").read_bytes()[:size])
        execute(
            house.file,
            f"UPDATE csv_files SET floor_last_id = {first - 2}, floor_size_bytes = {size},"
            f" floor_checksum = {checksum} WHERE name = 'PicodataX.csv'",
        )
        assert run.verify(house.settings, database).differences == ()


def test_a_station_without_a_file_and_late_readings_are_no_difference(house: House) -> None:
    at = FIRST_MS + 30_000
    execute(
        house.file,
        "INSERT INTO readings (endpoint, received_at, arrived_at, temperature)"
        f" VALUES ('data3', {at}, {at + 86_400_000}, 5.5)",
        "INSERT INTO readings (endpoint, received_at, arrived_at, pressure, temperature)"
        f" VALUES ('data', {at}, {at + 86_400_000}, 990.0, 5.5)",
    )
    roll_up(house.settings)
    assert house.verify().differences == ()


def test_a_row_that_only_backup_and_file_have_is_put_back(house: House) -> None:
    """Also once the roll-ups were made of what is left."""
    before = house.contents()
    execute(house.file, "DELETE FROM readings WHERE id = 7")
    with closing(Database(house.settings)) as database:
        stations, zone = house.settings.stations, house.settings.zone
        assert [*rollup_check.rebuild(stations, database, zone)]
    difference = only(house.verify())
    assert (difference.kind, difference.wrong, difference.number) == ("reading", ("table",), 7)
    assert difference.values.keys() == {"table", "csv", "backup"}
    assert house.verify(repair=True).open == ()
    assert house.contents() == before


def test_a_row_that_only_the_backup_has_is_named(house: House) -> None:
    """Without its file two copies say two things."""
    for endpoint in STATIONS:
        house.csv(endpoint).unlink()
    execute(house.file, "DELETE FROM readings WHERE id = 7")
    (difference,) = [each for each in house.verify(repair=True).open if each.kind == "reading"]
    assert (difference.wrong, difference.number) == ((), 7)
    assert select(house.file, "SELECT count(*) FROM readings") == [(ALL - 1,)]


def test_a_row_that_only_the_file_has_is_named(house: House) -> None:
    """It came after the backup; the line has no milliseconds, so it is not made a reading."""
    execute(house.file, f"DELETE FROM readings WHERE id = {EXPORTED - 3}")
    result = house.verify(repair=True)
    (difference,) = [each for each in result.open if each.kind == "line"]
    assert difference.number == EXPORTED - 3
    assert difference.values["csv"] in house.csv(STATIONS[(EXPORTED - 4) % 2]).read_text()
    text = Words(house.settings, translation("en")).difference(difference)
    assert f"flask10x verify --accept {EXPORTED - 3}" in text


def test_a_backup_of_another_history_is_no_witness(house: House) -> None:
    """A restored backup gives ids to other readings than the lost database did."""
    execute(
        house.file,
        "UPDATE readings SET received_at = received_at + 1000000000, pressure = 1, temperature = 2"
        " WHERE id = 359",
    )
    with closing(sqlite3.connect(house.newest_backup)) as connection:
        connection.execute(
            "INSERT INTO readings (id, endpoint, received_at, pressure, temperature)"
            f" VALUES (360, 'data', {FIRST_MS}, 7.0, 8.0)"
        )
        connection.commit()
    path = house.newest_backup
    path.with_name(f"{path.name}.sha256").unlink()
    assert "reading" not in {each.kind for each in house.verify().differences}


@pytest.mark.parametrize("is_exported", [True, False])
def test_the_newest_saved_reading_may_rot_at_two_places(house: House, is_exported: bool) -> None:
    """The backup is compared all the same: it is of the same history."""
    if not is_exported:
        shutil.rmtree(house.settings.csv_dir)
    values = f"SELECT * FROM readings WHERE id IN (101, {SAVED}) ORDER BY id"
    right = select(house.file, values)
    execute(
        house.file,
        f"UPDATE readings SET co2 = co2 + 8, temperature = temperature + 8 WHERE id = {SAVED}",
        "UPDATE readings SET temperature = temperature + 8 WHERE id = 101",
    )
    found = house.verify()
    assert {each.number for each in found.open if each.kind == "reading"} == {101, SAVED}
    assert found.backup_readings == SAVED
    repaired = house.verify(repair=True)
    assert is_exported == (select(house.file, values) == right) == (not repaired.open)


@pytest.mark.sqlite_only("damages its file")
def test_a_broken_page_is_said_to_be_unreadable(house: House) -> None:
    place = next(each for each in stored_values(house.file, "readings") if each.row == (150,))
    size = 4096
    start = place.offset // size * size
    with house.file.open("r+b") as file:
        file.seek(start)
        file.write(bytes(64))
    result = house.verify(repair=True)
    assert "unreadable" in {each.kind for each in result.differences}
    # A page is no value: what is left of the file is for a rescue.
    assert not any(each.is_repaired for each in result.differences)
    assert len([*house.settings.backup_dir.glob("*.sqlite3")]) == 1


@pytest.mark.sqlite_only("compares a backup file")
@pytest.mark.parametrize(("call", "path"), [(1, "readings"), (2, "backup")])
def test_what_cannot_be_read_is_named(
    house: House, monkeypatch: pytest.MonkeyPatch, call: int, path: str
) -> None:
    """The last reading of both is read in the table first, then in the backup."""
    calls: list[int] = []

    def row_of(connection: Connection, number: int) -> Row | None:
        calls.append(number)
        if len(calls) == call:
            raise DBAPIError("SELECT", None, sqlite3.OperationalError("disk I/O error"))
        return findings.row_of(connection, number)

    monkeypatch.setattr(comparing, "row_of", row_of)
    assert [(each.kind, each.path) for each in house.verify().differences] == [("unreadable", path)]


@pytest.mark.sqlite_only("flips bits of its file")
def test_an_index_that_is_out_of_order_is_made_again(house: House) -> None:
    """The table has another time than the index; file and backup have that of the table."""
    before = house.contents()
    place = next(
        each
        for each in stored_values(house.file, "ix_readings_endpoint_received_at")
        if each.row == (51,)
    )
    flip(house.file, place.offset + place.length - 3, 4)
    difference = only(house.verify(repair=True))
    assert (difference.kind, difference.wrong) == ("tree", ("index",))
    assert difference.is_repaired
    assert house.contents() == before


@pytest.mark.sqlite_only("flips bits of its file")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("number", [4, pytest.param(rot.TRIALS, marks=pytest.mark.long)])
def test_a_key_of_the_roll_ups_is_put_back(tmp_path: Path, number: int) -> None:
    counted = rot.trials(tmp_path, number)
    kept = ("trials", "found", "no backup before the repair")
    assert {name: n for name, n in counted.items() if n and name not in kept} == {}
    assert counted["found"] == counted["trials"] == number


def test_an_hour_without_readings_is_taken_out(house: House) -> None:
    """What the roll-ups have of no reading is compared again, too, before anything is well."""
    before = house.contents()
    execute(
        house.file,
        "INSERT INTO rollups SELECT endpoint, measurement, hour + 1000, readings, count, total,"
        " minimum, maximum FROM rollups WHERE endpoint = 'data' AND measurement = 'pressure'"
        " AND hour = 487778",
    )
    result = house.verify(repair=True)
    assert [(each.kind, each.wrong, each.is_repaired) for each in result.differences] == [
        ("hour", ("hours",), True)
    ]
    assert house.contents() == before


@pytest.mark.parametrize("has_backup", [True, False])
def test_the_sums_of_removed_readings_are_not_overwritten(house: House, has_backup: bool) -> None:
    """They come back from a backup; without one the roll-ups, which are right, stay."""
    house.csv("data").unlink()
    execute(house.file, *REMOVED, "DELETE FROM csv_files WHERE name = 'PicodataX.csv'")
    shutil.rmtree(house.settings.backup_dir)
    if has_backup:
        backup(house.settings, house.settings.backup_dir)
    assert house.verify().differences == ()
    before = house.contents()
    execute(
        house.file,
        "UPDATE removed_hours SET total = total + 8 WHERE measurement = 'pressure'"
        " AND hour = 487778",
    )
    environment = databases.environment_of(house.settings.data_dir)
    environment["FLASK10X_TIMEZONE"] = "Asia/Tokyo"
    refused = run_command(["rollups", "--rebuild"], environment)
    assert refused.returncode == 1 and b"flask10x verify --repair" in refused.stderr
    difference = only(house.verify(repair=True))
    assert difference.is_repaired == has_backup
    if has_backup:
        assert (difference.kind, difference.wrong) == ("kept", ("table",))
        assert house.contents() == before
    else:
        assert difference.wrong == ()
        rows = "SELECT * FROM rollups"
        assert sorted(map(repr, select(house.file, rows))) == before["rollups"]


def accept(house: House, *ids: int) -> tuple[int, str]:
    environment = databases.environment_of(house.settings.data_dir)
    environment["FLASK10X_TIMEZONE"] = "Asia/Tokyo"
    done = run_command(["verify", "--accept", *map(str, ids)], environment)
    return done.returncode, (done.stdout + done.stderr).decode()


def test_what_was_changed_on_purpose_is_accepted(house: House, table_wrong: int) -> None:
    wrong = house.csv("data").read_bytes()
    assert only(house.verify()).wrong == ("table",)
    ((value,),) = select(house.file, "SELECT temperature FROM readings WHERE id = 101")
    assert accept(house, table_wrong)[0] == 0
    assert select(house.file, "SELECT temperature FROM readings WHERE id = 101") == [(value,)]
    assert saved_temperature(house.newest_backup) == value
    assert house.csv("data").with_name("PicodataX.csv.old").read_bytes() == wrong
    assert f",{value}\r\n" in house.csv("data").read_bytes().decode()
    ((text,),) = select(house.file, "SELECT text FROM notes")
    assert "Accepted" in text and f"temperature {value}" in text
    assert house.verify().differences == ()
    with closing(Database(house.settings)) as database:
        looks = compared_rollups.hours(house.settings.stations, database)
        assert not any(look.differences for look in looks)


def test_a_reading_that_was_deleted_on_purpose_is_accepted(house: House) -> None:
    execute(house.file, "DELETE FROM readings WHERE id IN (7, 337)")
    status, said = accept(house, 7)
    assert status == 1 and "something else differs" in said
    assert select(house.file, "SELECT text FROM notes") == []
    assert accept(house, 7, 337)[0] == 0
    assert house.verify().differences == ()
    assert len(house.csv("data").read_bytes().splitlines()) == 1 + ALL // 2 - 2


def test_a_change_that_only_its_hour_shows_is_accepted(house: House) -> None:
    number = ALL - 1
    execute(house.file, f"UPDATE readings SET pressure = pressure + 8 WHERE id = {number}")
    assert accept(house, number)[0] == 0
    assert house.verify().differences == ()


def test_what_does_not_differ_is_not_accepted(house: House, table_wrong: int) -> None:
    status, said = accept(house, table_wrong, 103)
    assert status == 1 and "103" in said
    assert only(house.verify()).wrong == ("table",)
    for arguments in (["--accept"], ["7"], ["--repair", "--accept", "7"]):
        environment = databases.environment_of(house.settings.data_dir)
        assert run_command(["verify", *arguments], environment).returncode == 2


def test_a_lost_sector_of_a_file_is_written_again(house: House) -> None:
    path = house.csv("data2")
    content = path.read_bytes()
    path.write_bytes(content[:2048] + bytes(512) + content[2560:])
    result = house.verify(repair=True)
    assert {each.wrong for each in result.differences} == {("csv",)}
    assert result.open == ()
    assert path.read_bytes() == content


def test_a_damaged_result_is_none(house: House) -> None:
    house.verify()
    verified.path_of(house.settings).write_bytes(b'{"version": 2, "result": {"x": 1')
    assert verified.last_result(house.settings) is None
    assert house.verify().differences == ()


@pytest.mark.parametrize("is_wrong", [False, True])
def test_the_command_says_what_differs(house: House, is_wrong: bool) -> None:
    if is_wrong:
        execute(house.file, "UPDATE readings SET temperature = temperature + 8 WHERE id = 101")
    environment = databases.environment_of(house.settings.data_dir)
    environment["FLASK10X_TIMEZONE"] = "Asia/Tokyo"
    done = run_command(["verify"], environment)
    assert done.returncode == int(is_wrong)
    said = done.stdout.decode()
    assert f"{ALL} readings, {EXPORTED} lines" in said
    assert ("Wrong: the table." in said) == is_wrong
    done = run_command(["verify", "--repair"], environment)
    assert (done.returncode, b"1 repaired" in done.stdout) == (0, is_wrong)
