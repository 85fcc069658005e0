"""The zone of a CSV file: kept with it, and a command in another zone writes nothing to it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.errors import ImportRefused
from flask10x.export.append import dry_run, export
from flask10x.export.file import CsvFile, put_in_place
from flask10x.export.outcome import FileOutcome
from flask10x.export.rebuild import rebuild
from flask10x.export.verify import verify
from flask10x.importing.importer import import_file
from flask10x.readings.stations import BUILT_IN
from tests.conftest import MakeSettings
from tests.support.csv_folder import (
    FIRST_MS,
    HEADER,
    NAME,
    STORE,
    csv_file,
    database_file,
    line,
    lines,
    put,
    store,
)
from tests.support.rows import execute, select

PICO = [BUILT_IN.by_endpoint["data"]]
In = Callable[..., FileOutcome]


def in_utc(number: int) -> bytes:
    """The line of a reading as a command in UTC wrote it."""
    return line(number).replace(b" 10:", b" 01:")


@pytest.fixture
def export_in(
    make_settings: MakeSettings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> Iterator[In]:
    """The export as a command with this setting does it; `TZ=...` is the system's zone."""

    def run(zone: str, action: Callable[..., list[FileOutcome]] = export) -> FileOutcome:
        with monkeypatch.context() as patch:
            config = make_settings(TIMEZONE="UTC" if zone.startswith("TZ=") else zone)
            if zone.startswith("TZ="):
                config = replace(config, timezone="")
                patch.setenv("TZ", zone.removeprefix("TZ="))
                time.tzset()
            return action(config, database, PICO)[0]

    yield run
    time.tzset()


def exports_row(settings: Settings) -> list[tuple[object, ...]]:
    columns = "first_id, last_id, size_bytes, checksum, zone, last_received_at, last_time"
    query = f"SELECT {columns} FROM csv_files WHERE name = 'PicodataX.csv'"
    return select(database_file(settings), query)


def test_a_command_in_another_zone_writes_nothing(settings: Settings, export_in: In) -> None:
    store(settings, 0, 1)
    assert export_in("Asia/Tokyo").text == "2 rows appended"
    before, saved = csv_file(settings).read_bytes(), exports_row(settings)
    assert saved[0][-3:] == ("Asia/Tokyo", FIRST_MS + 1123, "2025-08-24 10:46:41")
    store(settings, 2)
    for action in (dry_run, export):
        outcome = export_in("UTC", action)
        assert outcome.failed
        assert outcome.text == (
            "the file was written in the time zone Asia/Tokyo, this command runs in UTC: 2025-08-24"
            " 10:46:41 there is 2025-08-24 01:46:41 here; nothing was written. Mend it: run the"
            " command with the service's settings, or, if the zone was changed on purpose, flask10x"
            " export --rebuild PicodataX.csv"
        )
    assert export_in("UTC", verify).text == (
        "0 rows; DIFFERENT: the file was written in the time zone Asia/Tokyo, this command runs in"
        " UTC: 2025-08-24 10:46:41 there is 2025-08-24 01:46:41 here. Mend it: run the command"
        " with the service's settings, or, if the zone was changed on purpose, flask10x export"
        " --rebuild PicodataX.csv"
    )
    assert csv_file(settings).read_bytes() == before
    assert exports_row(settings) == saved
    assert export_in("Asia/Tokyo").text == "1 row appended"
    assert csv_file(settings).read_bytes() == HEADER + lines(0, 1, 2)
    assert not export_in("Asia/Tokyo", verify).failed


def test_a_heading_alone_has_a_zone(settings: Settings, export_in: In) -> None:
    export_in("Asia/Tokyo")
    store(settings, 0)
    assert export_in("UTC").failed
    assert csv_file(settings).read_bytes() == HEADER


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Asia/Tokyo", "Japan"),
        ("Asia/Tokyo", "TZ=Asia/Tokyo"),
        ("TZ=JST-9", "Asia/Tokyo"),
        ("TZ=<+09>-9", "TZ=JST-9"),
        ("TZ=", "UTC"),
    ],
)
def test_another_name_for_the_same_times_goes_on(
    settings: Settings, export_in: In, first: str, second: str
) -> None:
    store(settings, 0)
    export_in(first)
    store(settings, 1)
    outcome = export_in(second)
    names = [name.removeprefix("TZ=") or "UTC" for name in (second, first)]
    renamed = f"; its time zone is {names[0]} now, it was {names[1]}"
    assert outcome.text == "1 row appended" + (renamed if names[0] != names[1] else "")
    assert exports_row(settings)[0][-3] == names[0]
    assert export_in(second).text == "0 rows appended"
    assert not export_in(first).failed


