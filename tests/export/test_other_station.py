"""A CSV file whose name another station has now: each row in its own station's file, once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export import append, target
from flask10x.export.append import dry_run, export
from flask10x.export.outcome import FileOutcome
from flask10x.export.rebuild import rebuild
from flask10x.export.verify import verify
from flask10x.importing.importer import import_file
from flask10x.readings.stations import BUILT_IN, Measurement, Station, Stations
from tests.support.csv_folder import FIRST_MS
from tests.support.rows import execute, select
from tests.support.stations import BALCONY, add_columns

HEADER = b"current_time,Temperature,Wet\r\n"
BALCONY_1 = replace(BALCONY, endpoint="balcony")
VERANDA = replace(BALCONY_1, endpoint="veranda")
GARDEN = replace(BALCONY_1, endpoint="garden", csv_name="Garden.csv")
NAME = "Balcony.csv"
DAY = "2026-11-26"
KEPT = f"Balcony-until-{DAY}.csv"
With = Callable[..., Settings]


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "now_ms", lambda: 1_795_622_400_000)


@pytest.fixture
def having(settings: Settings, database: Database) -> With:
    """The settings with these stations besides the built-in ones."""
    add_columns(database.path, "soil_wet")

    def make(*stations: Station) -> Settings:
        return replace(settings, stations=Stations((*BUILT_IN.all, *stations)))

    return make


def store(database: Database, endpoint: str, *numbers: int) -> None:
    values = (f"('{endpoint}', {FIRST_MS + 1000 * n}, {n}.5, NULL)" for n in numbers)
    columns = "(endpoint, received_at, temperature, soil_wet)"
    execute(database.path, f"INSERT INTO readings {columns} VALUES {', '.join(values)}")


def lines(*numbers: int) -> bytes:
    return b"".join(f"2025-08-24 10:46:{40 + n},{n}.5,\r\n".encode() for n in numbers)


def files(settings: Settings) -> dict[str, bytes]:
    """Those of the stations that were added."""
    built_in = {station.csv_name for station in BUILT_IN.all}
    matching = (path for path in settings.csv_dir.iterdir() if path.name not in built_in)
    return {path.name: path.read_bytes() for path in matching}


def of(outcomes: list[FileOutcome], name: str) -> FileOutcome:
    (matching,) = (each for each in outcomes if each.path.name == name)
    return matching


def test_a_station_that_gets_another_name_and_back(having: With, database: Database) -> None:
    balcony, veranda = having(BALCONY_1), having(VERANDA)
    store(database, "balcony", 0, 1)
    export(balcony, database)
    store(database, "balcony", 2)
    store(database, "veranda", 3, 4)
    looked = of(dry_run(veranda, database), NAME)
    assert (
        looked.text
        == "1 row would be appended; it would be ended, and a new one begun for /veranda"
    )
    checked = of(verify(veranda, database), NAME)
    assert "it is the file of /balcony: the next export begins a new one" in checked.text
    assert not checked.failed
    done = of(export(veranda, database), NAME)
    archived = balcony.csv_dir / KEPT
    assert done.text == (
        "2 rows appended; a new file was begun, as this was the file of /balcony; that one is"
        f" {archived}"
    )
    assert files(balcony) == {KEPT: HEADER + lines(0, 1, 2), NAME: HEADER + lines(3, 4)}
    assert of(export(veranda, database), NAME).text == "0 rows appended"

    store(database, "veranda", 5)
    store(database, "balcony", 6)
    second = f"Balcony-until-{DAY}-2.csv"
    assert not of(export(balcony, database), NAME).failed
    assert files(balcony) == {
        KEPT: HEADER + lines(0, 1, 2),
        second: HEADER + lines(3, 4, 5),
        NAME: HEADER + lines(6),
    }
    assert of(verify(balcony, database), NAME).text.startswith("1 row, ")
    assert not of(verify(balcony, database), NAME).failed


def test_two_stations_that_change_their_files(having: With, database: Database) -> None:
    store(database, "balcony", 0, 1)
    store(database, "garden", 2, 3)
    export(having(BALCONY_1, GARDEN), database)
    store(database, "balcony", 4)
    store(database, "garden", 5)
    changed = having(
        replace(BALCONY_1, csv_name="Garden.csv"), replace(GARDEN, csv_name="Balcony.csv")
    )
    assert not any(outcome.failed for outcome in export(changed, database))
    assert files(changed) == {
        KEPT: HEADER + lines(0, 1),
        f"Garden-until-{DAY}.csv": HEADER + lines(2, 3, 5),
        "Garden.csv": HEADER + lines(4),
        "Balcony.csv": HEADER,
    }
    assert not any(outcome.failed for outcome in verify(changed, database))


def test_a_station_whose_file_gets_another_name(having: With, database: Database) -> None:
    store(database, "balcony", 0, 1)
    export(having(BALCONY_1), database)
    store(database, "balcony", 2)
    renamed = having(replace(BALCONY_1, csv_name="Veranda.csv"))
    done = of(export(renamed, database), "Veranda.csv")
    archived = renamed.csv_dir / KEPT
    assert done.text == (
        "1 row appended; it goes on after Balcony.csv, which the station had before; that one is"
        f" {archived}"
    )
    assert files(renamed) == {KEPT: HEADER + lines(0, 1), "Veranda.csv": HEADER + lines(2)}


def test_a_file_that_was_renamed_with_its_station(having: With, database: Database) -> None:
    """By who has changed `csv_file`, too: the export goes on in it."""
    store(database, "balcony", 0, 1)
    export(having(BALCONY_1), database)
    store(database, "balcony", 2)
    renamed = having(replace(BALCONY_1, csv_name="Veranda.csv"))
    (renamed.csv_dir / NAME).rename(renamed.csv_dir / "Veranda.csv")
    assert of(export(renamed, database), "Veranda.csv").text == "1 row appended"
    assert files(renamed) == {"Veranda.csv": HEADER + lines(0, 1, 2)}
    assert not of(verify(renamed, database), "Veranda.csv").failed


def test_a_file_with_imported_rows_that_was_renamed(having: With, database: Database) -> None:
    """The imported rows keep their place in it, before all others, though they came later."""
    balcony = having(BALCONY_1)
    path = balcony.data_dir / NAME
    path.write_bytes(HEADER + lines(0, 1))
    store(database, "balcony", 2)
    export(balcony, database)
    import_file(balcony, database, path)
    rebuild(balcony, database, [BALCONY_1])
    store(database, "balcony", 3)
    station = replace(BALCONY_1, csv_name="Veranda.csv")
    renamed = having(station)
    (renamed.csv_dir / NAME).rename(renamed.csv_dir / "Veranda.csv")
    assert of(export(renamed, database), "Veranda.csv").text == "1 row appended"
    assert files(renamed)["Veranda.csv"] == HEADER + lines(0, 1, 2, 3)
    assert of(verify(renamed, database), "Veranda.csv").text.startswith("4 rows, ")
    assert not of(verify(renamed, database), "Veranda.csv").failed
    assert of(rebuild(renamed, database), "Veranda.csv").text.startswith("4 rows as before")


def test_an_import_after_the_export_in_a_file_that_was_renamed(
    having: With, database: Database
) -> None:
    """Its rows came from the file, so they are not appended to it."""
    balcony = having(BALCONY_1)
    store(database, "balcony", 2)
    export(balcony, database)
    path = balcony.data_dir / f"Balcony-until-{DAY}.csv"
    path.write_bytes(HEADER + lines(0, 1))
    import_file(balcony, database, path)
    renamed = having(replace(BALCONY_1, csv_name="Veranda.csv"))
    (renamed.csv_dir / NAME).rename(renamed.csv_dir / "Veranda.csv")
    assert of(export(renamed, database), "Veranda.csv").text == "0 rows appended"
    assert select(database.path, "SELECT file FROM imports") == [
        (str(balcony.data_dir / f"Veranda-until-{DAY}.csv"),)
    ]


def test_a_file_that_was_rebuilt_under_its_new_name(having: With, database: Database) -> None:
    """It begins with the bytes of the old one, and is ahead of that."""
    store(database, "balcony", 0, 1)
    export(having(BALCONY_1), database)
    store(database, "balcony", 2)
    station = replace(BALCONY_1, csv_name="Veranda.csv")
    renamed = having(station)
    (renamed.csv_dir / NAME).unlink()
    assert rebuild(renamed, database, [station])[0].rows == 3
    store(database, "balcony", 3)
    assert of(export(renamed, database), "Veranda.csv").text.startswith("1 row appended")
    assert files(renamed) == {"Veranda.csv": HEADER + lines(0, 1, 2, 3)}


@pytest.mark.parametrize("is_renamed", [False, True])
def test_a_rebuild_before_the_export_under_a_new_name(
    having: With, database: Database, is_renamed: bool
) -> None:
    """It goes on behind the old file, as an export does."""
    store(database, "balcony", 0, 1)
    export(having(BALCONY_1), database)
    store(database, "balcony", 2)
    station = replace(BALCONY_1, csv_name="Veranda.csv")
    renamed = having(station)
    path = renamed.csv_dir / "Veranda.csv"
    if is_renamed:
        (renamed.csv_dir / NAME).rename(path)
    done = of(rebuild(renamed, database), "Veranda.csv")
    after = "; it goes on after Balcony.csv, which the station had before; that one is "
    assert done.text == (
        "3 rows written" if is_renamed else f"1 row written{after}{renamed.csv_dir / KEPT}"
    )
    assert path.read_bytes() == HEADER + (lines(0, 1, 2) if is_renamed else lines(2))
    if not is_renamed:
        assert (renamed.csv_dir / KEPT).read_bytes() == HEADER + lines(0, 1)
    assert of(export(renamed, database), "Veranda.csv").text == "0 rows appended"


def test_a_rebuild_after_an_export_that_was_refused_under_a_new_name(
    having: With, database: Database
) -> None:
    """It begins behind the file that was set aside."""
    store(database, "balcony", 0, 1)
    export(having(BALCONY_1), database)
    store(database, "balcony", 2)
    renamed = having(replace(BALCONY_1, csv_name="Veranda.csv"))
    path = renamed.csv_dir / "Veranda.csv"
    path.write_bytes(HEADER + lines(2))
    assert "is already in the file" in of(export(renamed, database), "Veranda.csv").text
    assert of(rebuild(renamed, database), "Veranda.csv").rows == 1
    assert files(renamed) == {KEPT: HEADER + lines(0, 1), "Veranda.csv": HEADER + lines(2)}


def test_the_last_rows_of_a_station_that_is_gone(having: With, database: Database) -> None:
    store(database, "balcony", 0, 1)
    export(having(BALCONY_1), database)
    store(database, "balcony", 2)
    without = having()
    done = of(export(without, database), NAME)
    assert done.text == "1 row appended; the station /balcony is no longer in stations.toml"
    assert files(without) == {NAME: HEADER + lines(0, 1, 2)}
    assert NAME not in [outcome.path.name for outcome in export(without, database)]


def test_values_of_a_former_station_that_no_file_has_a_column_for(
    having: With, database: Database
) -> None:
    """A measurement was added, and the entry taken away before the next export."""
    add_columns(database.path, "lux")
    store(database, "balcony", 0)
    export(having(BALCONY_1), database)
    store(database, "balcony", 1, 2)
    execute(database.path, "UPDATE readings SET lux = 7 WHERE temperature = 2.5")
    assert not of(export(having(), database), NAME).failed
    assert files(having())[NAME] == HEADER + lines(0, 1, 2)

    lux = Measurement(path="lux", column="lux", quantity="lux", csv_header="Lux", unit="lx")
    back = having(replace(BALCONY_1, measurements=(*BALCONY_1.measurements, lux)))
    assert not any(outcome.failed for outcome in export(back, database))
    assert not of(rebuild(back, database, whole=True), NAME).failed
    assert files(back)[NAME].endswith(b"2025-08-24 10:46:42,2.5,,7.0\r\n")


def test_readings_that_have_no_file_are_named(having: With, database: Database) -> None:
    """A station that was renamed before any export."""
    store(database, "balcony", 0, 1)
    store(database, "veranda", 2)
    outcomes = export(having(VERANDA), database)
    (failed,) = (outcome for outcome in outcomes if outcome.failed)
    assert failed.text == (
        "2 readings of /balcony are in no CSV file, and no station of that name is in"
        " stations.toml. Put its entry back, run flask10x export, and take it away again"
    )
    export(having(BALCONY_1), database)
    assert files(having()) == {
        f"Balcony-until-{DAY}.csv": HEADER + lines(2),
        NAME: HEADER + lines(0, 1),
    }
    assert not any(outcome.failed for outcome in export(having(VERANDA), database))


def test_readings_that_were_only_imported_have_a_file(having: With, database: Database) -> None:
    """Whatever its name: they came from it, and their station is no longer there."""
    path = having().data_dir / NAME
    path.write_bytes(HEADER + lines(0, 1))
    assert import_file(having(BALCONY_1), database, path).stored == 2
    assert not any(outcome.failed for outcome in export(having(), database))
    store(database, "balcony", 2)
    (failed,) = (outcome for outcome in export(having(), database) if outcome.failed)
    assert failed.text.startswith("1 reading of /balcony is in no CSV file, and no station of that")


def test_a_file_that_cannot_be_ended_is_refused(having: With, database: Database) -> None:
    store(database, "balcony", 0, 1)
    export(having(BALCONY_1), database)
    store(database, "balcony", 2)
    store(database, "veranda", 3)
    veranda = having(VERANDA)
    path = veranda.csv_dir / NAME
    edited = path.read_bytes().replace(b"1.5", b"9.5")
    path.write_bytes(edited)
    done = of(export(veranda, database), NAME)
    assert done.failed
    assert "flask10x export --rebuild Balcony.csv" in done.text
    assert files(veranda) == {NAME: edited}
    path.rename(path.with_name("edited.csv"))
    assert not of(rebuild(veranda, database), NAME).failed
    assert files(veranda)[NAME] == HEADER + lines(0, 1, 2)
    assert not of(export(veranda, database), NAME).failed
    assert files(veranda)[NAME] == HEADER + lines(3)


@pytest.mark.parametrize("do", [export, dry_run, rebuild])
def test_the_file_of_another_station_is_not_taken_in(
    having: With, database: Database, do: Callable[[Settings, Database], list[FileOutcome]]
) -> None:
    """Somebody has given it the name of a new station's file."""
    store(database, "balcony", 0, 1)
    export(having(BALCONY_1), database)
    store(database, "veranda", 2)
    veranda = having(replace(VERANDA, csv_name="Veranda.csv"))
    path = veranda.csv_dir / "Veranda.csv"
    (veranda.csv_dir / NAME).rename(path)
    failed = of(do(veranda, database), "Veranda.csv")
    assert failed.failed
    assert failed.text == (
        "it is the file of /balcony, whose rows it has; nothing was written. Mend it:"
        f" mv {path} {veranda.csv_dir / NAME} && flask10x export"
    )
    assert files(veranda) == {"Veranda.csv": HEADER + lines(0, 1)}
    path.rename(veranda.csv_dir / NAME)
    assert not any(outcome.failed for outcome in export(veranda, database))
    assert files(veranda) == {NAME: HEADER + lines(0, 1), "Veranda.csv": HEADER + lines(2)}


