"""Health: a sound database, enough room, followers that keep up, a recent backup.

Nothing is written, migrated or repaired, and what cannot be checked is itself a finding. It works
beside the running service, without it, and on a database that is damaged.

One check is about what every user of this machine can read although a token is required. New files
are private (`system/disk.PRIVATE_MODE`); copies, and files whose mode was changed, keep their mode.
CSV files are meant to be read by others' scripts.
"""

import shlex
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from gettext import gettext as _
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from flask10x.config import environment_file, station_file
from flask10x.config.settings import PREFIX, Settings
from flask10x.database import engines, verified
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import WAL, beside, database_path, shown_name
from flask10x.database.running_service import Running, naming_the_setting, running
from flask10x.database.server import Primary, Server
from flask10x.database.sqlite import rescue_copy, rescued
from flask10x.database.sqlite.connections import LONG_WAL_BYTES, version, version_risk
from flask10x.errors import ServiceError
from flask10x.maintenance import backup
from flask10x.maintenance.check_database import DatabaseCheck, Finding, Level
from flask10x.readings.times import local_text
from flask10x.recording import entry
from flask10x.recording.entry import FILES as LEFTOVER_FILES
from flask10x.system import backup_files, disk
from flask10x.system.clock import now_ms
from flask10x.system.log_file import FILE_NAME as LOG_NAME
from flask10x.system.wording import amount, megabytes
from flask10x.translation import chosen


def look_at_server(server: Server, settings: Settings, inside: DatabaseCheck) -> Iterator[Finding]:
    """Check the server and its database; a server that does not answer is a finding."""
    name = shown_name(settings)
    try:
        with engines.of(settings).reader() as engine, engine.begin() as connection:
            primary = server.primary(connection)
            size = primary.database_bytes
            text = _("{database}, {size}").format(database=name, size=megabytes(size))
            yield Finding("ok", "database", text, {"bytes": size})
            yield from _server(server, connection)
            yield _standbys(primary)
            yield from inside.look_inside(connection)
    except DBAPIError as error:
        text = _("{path} cannot be opened: {reason}")
        reason = " ".join(reason_of(error).split())
        yield Finding("FAIL", "database", text.format(path=name, reason=reason))


def _server(server: Server, connection: Connection) -> Iterator[Finding]:
    shown, number = server.version(connection)
    first, last = server.VERSIONS
    level: Level = "ok"
    text = shown
    if not first <= number <= last:
        level, text = "WARN", _("{version}: this program was made for {first} to {last}")
        text = text.format(version=shown, first=first, last=last)
    yield Finding(level, "PostgreSQL", text, {"version": shown})
    encoding = server.encoding(connection)
    level, text = "ok", encoding
    if encoding != server.ENCODING:
        level = "FAIL"
        text = _("{encoding}: make a new database with {wanted}, and copy: flask10x copy")
        text = text.format(encoding=encoding, wanted=server.ENCODING)
    yield Finding(level, "encoding", text, {"encoding": encoding})


def _standbys(primary: Primary) -> Finding:
    level: Level = "WARN"
    if not primary.waits_for:
        text = _("none is asked for: what is stored may be on one machine only")
    elif primary.synchronous:
        level, text = "ok", _("{n} with each commit").format(n=primary.synchronous)
    elif primary.hidden:
        text = _("this user may not see whether one is there: GRANT pg_monitor TO it")
    else:
        text = _("none is there: commits wait for one")
    details = {"synchronous": primary.synchronous, "asked_for": primary.waits_for > 0}
    return Finding(level, "standby", text, details)


def check_modes(settings: Settings) -> Finding:
    """Check that database, leftovers, log and backups are private, where reading needs a token."""
    if not settings.read_tokens_file:
        return Finding("ok", "modes", _("reading needs no token"), {"files": []})
    try:
        names = [str(path) for path in sorted(_private(settings)) if _is_world_readable(path)]
    except OSError as error:
        text = _("cannot look at the files: {reason}").format(reason=error)
        return Finding("WARN", "modes", text, {"files": []})
    if not names:
        return Finding("ok", "modes", _("no file can be read without a token"), {"files": []})
    text = _(
        "{setting} is set, and everybody on this machine may read {files}; run: chmod o= {names}"
    )
    shown = text.format(
        setting=f"{PREFIX}READ_TOKENS_FILE",
        files=amount(len(names), "file"),
        names=shlex.join(names),
    )
    return Finding("WARN", "modes", shown, {"files": names})


