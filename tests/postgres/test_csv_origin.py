"""CSV files behind a failover: what lost nothing goes on, what has lost readings is refused."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.database import dialects, schema
from flask10x.database.database import Database
from flask10x.database.server import Origin
from flask10x.export.append import dry_run, export
from flask10x.export.outcome import FileOutcome
from flask10x.export.rebuild import rebuild
from flask10x.export.verify import verify
from flask10x.importing.importer import import_file
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from tests.postgres.csv_hosts import FIRST_MS, HEADER, NAME, CsvHosts, csv_hosts
from tests.support import postgres
from tests.support.postgres import PostgresServer, own_server
from tests.support.rows import insert_readings

PICO = [BUILT_IN.by_endpoint["data"]]
WITHIN_SEC = 60.0
OLD = "UPDATE csv_files SET timeline = 0"


def test_the_origin_is_noted_with_each_file_and_an_ordinary_role_may_ask(tmp_path: Path) -> None:
    with csv_hosts(tmp_path) as hosts:
        settings, database = hosts.opened("school-1")
        hosts.store(0)
        assert export(settings, database, PICO)[0].rows == 1
        ((identifier, timeline),) = hosts.run(
            "SELECT CAST(system_identifier AS TEXT), timeline_id"
            " FROM pg_control_system(), pg_control_checkpoint()"
        )
        assert hosts.run("SELECT name, system_identifier, timeline FROM csv_files") == [
            (NAME, identifier, timeline)
        ]
        with database.reader.begin() as connection:
            connection.exec_driver_sql("SET LOCAL ROLE pg_read_all_data")
            assert dialects.statements_of(connection).origin(connection) == Origin(
                str(identifier), int(str(timeline))
            )


class Files:
    """Of one host, with three exported rows and the note of another history."""

    def __init__(self, hosts: CsvHosts) -> None:
        self.hosts = hosts
        self.settings, self.database = hosts.opened("school-1")
        hosts.store(0, 1, 2)
        export(self.settings, self.database, PICO)
        self.path = hosts.file("school-1")
        self.before = self.path.read_bytes()
        hosts.run(OLD)

    def export(self) -> FileOutcome:
        """Of the file of `/data`."""
        return export(self.settings, self.database, PICO)[0]

    def origins(self) -> list[tuple[object, ...]]:
        """Which timelines are noted."""
        return self.hosts.run("SELECT timeline FROM csv_files WHERE kind = 'current'")


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    with csv_hosts(tmp_path) as hosts:
        yield Files(hosts)


def test_another_history_that_lacks_nothing_is_noted_and_gone_on_with(files: Files) -> None:
    (looked,) = dry_run(files.settings, files.database, PICO)
    assert not looked.failed
    assert files.origins() == [(0,)]
    outcome = files.export()
    assert not outcome.failed
    assert outcome.text.startswith("0 rows appended; the database has another history now (")
    assert outcome.text.endswith("/0), in which no row of the file is missing")
    assert files.origins() == [(1,)]
    files.hosts.store(3)
    assert files.export().text == "1 row appended"


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ("UPDATE readings SET pressure = 5.5 WHERE id = 3", r"b'2025-08-24 10:46:42,5.5,25.0\r\n'"),
        ("DELETE FROM readings WHERE id = 3", r"b'2025-08-24 10:46:41,991.5,25.0\r\n'"),
        ("DELETE FROM readings", "nothing"),
    ],
)
def test_readings_that_another_history_lacks_are_refused(
    files: Files, change: str, wanted: str
) -> None:
    files.hosts.run(change)
    files.hosts.store(7)
    for outcome in (files.export(), dry_run(files.settings, files.database, PICO)[0]):
        assert outcome.failed
        assert outcome.text == (
            "the database has lost readings that the file has, by a failover or a restored copy: at"
            r" its end the file has b'2025-08-24 10:46:42,992.5,25.0\r\n',"
            f" the database {wanted}; nothing was written. Mend it: flask10x import {files.path};"
            f" flask10x export --rebuild {NAME}"
        )
    assert files.path.read_bytes() == files.before
    assert files.origins() == [(0,)]
    # And what the message says mends it.
    import_file(files.settings, files.database, files.path)
    assert not rebuild(files.settings, files.database, PICO)[0].failed
    assert files.origins() == [(1,)]
    assert not files.export().failed
    assert not verify(files.settings, files.database, PICO)[0].failed
    rows = files.path.read_bytes().splitlines()
    assert all(line in rows for line in files.before.splitlines())


def test_the_same_readings_but_more_of_them_in_the_file_are_refused(files: Files) -> None:
    """The oldest row is gone: the last ones are equal, and are not all."""
    files.hosts.run("DELETE FROM readings WHERE id = 1")
    assert "the database nothing; nothing was written" in files.export().text


def test_a_file_that_is_gone_proves_nothing_and_is_begun_again(files: Files) -> None:
    files.path.unlink()
    files.hosts.store(3)
    outcome = files.export()
    assert outcome.text.startswith(
        "1 row appended; started a new file, as that of the last export is gone;"
    )
    assert "the database has another history now" in outcome.text
    assert files.origins() == [(1,)]


# A real standby, promoted


@contextmanager
def standby_of(primary: PostgresServer) -> Iterator[PostgresServer]:
    """A server that follows it by streaming, asynchronously."""
    folder = primary.folder.with_name(f"{primary.folder.name}-standby")
    folder.mkdir(mode=0o711)
    standby = PostgresServer(folder, temporary=True)
    binaries = postgres.binaries()
    assert binaries is not None
    command: list[str | Path] = [
        *(binaries / "pg_basebackup", "--pgdata", standby.data, "--write-recovery-conf"),
        *("--checkpoint=fast", "--dbname", primary.url().replace("+psycopg", "")),
    ]
    try:
        subprocess.run(command, check=True, cwd="/", capture_output=True)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", f"{postgres.USER}:", standby.data], check=True)
        standby.start()
        yield standby
    finally:
        standby.close()
        shutil.rmtree(folder, ignore_errors=True)


def caught_up(primary: PostgresServer, standby: PostgresServer) -> bool:
    with primary.connect() as ours, standby.connect() as theirs:
        (written,) = ours.execute("SELECT pg_current_wal_lsn()").fetchall()[0]
        query = "SELECT pg_last_wal_replay_lsn() >= %s"
        return bool(theirs.execute(query, (written,)).fetchall()[0][0])


def wait_until_caught_up(primary: PostgresServer, standby: PostgresServer) -> None:
    deadline = time.monotonic() + WITHIN_SEC
    while not caught_up(primary, standby):
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Failover:
    """A host that has exported three rows from a primary, whose standby can take its place."""

    def __init__(self, folder: Path, primary: PostgresServer, standby: PostgresServer) -> None:
        self._folder = folder
        self.primary, self.standby = primary, standby
        self.path = folder / "csv" / NAME

    def settings(self, server: PostgresServer) -> Settings:
        """Of the host, with its database on this server."""
        values = {"DATA_DIR": self._folder, "DATABASE_URL": server.url("readings")}
        values |= {"TIMEZONE": "Asia/Tokyo", "HOST_NAME": "school-1"}
        return settings_module.load({f"FLASK10X_{k}": str(v) for k, v in values.items()})

    def store(self, server: PostgresServer, *numbers: int) -> None:
        with closing(Database(self.settings(server))) as database, database.commit() as connection:
            rows = (Reading("data", FIRST_MS + 1000 * n, (990.5 + n, 25.0)) for n in numbers)
            insert_readings(connection, rows)

    def export(self, server: PostgresServer) -> FileOutcome:
        settings = self.settings(server)
        with closing(Database(settings)) as database:
            return export(settings, database, PICO)[0]

    def promote(self) -> None:
        """The primary is gone; the standby is the new one."""
        self.primary.kill()
        with self.standby.connect() as connection:
            assert connection.execute("SELECT pg_promote()").fetchall() == [(True,)]


@pytest.fixture
def failover(tmp_path: Path) -> Iterator[Failover]:
    with own_server(wal_level="replica", max_wal_senders=4) as primary:
        primary.create("readings")
        with standby_of(primary) as standby:
            made = Failover(tmp_path, primary, standby)
            schema.upgrade(made.settings(primary))
            made.store(primary, 0, 1, 2)
            assert made.export(primary).rows == 3
            yield made


@pytest.mark.tools
def test_a_promotion_that_lost_nothing_is_gone_on_with(failover: Failover) -> None:
    wait_until_caught_up(failover.primary, failover.standby)
    failover.promote()
    # Reported at once, also before the first checkpoint of the new timeline.
    failover.store(failover.standby, 3)
    outcome = failover.export(failover.standby)
    assert outcome.text.startswith("1 row appended; the database has another history now (")
    assert "/2, it was " in outcome.text
    with failover.standby.connect("readings") as connection:
        assert connection.execute("SELECT timeline FROM csv_files").fetchall() == [(2,)]
    failover.store(failover.standby, 4)
    assert failover.export(failover.standby).text == "1 row appended"
    assert failover.path.read_bytes().count(b"\r\n") == 6


@pytest.mark.tools
def test_a_promotion_that_lost_exported_rows_is_refused(failover: Failover) -> None:
    """The standby has not got the last readings, nor the position behind them."""
    wait_until_caught_up(failover.primary, failover.standby)
    failover.standby.stop()
    failover.store(failover.primary, 3, 4)
    assert failover.export(failover.primary).rows == 2
    failover.primary.kill()
    failover.standby.start()
    with failover.standby.connect() as connection:
        connection.execute("SELECT pg_promote()")
    before = failover.path.read_bytes()
    # Their ids go to other readings.
    failover.store(failover.standby, 13, 14, 15)
    outcome = failover.export(failover.standby)
    assert outcome.failed
    assert "the file goes on behind the last exported row" in outcome.text
    assert failover.path.read_bytes() == before
    settings = failover.settings(failover.standby)
    with closing(Database(settings)) as database:
        assert import_file(settings, database, failover.path).stored == 2
        assert not rebuild(settings, database, PICO)[0].failed
        assert export(settings, database, PICO)[0].rows == 0
        assert not verify(settings, database, PICO)[0].failed
    content = failover.path.read_bytes()
    assert content.startswith(HEADER)
    assert sorted(set(content.splitlines())) == sorted(content.splitlines())
    assert len(content.splitlines()) == 9