@pytest.mark.parametrize(
    ("first", "second", "times"),
    [
        ("TZ=JST-9", "UTC", "2025-08-24 10:46:40 there is 2025-08-24 01:46:40 here"),
        # The last row looks the same in both, the coming winter does not.
        ("Europe/London", "TZ=BST-1", "2025-10-26 01:00:00 there is 2025-10-26 02:00:00 here"),
        ("TZ=BST-1", "Europe/London", " there is "),
    ],
)
def test_another_zone_is_refused(
    settings: Settings, export_in: In, first: str, second: str, times: str
) -> None:
    store(settings, 0)
    export_in(first)
    store(settings, 1)
    outcome = export_in(second)
    assert outcome.failed
    assert times in outcome.text
    assert export_in(first).text == "1 row appended"


def test_a_noted_zone_that_this_system_does_not_know(settings: Settings, export_in: In) -> None:
    store(settings, 0)
    export_in("Asia/Tokyo")
    execute(database_file(settings), "UPDATE csv_files SET zone = 'No/Where'")
    assert export_in("Asia/Tokyo").text.startswith(
        "the file was written in the time zone No/Where, which this system does not know; this"
        " command runs in Asia/Tokyo; nothing was written. Mend it: "
    )
    assert export_in("Asia/Tokyo", rebuild).text == (
        "1 row as before; its time zone is Asia/Tokyo now, it was No/Where"
    )
    assert not export_in("Asia/Tokyo").failed


@pytest.mark.parametrize("zone", ["Europe/Berlin", "TZ=CET-1CEST,M3.5.0,M10.5.0/3"])
@pytest.mark.parametrize("change", ["2025-10-26T01:00Z", "2026-03-29T01:00Z"])
def test_a_clock_change_is_no_other_zone(
    settings: Settings, export_in: In, zone: str, change: str
) -> None:
    """One export after the other, from an hour before the change to two hours after it."""
    start = int(datetime.fromisoformat(change).timestamp() * 1000)
    for minute in range(-60, 121, 20):
        execute(database_file(settings), f"{STORE} ('data', {start + minute * 60_000}, 1.0, 2.0)")
        assert export_in(zone).text == "1 row appended"
        assert export_in(zone).text == "0 rows appended"
        assert not export_in(zone, verify).failed
        assert export_in("UTC").failed
    assert export_in(zone, rebuild).text == "10 rows as before"


def test_a_zone_changed_on_purpose(settings: Settings, export_in: In) -> None:
    store(settings, 0, 1)
    export_in("Asia/Tokyo")
    old = csv_file(settings).read_bytes()
    outcome = export_in("UTC", rebuild)
    assert outcome.text == (
        f"2 rows written; the old file is kept as {csv_file(settings)}.old; its time zone is UTC"
        " now, it was Asia/Tokyo"
    )
    assert csv_file(settings).read_bytes() == HEADER + in_utc(0) + in_utc(1)
    assert csv_file(settings).with_name(f"{NAME}.old").read_bytes() == old
    store(settings, 2)
    assert export_in("UTC").text == "1 row appended"
    assert export_in("Asia/Tokyo").failed
    assert not export_in("UTC", verify).failed


def test_rows_that_only_the_old_file_has_are_imported_in_its_zone(
    settings: Settings, export_in: In
) -> None:
    put(settings, HEADER + lines(7))
    store(settings, 8)
    export_in("Asia/Tokyo")
    outcome = export_in("UTC", rebuild)
    assert outcome.failed
    assert "rows of the file are not in the database: 1, the first is line 2" in outcome.text
    assert (
        "Mend it: in the time zone of the file, Asia/Tokyo: flask10x import"
        f" {csv_file(settings)}; flask10x export --rebuild PicodataX.csv"
    ) in outcome.text


