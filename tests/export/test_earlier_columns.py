"""A station whose columns change: the old file keeps its bytes, a new one begins, nothing twice."""

from dataclasses import replace

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export import target
from flask10x.export.append import dry_run, export
from flask10x.export.rebuild import rebuild
from flask10x.export.verify import verify
from flask10x.importing.importer import import_file
from flask10x.readings.stations import BUILT_IN, Station, Stations
from tests.support.csv_folder import FIRST_MS, HEADER, NAME, csv_file, line, lines, put, store
from tests.support.rows import execute
from tests.support.stations import BALCONY, add_columns, with_measurement

WETTER = with_measurement(BUILT_IN, "data", BALCONY.measurements[1])
NEW_HEADER = b"current_time,Pressure,Tempereture,Wet\r\n"
DAY = "2026-11-26"
KEPT = f"PicodataX-until-{DAY}.csv"
CHANGED = "the station's columns have changed"


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    # 01:00 in Tokyo, the day before in UTC.
    monkeypatch.setattr(target, "now_ms", lambda: 1_795_622_400_000)


@pytest.fixture
def wetter(settings: Settings, database: Database) -> Settings:
    """Two rows are in a file of two columns; two more wait, and the station has three columns."""
    add_columns(database.path, "soil_wet")
    store(settings, 0, 1)
    export(settings, database, [BUILT_IN.all[0]])
    store(settings, 2)
    execute(
        database.path,
        "INSERT INTO readings (endpoint, received_at, pressure, temperature, soil_wet)"
        f" VALUES ('data', {FIRST_MS + 3000}, 993.5, 25.0, 40.5)",
    )
    return replace(settings, stations=WETTER)


OLD = HEADER + lines(0, 1)
NEW = NEW_HEADER + b"".join(
    f"2025-08-24 10:46:{40 + n},{990 + n}.5,25.0,{wet}\r\n".encode()
    for n, wet in [(2, ""), (3, 40.5)]
)


def pico(settings: Settings) -> list[Station]:
    return [settings.stations.by_endpoint["data"]]


def files(settings: Settings) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in settings.csv_dir.iterdir()}


def test_a_new_file_begins(wetter: Settings, database: Database) -> None:
    archived = wetter.csv_dir / KEPT
    outcome = dry_run(wetter, database, pico(wetter))[0]
    assert outcome.text == (
        f"2 rows would be appended; would start a new file, as {CHANGED}; the old file: {archived}"
    )
    outcome = verify(wetter, database, pico(wetter))[0]
    assert (outcome.failed, outcome.rows) == (False, 2)
    assert outcome.text.endswith(
        f"equal; {CHANGED}: the next export begins a new file; 2 rows not exported yet"
    )
    assert files(wetter) == {NAME: OLD}

    outcome = export(wetter, database, pico(wetter))[0]
    assert (
        outcome.text
        == f"2 rows appended; started a new file, as {CHANGED}; the old file is {archived}"
    )
    assert files(wetter) == {KEPT: OLD, NAME: NEW}
    outcome = export(wetter, database, pico(wetter))[0]
    assert outcome.text == "0 rows appended"
    assert not verify(wetter, database, pico(wetter))[0].failed
    outcome = rebuild(wetter, database, pico(wetter))[0]
    assert outcome.text == "2 rows as before"
    assert files(wetter) == {KEPT: OLD, NAME: NEW}


def test_a_second_change_on_one_day(wetter: Settings, database: Database) -> None:
    export(wetter, database, pico(wetter))
    back = replace(wetter, stations=BUILT_IN)
    outcome = verify(back, database, pico(back))[0]
    assert outcome.text.endswith(f", equal; {CHANGED}: the next export begins a new file")
    assert (outcome.failed, outcome.rows) == (False, 2)
    export(back, database, pico(back))
    second = f"PicodataX-until-{DAY}-2.csv"
    assert files(back) == {KEPT: OLD, second: NEW, NAME: HEADER}


def test_the_old_file_can_be_rebuilt_instead(wetter: Settings, database: Database) -> None:
    outcome = rebuild(wetter, database, pico(wetter))[0]
    assert outcome.text == f"4 rows written; the old file is kept as {csv_file(wetter)}.old"
    gap = b"\r\n".join(row + b"," if row else row for row in lines(0, 1).split(b"\r\n"))
    assert files(wetter) == {
        f"{NAME}.old": OLD,
        NAME: NEW_HEADER + gap + NEW.removeprefix(NEW_HEADER),
    }
    # And with columns that are gone.
    back = replace(wetter, stations=BUILT_IN)
    assert rebuild(back, database, pico(back))[0].rows == 4
    assert files(back)[NAME] == HEADER + lines(0, 1, 2, 3)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"current_time,Pressure\r\n", "rows that were already in the file have been changed"),
        (OLD.replace(b"990.5", b"111.5"), "the first line is"),
        (OLD + b"garbage\r\n", "the file goes on behind the last exported row"),
        (OLD + line(2), "an older database was restored: the next row to append"),
        (OLD + line(7), "the file goes on behind the last exported row"),
    ],
)
def test_somebody_elses_file_is_refused_as_ever(
    wetter: Settings, database: Database, content: bytes, error: str
) -> None:
    put(wetter, content)
    outcome = export(wetter, database, pico(wetter))[0]
    assert outcome.failed
    assert outcome.text.startswith(error)
    assert files(wetter) == {NAME: content}