def _private(settings: Settings) -> Iterator[Path]:
    database = database_path(settings)
    # With its -wal and -shm, and the copies that a restore has kept.
    yield from database.parent.glob(f"{database.name}*")
    yield from database.parent.glob(LEFTOVER_FILES)
    yield from settings.log_dir.glob(f"{LOG_NAME}*")
    if settings.backup_dir.is_dir():
        yield from backup_files.finished(settings.backup_dir)


def _is_world_readable(path: Path) -> bool:
    """Whether the file's mode, and that of every folder above it, lets others read it."""
    folders = path.resolve().parents
    return bool(path.stat().st_mode & stat.S_IROTH) and all(
        folder.stat().st_mode & stat.S_IXOTH for folder in folders
    )


# Two nights without a backup; one missed is made up at the next boot.
BACKUP_LATE_SEC = 48 * 3600


def check(settings: Settings, *, full: bool = False) -> list[Finding]:
    """Check everything; raises SettingsError when a file is where a folder is needed.

    `full` also compares each index with its table, and reads all backups, not only the newest. The
    check of the pages holds a snapshot: meanwhile the WAL grows, as with a backup.
    """
    path = database_path(settings)
    with naming_the_setting(settings), suppress(FileNotFoundError, PermissionError):
        path.stat()
    service = _service(settings)
    inside = DatabaseCheck(settings, full=full, served=service.details["running"])
    server = engines.of(settings).server
    if server:
        findings = list(look_at_server(server, settings, inside))
    else:
        findings = [*inside.look(path), _wal(path)]
    return [
        _settings(),
        *_headings(settings),
        *findings,
        _leftovers(path),
        *([] if server else [_rescued(path)]),
        _space(settings, path, findings),
        check_modes(settings),
        *([] if server else [_version(settings)]),
        service,
        _backups(settings, full=full),
        _copies(settings),
    ]


def _settings() -> Finding:
    file = environment_file.loaded_file()
    text = _("from {path}") if file else _("no environment file")
    return Finding("ok", "settings", text.format(path=file), {"file": str(file) if file else None})


def _headings(settings: Settings) -> list[Finding]:
    lines = station_file.formula_headings(settings.stations)
    return [Finding("WARN", "heading", line) for line in lines]


def _wal(path: Path) -> Finding:
    size = disk.size(beside(path, WAL))
    is_long, text = size > LONG_WAL_BYTES, megabytes(size)
    if is_long:
        text = _("{size}: a reader that does not end keeps it from being reused").format(size=text)
    return Finding("WARN" if is_long else "ok", "WAL", text, {"bytes": size})


def _leftovers(path: Path) -> Finding:
    files = [str(file) for file in entry.leftover_files(path.parent)]
    text = _("a stop could not store the readings in {files}") if files else _("none")
    text = text.format(files=", ".join(files))
    return Finding("WARN" if files else "ok", "leftovers", text, {"files": files})


def _rescued(path: Path) -> Finding:
    name = "rescued"
    try:
        copies = [str(copy) for copy in rescued.copies(path)]
        richer = rescue_copy.richer(path)
    except OSError as error:
        text = _("cannot look into {folder}: {reason}")
        return Finding("WARN", name, text.format(folder=path.parent, reason=error.strerror))
    details = {"files": copies}
    if richer:
        return Finding("FAIL", name, str(richer), details)
    if copies:
        text = _("the database has all that is in {files}; delete it or move it away")
        return Finding("WARN", name, text.format(files=", ".join(copies)), details)
    return Finding("ok", name, _("none"), details)


def _space(settings: Settings, path: Path, findings: Sequence[Finding]) -> Finding:
    folder = settings.backup_dir
    needed = _needed_bytes(settings, path, findings)
    free, there = _free(path.parent), _free(folder)
    details = {"free_bytes": free, "backup_free_bytes": there, "backup_needs_bytes": needed}
    text = _("{free} free in {folder}; a backup needs {needed}, {there} free in {backups}").format(
        free=megabytes(free),
        folder=path.parent,
        needed=megabytes(needed),
        there=megabytes(there),
        backups=folder,
    )
    if free < disk.SPARE_BYTES:
        return Finding("FAIL", "space", text, details)
    return Finding("WARN" if there < needed else "ok", "space", text, details)


def _needed_bytes(settings: Settings, path: Path, findings: Sequence[Finding]) -> int:
    """Return the room that a backup needs; a server that did not answer is not asked again."""
    if engines.of(settings).is_file:
        return backup.sizes_of_file(path).needed
    details = next(finding.details for finding in findings if finding.name == "database")
    size: int = details.get("bytes", 0)
    return backup.SourceSizes(size, 0).needed


