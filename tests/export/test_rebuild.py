"""`--rebuild`: the database's rows in the file's order; no row that only the file has is lost."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export.append import export
from flask10x.export.outcome import FileOutcome
from flask10x.export.rebuild import rebuild
from flask10x.export.verify import verify
from flask10x.importing.importer import import_file
from flask10x.readings.stations import BUILT_IN
from tests.support.csv_folder import (
    HEADER,
    csv_file,
    database_file,
    imported,
    line,
    lines,
    put,
    store,
)
from tests.support.rows import INTENT, execute, select

PICO = [BUILT_IN.by_endpoint["data"]]
Rebuild = Callable[..., FileOutcome]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask10x.export.rows.PAGE_ROWS", 2)


@pytest.fixture
def rebuilt(settings: Settings, database: Database) -> Rebuild:
    """Rebuilds; afterwards the file is proven, goes on with new rows, and nothing lies about."""

    def run(*, whole: bool = False) -> FileOutcome:
        outcome = rebuild(settings, database, PICO, whole=whole)[0]
        assert not outcome.failed, outcome.text
        assert not verify(settings, database, PICO)[0].failed
        assert select(database_file(settings), INTENT) == []
        assert not (settings.csv_dir / ".PicodataX.csv.rebuilt").exists()
        content = csv_file(settings).read_bytes()
        store(settings, 19)
        assert export(settings, database, PICO)[0].rows == 1
        assert csv_file(settings).read_bytes() == content + line(19)
        csv_file(settings).write_bytes(content)
        return outcome

    return run


@pytest.fixture
def refused(settings: Settings, database: Database) -> Callable[[], str]:
    """The message of a rebuild that touches nothing."""

    def run() -> str:
        before = csv_file(settings).read_bytes()
        outcome = rebuild(settings, database, PICO)[0]
        assert outcome.failed
        assert csv_file(settings).read_bytes() == before
        assert [file.name for file in settings.csv_dir.iterdir()] == ["PicodataX.csv"]
        assert select(database_file(settings), INTENT) == []
        return outcome.text

    return run


def test_a_file_that_is_not_there(settings: Settings, rebuilt: Rebuild) -> None:
    store(settings, 0, 1, 2)
    assert rebuilt().text == "3 rows written"
    assert csv_file(settings).read_bytes() == HEADER + lines(0, 1, 2)


def test_imported_then_rebuilt_is_the_same_bytes(settings: Settings, rebuilt: Rebuild) -> None:
    """The file had rows of the old server, then ours: the import took the first ones only."""
    content = HEADER + lines(0, 1, 2, 3, 4)
    path = put(settings, content)
    inode = path.stat().st_ino
    store(settings, 3, 4, 0, 1, 2)
    imported(settings, 3, 5)
    assert rebuilt().text == "5 rows as before"
    assert path.read_bytes() == content
    assert path.stat().st_ino == inode


def test_an_older_database_mended(settings: Settings, database: Database, rebuilt: Rebuild) -> None:
    """The file had rows that the database lost; they were imported, while others came."""
    store(settings, 0, 1)
    export(settings, database, PICO)
    csv_file(settings).write_bytes(HEADER + lines(0, 1, 2, 3))
    store(settings, 8, 2, 3)
    imported(settings, 4, 5, after=2)
    assert rebuilt().text == "5 rows written"
    assert csv_file(settings).read_bytes() == HEADER + lines(0, 1, 2, 3, 8)
    assert [file.name for file in settings.csv_dir.iterdir()] == ["PicodataX.csv"]


@pytest.mark.parametrize(
    "damaged",
    [
        HEADER + lines(0, 1) + b"2025-08-24 11:4",
        HEADER + line(0) + b"\0\0\0\0" + lines(1, 2),
        HEADER + lines(2, 1, 0),
        HEADER.replace(b"\r\n", b"\n") + lines(0, 1, 2),
        HEADER + line(0).replace(b"\r\n", b"\n") + line(1).replace(b" ", b"T") + line(2),
        b"\xef\xbb\xbf" + HEADER + lines(0, 1, 2),
    ],
)
def test_a_damaged_file_is_kept_beside(
    settings: Settings, database: Database, rebuilt: Rebuild, damaged: bytes
) -> None:
    store(settings, 0, 1, 2)
    export(settings, database, PICO)
    path = csv_file(settings)
    path.write_bytes(damaged)
    path.chmod(0o640)
    assert export(settings, database, PICO)[0].failed
    assert rebuilt().text == f"3 rows written; the old file is kept as {path}.old"
    assert path.read_bytes() == HEADER + lines(0, 1, 2)
    assert path.stat().st_mode & 0o777 == 0o640
    assert Path(f"{path}.old").read_bytes() == damaged
    path.write_bytes(damaged + b"torn")
    assert rebuilt().text == f"4 rows written; the old file is kept as {path}.old-2"
    assert Path(f"{path}.old").read_bytes() == damaged
    assert Path(f"{path}.old-2").read_bytes() == damaged + b"torn"


@pytest.mark.parametrize(
    ("doubled", "number"),
    [((0, 0, 1, 2), 3), ((0, 1, 2, 0), 5), ((0, 1, 2, 0, 1, 2), 5), ((1, 0, 1, 2), 4)],
)
def test_a_row_that_the_file_has_more_often_is_not_destroyed(
    settings: Settings, refused: Callable[[], str], doubled: tuple[int, ...], number: int
) -> None:
    """Two readings of a second can be equal; an import would store the second one too."""
    store(settings, 0, 1, 2)
    put(settings, HEADER + lines(*doubled))
    lost = len(doubled) - 3
    expected = f"are not in the database: {lost}, the first is line {number},"
    assert expected in refused()


def test_a_shorter_file_has_nothing_to_keep(
    settings: Settings, database: Database, rebuilt: Rebuild
) -> None:
    store(settings, 0, 1, 2)
    export(settings, database, PICO)
    csv_file(settings).write_bytes(HEADER + lines(0, 1) + b"2025-08-24 10:4")
    assert rebuilt().text == "3 rows written"
    assert [file.name for file in settings.csv_dir.iterdir()] == ["PicodataX.csv"]


def test_rows_that_only_the_file_has(
    settings: Settings, database: Database, refused: Callable[[], str]
) -> None:
    path = put(settings, HEADER + lines(7, 8))
    store(settings, 0, 1)
    export(settings, database, PICO)
    assert refused() == (
        "rows of the file are not in the database: 2, the first is line 2,"
        f" b'2025-08-24 10:46:47,997.5,25.0\\r\\n'; nothing was written. Mend it: flask10x import"
        f" {path}; flask10x export --rebuild PicodataX.csv, or, if these rows are wrong,"
        f" mv --backup=numbered {path} {path}.old && flask10x export --rebuild PicodataX.csv"
    )
    # Same time, another value: that is another row.
    path.write_bytes(HEADER + line(0) + line(1).replace(b"25.0", b"25.5"))
    assert "rows of the file are not in the database: 1, the first is line 3" in refused()


def test_rows_under_another_heading_that_only_the_file_has(
    settings: Settings, database: Database, refused: Callable[[], str], rebuilt: Rebuild
) -> None:
    """After a restore the file may have the columns of a later time."""
    store(settings, 0)
    export(settings, database, PICO)
    path = csv_file(settings)
    other = b"current_time,Tempereture,Pressure\r\n"
    path.write_bytes(
        other + b"2025-08-24 10:46:40,25.0,990.5\r\n2025-08-24 10:46:41,25.0,991.5\r\n"
    )
    assert "not in the database: 1, the first is line 3, b'2025-08-24 10:46:41," in refused()
    assert f"Mend it: flask10x import {path}; flask10x export --rebuild" in refused()
    import_file(settings, database, path)
    assert rebuilt().text.startswith(f"2 rows written; the old file is kept as {path}.old")
    assert path.read_bytes() == HEADER + lines(0, 1)


def test_an_old_file_with_a_column_that_the_station_does_not_know(
    settings: Settings, database: Database, rebuilt: Rebuild
) -> None:
    store(settings, 0)
    export(settings, database, PICO)
    path = csv_file(settings)
    path.write_bytes(b"current_time,Noise\r\n2025-08-24 10:46:41,3.5\r\n")
    assert rebuilt().text == (
        f"1 row written; the old file is kept as {path}.old; its rows were not compared, for the"
        " station has no column Noise: put the measurement into stations.toml, and run: flask10x"
        f" import --endpoint data {path}.old"
    )


def test_a_file_that_an_export_began_after_another(
    settings: Settings, database: Database, rebuilt: Rebuild, refused: Callable[[], str]
) -> None:
    store(settings, 0, 1)
    export(settings, database, PICO)
    csv_file(settings).rename(settings.data_dir / "archive.csv")
    store(settings, 2, 3)
    export(settings, database, PICO)
    csv_file(settings).write_bytes(HEADER + line(2))
    assert rebuilt().text == "2 rows written"
    assert csv_file(settings).read_bytes() == HEADER + lines(2, 3)
    # The archived rows are in the database, but no longer in this file.
    csv_file(settings).write_bytes(HEADER + lines(1, 2, 3))
    assert refused() == (
        "rows of the file are from before it was started: 1, the first is"
        " line 2; nothing was written. Mend it: flask10x export --rebuild PicodataX.csv --whole"
    )
    assert rebuilt(whole=True).rows == 5
    assert csv_file(settings).read_bytes() == HEADER + lines(0, 1, 2, 3, 19)


def test_the_file_behind_a_link_is_rebuilt(
    settings: Settings, database: Database, rebuilt: Rebuild
) -> None:
    store(settings, 0, 1)
    elsewhere = settings.data_dir / "elsewhere.csv"
    elsewhere.write_bytes(HEADER + line(0))
    settings.csv_dir.mkdir()
    csv_file(settings).symlink_to(elsewhere)
    rebuilt()
    assert csv_file(settings).is_symlink()
    assert elsewhere.read_bytes() == HEADER + lines(0, 1)


def test_a_file_system_without_links(
    settings: Settings, rebuilt: Rebuild, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.hardlink_to", cannot)
    store(settings, 0, 1)
    path = put(settings, HEADER + lines(1, 0))
    assert rebuilt().text == f"2 rows written; the old file is kept as {path}.old"
    assert Path(f"{path}.old").read_bytes() == HEADER + lines(1, 0)


def test_a_full_disk(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    store(settings, 0, 1)
    path = put(settings, HEADER + line(1))
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        outcome = rebuild(settings, database, PICO)[0]
    assert outcome.text == "cannot be read or written: No space left on device"
    assert path.read_bytes() == HEADER + line(1)
    assert os.listdir(settings.csv_dir) == ["PicodataX.csv"]  # noqa: PTH208


def test_all_files_when_none_is_named(settings: Settings, database: Database) -> None:
    execute(
        database_file(settings),
        "INSERT INTO readings (endpoint, received_at, co2) VALUES ('data4', 1756000000000, 500)",
    )
    assert [outcome.rows for outcome in rebuild(settings, database)] == [0, 0, 0, 1]
    assert (settings.csv_dir / "LR_env.csv").read_bytes() == (
        b"current_time,CO2,AnalogValue,Voltage,Temperature_DS18B20,Temperature_DHT11,"
        b"Humidity_DHT11\r\n2025-08-24 10:46:40,500.0,,,,,\r\n"
    )