def test_a_file_that_was_never_exported_to_is_refused_as_ever(
    settings: Settings, database: Database
) -> None:
    put(settings, OLD)
    changed = replace(settings, stations=WETTER)
    outcome = export(changed, database, pico(changed))[0]
    assert outcome.text.startswith("the first line is")
    assert files(settings) == {NAME: OLD}


def test_an_interrupted_export_is_ended_with_the_columns_of_then(
    wetter: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had left half a line of its second row."""

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    before = replace(wetter, stations=BUILT_IN)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("flask10x.export.file.CsvFile.sync", die)
        export(before, database, pico(before))
    assert csv_file(wetter).read_bytes() == OLD + lines(2, 3)
    csv_file(wetter).write_bytes(OLD + line(2) + line(3)[:9])

    outcome = export(wetter, database, pico(wetter))[0]
    assert outcome.text == (
        f"2 rows appended; started a new file, as {CHANGED}; the old file is"
        f" {wetter.csv_dir / KEPT}; 41 bytes of an interrupted export cut off"
    )
    assert files(wetter) == {KEPT: OLD, NAME: NEW}


def wet(*numbers: int) -> bytes:
    rows = (f"2025-08-24 10:46:{40 + n},{990 + n}.5,25.0,{n}.25\r\n" for n in numbers)
    return "".join(rows).encode()


def store_wet(database: Database, *numbers: int) -> None:
    values = (f"('data', {FIRST_MS + 1000 * n}, {990 + n}.5, 25, {n}.25)" for n in numbers)
    columns = "(endpoint, received_at, pressure, temperature, soil_wet)"
    execute(database.path, f"INSERT INTO readings {columns} VALUES {', '.join(values)}")


@pytest.mark.parametrize("size", [0, 60, 100])
def test_the_last_values_of_a_measurement_that_is_taken_out(
    wetter: Settings, database: Database, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """They go into the old file, also when the export dies and leaves some or all bytes of them."""
    export(wetter, database, pico(wetter))
    store_wet(database, 5, 6)
    store(wetter, 7)
    back = replace(wetter, stations=BUILT_IN)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("flask10x.export.file.CsvFile.sync", die)
        export(back, database, pico(back))
    assert csv_file(back).read_bytes() == NEW + wet(5, 6)
    csv_file(back).write_bytes(NEW + wet(5, 6)[:size])
    assert not dry_run(back, database, pico(back))[0].failed
    assert not export(back, database, pico(back))[0].failed
    second = f"PicodataX-until-{DAY}-2.csv"
    assert files(back) == {KEPT: OLD, second: NEW + wet(5, 6), NAME: HEADER + lines(7)}


def test_the_last_values_of_a_file_that_gets_another_name(
    wetter: Settings, database: Database
) -> None:
    """With the measurement taken out in the same change."""
    export(wetter, database, pico(wetter))
    store_wet(database, 5)
    store(wetter, 7)
    dry = replace(BUILT_IN.by_endpoint["data"], csv_name="Pico.csv")
    renamed = replace(wetter, stations=Stations((dry,)))
    assert not export(renamed, database, [dry])[0].failed
    second = f"PicodataX-until-{DAY}-2.csv"
    assert files(renamed) == {KEPT: OLD, second: NEW + wet(5), "Pico.csv": HEADER + lines(7)}


def test_the_old_file_is_imported_by_its_name(wetter: Settings, database: Database) -> None:
    """Nothing is new; and in an empty database its rows do not go into the new file."""
    export(wetter, database, pico(wetter))
    done = import_file(wetter, database, wetter.csv_dir / KEPT)
    assert (done.stored, done.present, done.missing) == (0, 2, ("Wet",))
    assert export(wetter, database, pico(wetter))[0].rows == 0

    execute(database.path, "DELETE FROM readings", "DELETE FROM csv_files")
    for name in (KEPT, NAME):
        assert import_file(wetter, database, wetter.csv_dir / name).stored == 2
    assert export(wetter, database, pico(wetter))[0].text == "0 rows appended"
    assert files(wetter) == {KEPT: OLD, NAME: NEW}