def _free(folder: Path) -> int:
    """Return the free bytes where a folder is or would be made."""
    while not folder.exists():
        folder = folder.parent
    return disk.free_bytes(folder)


def _version(settings: Settings) -> Finding:
    risk = version_risk(settings.commit_lock)
    details = {"version": version()}
    return Finding("WARN" if risk else "ok", "SQLite", risk or version(), details)


def _service(settings: Settings) -> Finding:
    if engines.of(settings).missing():
        return _service_without_database(settings)
    try:
        service = running(settings)
    except OSError as error:
        text = _("unknown whether it runs: {reason}").format(reason=error)
        return Finding("WARN", "service", text, {"running": False})
    if service is None:
        return Finding("WARN", "service", _("does not run"), {"running": False})
    since = local_text(int(service.since * 1000), settings.zone)
    details = {"running": True, "pid": service.pid, "since": since}
    text = _("process {pid}, runs since {time}").format(pid=service.pid, time=since)
    if trouble := _trouble(service):
        return Finding("FAIL", "service", f"{text}; {trouble}", {**details, "trouble": trouble})
    return Finding("ok", "service", _("{service}, stores readings").format(service=text), details)


def _service_without_database(settings: Settings) -> Finding:
    """Ask the service; it has no lock to look at, as that would be beside the database."""
    try:
        answer = Running("", settings.bind, 0.0).ask("/readyz")
    except ServiceError:
        return Finding("WARN", "service", _("does not run"), {"running": False})
    trouble = "; ".join(answer.get("reasons", [])) or str(answer)
    text = _("answers at {address} and stores nothing: {reason}")
    text = text.format(address=settings.bind, reason=trouble)
    return Finding("FAIL", "service", text, {"running": True, "trouble": trouble})


def _trouble(service: Running) -> str:
    """Say why the running service cannot store readings, and since when; empty when it can."""
    try:
        answer = service.ask("/readyz")
        if answer.get("status") == "ready":
            return ""
        reasons = "; ".join(answer.get("reasons", [])) or str(answer)
        waited_sec = service.oldest_waiting_sec()
    except ServiceError as error:
        return str(error)
    if not waited_sec:
        return reasons
    text = _("{reasons}; readings have waited for {span}")
    return text.format(reasons=reasons, span=chosen().duration(int(waited_sec)))


def _backups(settings: Settings, *, full: bool) -> Finding:
    folder = settings.backup_dir
    try:
        files = backup_files.finished(folder)
        seconds = [int(time.time() - path.stat().st_mtime) for path in files[-1:]]
        states = {path: backup_files.is_unchanged(path) for path in (files if full else files[-1:])}
    except FileNotFoundError:
        files, seconds, states = [], [], {}
    except OSError as error:
        text = _("cannot look into {folder}: {reason}")
        return Finding("WARN", "backup", text.format(folder=folder, reason=error.strerror))
    if not files:
        return Finding("WARN", "backup", _("there is none in {folder}").format(folder=folder))
    changed = [str(path) for path, is_unchanged in states.items() if is_unchanged is False]
    without = [str(path) for path, is_unchanged in states.items() if is_unchanged is None]
    newest, age = str(files[-1]), seconds[0]
    details = {"newest": newest, "seconds": age, "changed": changed, "without_sum": without}
    level: Level = "WARN" if age > BACKUP_LATE_SEC else "ok"
    text = _("{path}, {span} old").format(path=newest, span=chosen().duration(age))
    if without:
        text += "; " + _("without a SHA-256: {files}").format(files=", ".join(without))
    if changed:
        text += "; " + _(
            "changed since it was made, by its SHA-256: {files}; do not rely on it, and make a new"
            " one: flask10x backup"
        ).format(files=", ".join(changed))
        level = "FAIL"
    return Finding(level, "backup", text, details)


def _copies(settings: Settings) -> Finding:
    """Say what the last `flask10x verify` has found; one that never ran is no warning."""
    try:
        result = verified.last_result(settings)
    except OSError as error:
        text = _("cannot be read: {reason}").format(reason=error.strerror)
        return Finding("WARN", "copies", text)
    if result is None:
        return Finding("ok", "copies", _("not compared yet: flask10x verify"), {"different": None})
    seconds = max(0, now_ms() - result.finished_at) // 1000
    details = {"seconds": seconds, "different": len(result.differing)}
    text = _("compared {span} ago, {n} different").format(
        span=chosen().duration(seconds), n=len(result.differing)
    )
    if not result.differing:
        return Finding("ok", "copies", text, details)
    text = _("{found}: flask10x verify --repair").format(found=text)
    return Finding("FAIL", "copies", text, details)