def test_a_copy_of_an_archived_file_of_another_station(having: With, database: Database) -> None:
    store(database, "balcony", 0)
    store(database, "veranda", 1)
    export(having(BALCONY_1), database)
    export(having(VERANDA), database)
    store(database, "garden", 2)
    garden = having(VERANDA, GARDEN)
    path = garden.csv_dir / "Garden.csv"
    path.write_bytes((garden.csv_dir / KEPT).read_bytes())
    failed = of(export(garden, database), "Garden.csv")
    assert failed.text == (
        "it is the file of /balcony, whose rows it has; nothing was written. Mend it:"
        f" mv --backup=numbered {path} {path}.old && flask10x export"
    )
    path.write_bytes(HEADER)
    assert of(export(garden, database), "Garden.csv").text == "1 row appended"


@pytest.mark.parametrize("do", [export, rebuild])
def test_a_link_to_the_file_of_another_station(
    having: With, database: Database, do: Callable[[Settings, Database], list[FileOutcome]]
) -> None:
    store(database, "balcony", 0)
    store(database, "garden", 1)
    both = having(BALCONY_1, GARDEN)
    path = both.csv_dir / "Garden.csv"
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(NAME)
    export(both, database, [BALCONY_1])
    failed = of(do(both, database), "Garden.csv")
    assert failed.text == (
        "it is the file of /balcony, whose rows it has; nothing was written. Mend it:"
        f" rm {path} && flask10x export"
    )
    assert (both.csv_dir / NAME).read_bytes() == HEADER + lines(0)
    path.unlink()
    assert of(export(both, database), "Garden.csv").text == "1 row appended"