def test_a_new_file_may_have_another_zone(settings: Settings, export_in: In) -> None:
    store(settings, 0)
    export_in("Asia/Tokyo")
    csv_file(settings).rename(settings.data_dir / "archive.csv")
    store(settings, 1)
    assert export_in("UTC").text == (
        "1 row appended; started a new file, as that of the last export is gone; its time zone"
        " is UTC now, it was Asia/Tokyo"
    )
    assert csv_file(settings).read_bytes() == HEADER + in_utc(1)


def constant(settings: Settings, *minutes: int) -> None:
    """Readings whose values never change, at the same second of each of these minutes."""
    values = (f"('data', {FIRST_MS + 60_000 * minute}, 990.5, 25.0)" for minute in minutes)
    execute(database_file(settings), STORE + ", ".join(values))


def constant_lines(*minutes: int) -> bytes:
    start = datetime(2025, 8, 24, 10, 46, 40)  # noqa: DTZ001
    times = (start + timedelta(minutes=minute) for minute in minutes)
    return b"".join(f"{time},990.5,25.0\r\n".encode() for time in times)


def test_equal_readings_a_quarter_of_an_hour_apart_are_not_in_another_zone(
    settings: Settings, database: Database, export_in: In
) -> None:
    """The file has readings that the database has lost; nothing of them is given up."""
    constant(settings, *range(30))
    put(settings, HEADER + constant_lines(*range(30), 30, 31))
    outcome = export_in("Asia/Tokyo", rebuild)
    assert outcome.failed
    assert "rows of the file are not in the database: 2, the first is line 32" in outcome.text
    assert f"Mend it: flask10x import {csv_file(settings)}; " in outcome.text


def test_a_time_that_the_new_zone_never_had(
    settings: Settings, database: Database, export_in: In
) -> None:
    """02:30 of a night in which Berlin went from 02:00 to 03:00 at once."""
    received_at = int(datetime.fromisoformat("2026-03-29T02:30Z").timestamp() * 1000)
    execute(database_file(settings), f"{STORE} ('data', {received_at}, 1.0, 2.0)")
    assert export_in("UTC").rows == 1
    assert csv_file(settings).read_bytes() == HEADER + b"2026-03-29 02:30:00,1.0,2.0\r\n"
    assert not export_in("Europe/Berlin", rebuild).failed
    assert csv_file(settings).read_bytes() == HEADER + b"2026-03-29 04:30:00,1.0,2.0\r\n"


# Interrupted exports.


