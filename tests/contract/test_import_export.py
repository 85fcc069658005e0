"""Import and export together: what a file holds is never appended to it, and comes back out of
the database in the same bytes."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export.append import export
from flask10x.export.rebuild import rebuild
from flask10x.export.verify import verify
from flask10x.importing import old_file
from flask10x.readings.stations import BUILT_IN
from tests.support import bedroom
from tests.support.csv_folder import HEADER, csv_file, database_file, line, lines, put, store
from tests.support.databases import examples
from tests.support.old_files import run
from tests.support.rows import execute
from tests.support.shared_data import measured_csv

PICO, BEDROOM = [BUILT_IN.by_endpoint["data"]], [BUILT_IN.by_endpoint["data2"]]
LINE_BYTES = len(line(0))


@pytest.mark.parametrize("content_of", [bedroom.old_file, measured_csv])
def test_an_old_file_in_its_place(
    settings: Settings, database: Database, content_of: Callable[[], bytes]
) -> None:
    settings.csv_dir.mkdir()
    file, old = settings.csv_dir / bedroom.NAME, content_of()
    file.write_bytes(old)
    assert run(settings, database, file) == (20_000, 0, 0)
    assert export(settings, database, BEDROOM)[0].rows == 0
    assert file.read_bytes() == old
    assert not verify(settings, database, BEDROOM)[0].failed
    assert not rebuild(settings, database, BEDROOM)[0].failed
    assert file.read_bytes() == old
    assert run(settings, database, file) == (0, 20_000, 0)
    assert export(settings, database, BEDROOM)[0].rows == 0


def test_an_old_file_elsewhere(settings: Settings, database: Database, bedroom_csv: Path) -> None:
    run(settings, database, bedroom_csv)
    assert export(settings, database, BEDROOM)[0].rows == 0
    assert not rebuild(settings, database, BEDROOM)[0].failed
    assert (settings.csv_dir / bedroom.NAME).read_bytes() == bedroom.old_file()
    assert not verify(settings, database, BEDROOM)[0].failed


def test_a_file_of_another_name_is_appended(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    put(settings, HEADER + lines(5))
    run(settings, database, csv_file(settings))
    (tmp_path / "2024.csv").write_bytes(HEADER + lines(1, 2))
    assert run(settings, database, tmp_path / "2024.csv", endpoint="data") == (2, 0, 0)
    assert export(settings, database, PICO)[0].rows == 2
    assert csv_file(settings).read_bytes() == HEADER + lines(5, 1, 2)
    assert not verify(settings, database, PICO)[0].failed


def test_the_same_rows_under_another_name_first(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    put(settings, HEADER + lines(1, 2, 3))
    (tmp_path / "copy.csv").write_bytes(HEADER + lines(1, 2))
    run(settings, database, tmp_path / "copy.csv", endpoint="data")
    assert run(settings, database, csv_file(settings)) == (1, 2, 0)
    store(settings, 4)
    assert export(settings, database, PICO)[0].rows == 1
    assert csv_file(settings).read_bytes() == HEADER + lines(1, 2, 3, 4)
    assert not verify(settings, database, PICO)[0].failed
    assert not rebuild(settings, database, PICO)[0].failed
    assert csv_file(settings).read_bytes() == HEADER + lines(1, 2, 3, 4)


ODD = b"".join(
    (
        b"2025-07-05T10:46:40.123456,990.5,25.0\r\n",
        b"2025-07-05T01:46:41+00:00,990.5,25.0\r\n",
        b"2025-07-05 10:46:42,nan,None\n",
        b"2025-07-05 10:46:43\r\n",
        b'"2025-07-05 10:46:44","990.5","25"\r\n',
        b" 2025-07-05 10:46:45 , 990.5,\r\n",
        b"2025-07-05 10:46:46,990.5,-0.0\r\n",
    )
)


def test_all_that_can_be_imported_is_known_in_the_file(
    settings: Settings, database: Database
) -> None:
    rejected = b"2025-07-05 10:46:47,inf,25.0\r\n2025-07-05 10:46:48,1_0,25.0\r\n"
    put(settings, HEADER + ODD + rejected)
    assert run(settings, database, csv_file(settings)) == (7, 0, 2)
    assert export(settings, database, PICO)[0].rows == 0
    assert verify(settings, database, PICO)[0].text == (
        "9 rows, 2025-07-05T10:46:40.123456 to 2025-07-05 10:46:48, equal;"
        " 2 rows from before Flask10X are not in the database;"
        " 1 value is -0.0, for which the database has 0.0"
    )
    assert not rebuild(settings, database, PICO)[0].failed
    assert csv_file(settings).read_bytes() == HEADER + (
        b"2025-07-05 10:46:40,990.5,25.0\r\n"
        b"2025-07-05 10:46:41,990.5,25.0\r\n"
        b"2025-07-05 10:46:42,,\r\n"
        b"2025-07-05 10:46:43,,\r\n"
        b"2025-07-05 10:46:44,990.5,25.0\r\n"
        b"2025-07-05 10:46:45,990.5,\r\n"
        b"2025-07-05 10:46:46,990.5,0.0\r\n"
    )
    kept = csv_file(settings).with_name("PicodataX.csv.old")
    assert kept.read_bytes() == HEADER + ODD + rejected


@pytest.mark.sqlite_only("a file takes the place of a file")
def test_an_older_database_is_mended(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    put(settings, HEADER + lines(0, 1))
    run(settings, database, csv_file(settings))
    store(settings, 2, 3)
    export(settings, database, PICO)
    execute(database.path, f"VACUUM INTO '{tmp_path}/older.sqlite3'")
    store(settings, 4, 5)
    export(settings, database, PICO)

    database.reader.dispose()
    database.writer.dispose()
    for end in ("", "-wal", "-shm"):
        database.path.with_name(database.path.name + end).unlink(missing_ok=True)
    shutil.copy(tmp_path / "older.sqlite3", database.path)
    store(settings, 6)
    assert export(settings, database, PICO)[0].failed
    assert run(settings, database, csv_file(settings)) == (2, 4, 0)
    assert not rebuild(settings, database, PICO)[0].failed
    assert csv_file(settings).read_bytes() == HEADER + lines(0, 1, 2, 3, 4, 5, 6)
    assert not verify(settings, database, PICO)[0].failed
    assert export(settings, database, PICO)[0].rows == 0


class Killed(Exception):
    """Stands for SIGKILL."""


# A live reading, an export, a rebuild, or an import that is killed after so many blocks.
steps = st.lists(
    st.sampled_from(["live", "live", "export", "rebuild"])
    | st.tuples(st.just("import"), st.integers(0, 8), st.integers(1, 3)),
    max_size=12,
)
old_lines = st.lists(st.integers(0, 5), max_size=8)


@example(old=[0, 0], done=[("import", 1, 1), "rebuild"])
@example(old=[0, 1, 0, 1], done=[("import", 1, 1), "rebuild"])
@given(old_lines, steps)
@hypothesis_settings(
    max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_in_whatever_order(
    settings: Settings, database: Database, old: list[int], done: list[object]
) -> None:
    empty(settings)
    put(settings, HEADER + lines(*old))
    live: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("flask10x.export.rows.PAGE_ROWS", 2)
        for step in [*done, ("import", 99, 2), "export"]:
            take(settings, database, patch, live, step)
        expected = HEADER + lines(*old, *live)
        assert csv_file(settings).read_bytes() == expected
        outcome = verify(settings, database, PICO)[0]
        assert not outcome.failed, outcome.text
        outcome = rebuild(settings, database, PICO)[0]
        assert not outcome.failed, outcome.text
        assert csv_file(settings).read_bytes() == expected
        assert run(settings, database, csv_file(settings)) == (0, len(old) + len(live), 0)
        assert export(settings, database, PICO)[0].rows == 0


def empty(settings: Settings) -> None:
    for table in ("readings", "imports", "csv_files"):
        execute(database_file(settings), f"DELETE FROM {table}")
    csv_file(settings).unlink(missing_ok=True)


def take(
    settings: Settings,
    database: Database,
    patch: pytest.MonkeyPatch,
    live: list[int],
    step: object,
) -> None:
    if step == "live":
        live.append(6 + len(live))
        store(settings, live[-1])
    elif step == "export":
        outcome = export(settings, database, PICO)[0]
        assert not outcome.failed, outcome.text
    elif step == "rebuild":
        # Refused as long as the file has rows that the database does not have.
        before = csv_file(settings).read_bytes()
        if not rebuild(settings, database, PICO)[0].failed:
            assert csv_file(settings).read_bytes().startswith(before)
    else:
        assert isinstance(step, tuple)
        _, blocks, rows = step
        patch.setattr(old_file, "BLOCK_BYTES", rows * LINE_BYTES)
        import_some(settings, database, blocks)


def import_some(settings: Settings, database: Database, blocks: int) -> None:
    left = blocks

    def advance(_: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed

    with suppress(Killed):
        run(settings, database, csv_file(settings), advance=advance)