@pytest.mark.parametrize("saved", range(6))
def test_an_export_that_dies_while_a_file_is_handed_over(
    having: With, database: Database, monkeypatch: pytest.MonkeyPatch, saved: int
) -> None:
    """Before each commit of it, and the next one goes on."""
    store(database, "balcony", 0, 1)
    export(having(BALCONY_1), database)
    store(database, "balcony", 2)
    store(database, "veranda", 3)
    veranda, save, saves_left = having(VERANDA), target.save_state, [saved]

    def die(*arguments: Any, **named: Any) -> None:
        if not saves_left[0]:
            raise KeyboardInterrupt
        saves_left[0] -= 1
        save(*arguments, **named)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(append, "save_state", die)
        export(veranda, database, [VERANDA])
    assert not of(export(veranda, database), NAME).failed
    rows = b"".join(content.removeprefix(HEADER) for _, content in sorted(files(veranda).items()))
    assert sorted(rows.splitlines()) == sorted(lines(0, 1, 2, 3).splitlines())
    assert files(veranda)[NAME] == HEADER + lines(3)
    last = "SELECT endpoint, last_id FROM csv_files WHERE kind = 'archived'"
    assert select(database.path, last) == [("balcony", 3)]
    paths = "SELECT path FROM csv_files WHERE kind = 'archived'"
    assert select(database.path, paths) == [(str(veranda.csv_dir / KEPT),)]