def test_an_interrupted_export_is_gone_on_with_in_its_zone_only(
    settings: Settings, export_in: In, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(settings, 0)
    export_in("Asia/Tokyo")
    store(settings, 1)
    for stopped_before in (0, 1):
        with monkeypatch.context() as patch:
            patch.setattr(CsvFile, "append", written_to_the_end if stopped_before else killed)
            with pytest.raises(KeyboardInterrupt):
                export_in("Asia/Tokyo")
        assert "the file was written in the time zone Asia/Tokyo" in export_in("UTC").text
    assert export_in("Asia/Tokyo").text == (
        "0 rows appended; an interrupted export was found to be complete"
    )
    assert exports_row(settings)[0][-3:] == ("Asia/Tokyo", FIRST_MS + 1123, "2025-08-24 10:46:41")


def killed(_file: CsvFile, _data: bytes, _start: int) -> None:
    raise KeyboardInterrupt


def written_to_the_end(file: CsvFile, data: bytes, _start: int) -> None:
    with open(file.path, "ab") as opened:
        opened.write(data)
    raise KeyboardInterrupt


@pytest.fixture
def rebuild_killed_in(monkeypatch: pytest.MonkeyPatch, export_in: In) -> Callable[..., None]:
    """Kill a rebuild in this zone before its position is committed, or its file takes the name."""

    def run(zone: str, before: str = "put_in_place") -> None:
        def stop(*_arguments: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(f"flask10x.export.rebuild.{before}", stop)
            export_in(zone, rebuild)

    return run


def test_an_interrupted_rebuild_in_a_new_zone(
    settings: Settings, export_in: In, rebuild_killed_in: Callable[..., None]
) -> None:
    store(settings, 0)
    export_in("Asia/Tokyo")
    rebuild_killed_in("UTC")
    assert csv_file(settings).read_bytes() == HEADER + line(0)
    assert exports_row(settings)[0][-3:] == ("UTC", FIRST_MS + 123, "2025-08-24 01:46:40")
    for zone in ("Asia/Tokyo", "UTC"):
        assert export_in(zone, verify).text == (
            "0 rows; DIFFERENT: an export was interrupted; run: flask10x export"
        )
    assert export_in("UTC", dry_run).text == (
        "0 rows would be appended; an interrupted rebuild was found to be complete"
    )
    assert csv_file(settings).read_bytes() == HEADER + line(0)
    assert "written in the time zone UTC" in export_in("Asia/Tokyo").text
    assert csv_file(settings).read_bytes() == HEADER + in_utc(0)
    assert csv_file(settings).with_name(f"{NAME}.old").read_bytes() == HEADER + line(0)
    assert not export_in("UTC").failed


def test_a_rebuild_is_interrupted_when_its_file_has_the_name(
    settings: Settings, export_in: In, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(settings, 0)
    export_in("Asia/Tokyo")

    def named(path: Path) -> None:
        put_in_place(path)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("flask10x.export.rebuild.put_in_place", named)
        export_in("UTC", rebuild)
    store(settings, 1)
    assert export_in("UTC").text == "1 row appended"
    assert csv_file(settings).read_bytes() == HEADER + in_utc(0) + in_utc(1)
    assert not export_in("UTC", verify).failed


def test_a_rebuild_that_was_comparing_old_rows_is_given_up(
    settings: Settings, export_in: In, rebuild_killed_in: Callable[..., None]
) -> None:
    """Its file is what the last export left, without the row that the database lacks."""
    store(settings, 0)
    export_in("Asia/Tokyo")
    put(settings, HEADER + lines(0, 7))
    rebuild_killed_in("Asia/Tokyo", "check_old_rows")
    outcome = export_in("Asia/Tokyo")
    assert outcome.failed
    assert "the file goes on behind the last exported row" in outcome.text
    assert csv_file(settings).read_bytes() == HEADER + lines(0, 7)
    assert [each.name for each in settings.csv_dir.iterdir()] == [NAME]


def test_no_file_of_an_interrupted_rebuild_is_imported(
    settings: Settings,
    make_settings: MakeSettings,
    database: Database,
    export_in: In,
    rebuild_killed_in: Callable[..., None],
) -> None:
    """The old file has still the name, and the database knows the zone of the new one only."""
    put(settings, HEADER + lines(7))
    path, utc = csv_file(settings), make_settings(TIMEZONE="UTC")
    assert import_file(settings, database, path).stored == 1
    store(settings, 0)
    assert export_in("Asia/Tokyo").rows == 1
    rebuild_killed_in("UTC")
    for zone in (settings, utc):
        with pytest.raises(ImportRefused, match="an export was interrupted"):
            import_file(zone, database, path)
    assert not export_in("UTC").failed
    assert import_file(utc, database, path).stored == 0


def test_a_file_is_imported_after_a_rebuild_that_was_given_up(
    settings: Settings,
    make_settings: MakeSettings,
    database: Database,
    export_in: In,
    rebuild_killed_in: Callable[..., None],
) -> None:
    store(settings, 0)
    export_in("Asia/Tokyo")
    rebuild_killed_in("UTC", "save_state")
    assert csv_file(settings).read_bytes() == HEADER + line(0)
    put(settings, HEADER + lines(0, 1))
    outcome = import_file(settings, database, csv_file(settings))
    assert (outcome.stored, outcome.present) == (1, 1)
    with pytest.raises(ImportRefused, match="the file was written in the time zone Asia/Tokyo"):
        import_file(make_settings(TIMEZONE="UTC"), database, csv_file(settings))
    put(settings, HEADER + lines(0))
    assert not export_in("Asia/Tokyo").failed
    assert [each.name for each in settings.csv_dir.iterdir()] == [NAME]
