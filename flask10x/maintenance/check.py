"""Health: a sound database, enough room, followers that keep up, a recent backup.

Nothing is written, migrated or repaired, and what cannot be checked is itself a finding. It works
beside the running service, without it, and on a database that is damaged.

One check is about what every user of this machine can read although a token is required. New files
are private (`system/disk.PRIVATE_MODE`); copies, and files whose mode was changed, keep their mode.
CSV files are meant to be read by others' scripts.
"""

import shlex
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from gettext import gettext as _
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from flask10x.alerts import state_file
from flask10x.alerts.active import AlertState
from flask10x.config import environment_file
from flask10x.config.settings import PREFIX, Settings
from flask10x.config.station_file import formula_headings
from flask10x.database import engines
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import WAL, beside, database_path, shown_name
from flask10x.database.running_service import Running, naming_the_setting, running
from flask10x.database.server import Primary, Server
from flask10x.database.sqlite import rescue_copy, rescued
from flask10x.database.sqlite.connections import LONG_WAL_BYTES, version, version_risk
from flask10x.errors import LockTimeout, ServiceError
from flask10x.health import checks
from flask10x.health.checks import Checks, Facts, Finding
from flask10x.health.database import ServerState
from flask10x.health.words import SERVER
from flask10x.maintenance import earlier_backups
from flask10x.maintenance.check_database import CheckLine, DatabaseCheck, Level
from flask10x.readings.times import local_text
from flask10x.recording import entry
from flask10x.recording.entry import FILES as LEFTOVER_FILES
from flask10x.system import backup_files, disk
from flask10x.system.clock import now_ms
from flask10x.system.log_file import FILE_NAME as LOG_NAME
from flask10x.system.wording import amount, megabytes
from flask10x.translation import chosen

LEVELS: dict[checks.Level, Level] = {
    "good": "ok",
    "off": "ok",
    "unknown": "WARN",
    "warn": "WARN",
    "wrong": "FAIL",
}
"""The first word of the line of a check that the pages show, too."""


def look_at_server(
    server: Server, settings: Settings, inside: DatabaseCheck, facts: Facts
) -> Iterator[CheckLine]:
    """Check the server and its database; a server that does not answer is a finding."""
    name = shown_name(settings)
    try:
        with engines.engine_of(settings).reader() as engine, engine.begin() as connection:
            primary = server.primary(connection)
            facts.server = ServerState(primary=primary)
            size = primary.database_bytes
            text = _("{database}, {size}").format(database=name, size=megabytes(size))
            yield CheckLine("ok", "database", text)
            yield from _server(server, connection, primary)
            yield from inside.look_inside(connection)
    except DBAPIError as error:
        text = _("{path} cannot be opened: {reason}")
        reason = " ".join(reason_of(error).split())
        yield CheckLine("FAIL", "database", text.format(path=name, reason=reason))


def _server(server: Server, connection: Connection, primary: Primary) -> Iterator[CheckLine]:
    shown, number = server.version(connection)
    first, last = server.VERSIONS
    level: Level = "ok"
    text = shown
    if not first <= number <= last:
        level, text = "WARN", _("{version}: this program was made for {first} to {last}")
        text = text.format(version=shown, first=first, last=last)
    yield CheckLine(level, "PostgreSQL", text)
    encoding = server.encoding(connection)
    level, text = "ok", encoding
    if encoding != server.ENCODING:
        level = "FAIL"
        text = _("{encoding}: make a new database with {wanted}, and copy: flask10x copy")
        text = text.format(encoding=encoding, wanted=server.ENCODING)
    yield CheckLine(level, "encoding", text)
    state = ServerState(primary=primary, is_synchronous=True)
    notices, t = [*state.obstacles, *state.warnings], chosen()
    text = t.sentences(t(SERVER[each.name], **each.values) for each in notices)
    text = text or _("{n} with each commit").format(n=primary.synchronous)
    yield CheckLine("WARN" if notices else "ok", "standby", text)


def check_modes(settings: Settings) -> CheckLine:
    """Check that database, leftovers, log and backups are private, where reading needs a token."""
    if not settings.read_tokens_file:
        return CheckLine("ok", "modes", _("reading needs no token"))
    database, backups = database_path(settings), settings.backup_dir
    try:
        private = [
            # With its -wal and -shm, and the copies that a restore has kept.
            *database.parent.glob(f"{database.name}*"),
            *database.parent.glob(LEFTOVER_FILES),
            *settings.log_dir.glob(f"{LOG_NAME}*"),
            *(backup_files.restorable(backups) if backups.is_dir() else ()),
        ]
        names = [str(path) for path in sorted(private) if _is_world_readable(path)]
    except OSError as error:
        text = _("cannot look at the files: {reason}").format(reason=error)
        return CheckLine("WARN", "modes", text)
    if not names:
        return CheckLine("ok", "modes", _("no file can be read without a token"))
    text = _(
        "{setting} is set, and everybody on this machine may read {files}; run: chmod o= {names}"
    )
    shown = text.format(
        setting=f"{PREFIX}READ_TOKENS_FILE",
        files=amount(len(names), "file"),
        names=shlex.join(names),
    )
    return CheckLine("WARN", "modes", shown)


def _is_world_readable(path: Path) -> bool:
    """Return whether the file's mode, and that of every folder above it, lets others read it."""
    folders = path.resolve().parents
    return bool(path.stat().st_mode & stat.S_IROTH) and all(
        folder.stat().st_mode & stat.S_IXOTH for folder in folders
    )


def check(settings: Settings, *, full: bool = False) -> list[CheckLine]:
    """Check everything; raises SettingsError when a file is where a folder is needed.

    `full` also compares each index with its table, and reads all backups, not only the newest. The
    check of the pages holds a snapshot: meanwhile the WAL grows, as with a backup.
    """
    path = database_path(settings)
    with naming_the_setting(settings), suppress(FileNotFoundError, PermissionError):
        path.stat()
    alerts = AlertState(state_file.path_of(settings)).current().active
    facts = Facts(alerts=alerts, has_database=True)
    facts.read_files(settings, now_ms())
    service, since_ms = _service(settings, facts)
    inside = DatabaseCheck(settings, facts, full=full, since_ms=since_ms)
    server = engines.engine_of(settings).server
    if server:
        findings = list(look_at_server(server, settings, inside, facts))
    else:
        findings = [*inside.look(path), _wal(path)]
    facts.read_room(settings)
    house = Checks(settings, facts, chosen(), now_ms())
    if facts.stations is not None:
        received = house.received()
        findings.append(_line("received", received, "; ".join(received.details)))
    if facts.stored is not None:
        exported = house.exported()
        findings.append(_line("exported", exported, "; ".join(exported.details)))
    return [
        _settings(),
        *(CheckLine("WARN", "heading", line) for line in formula_headings(settings.stations)),
        *findings,
        _leftovers(path),
        *([] if server else [_rescued(path)]),
        _line("space", house.card()),
        check_modes(settings),
        *([] if server else [_version(settings)]),
        service,
        *_copies(settings, facts, house, full=full),
    ]


def _settings() -> CheckLine:
    file = environment_file.loaded_file()
    text = _("from {path}") if file else _("no environment file")
    return CheckLine("ok", "settings", text.format(path=file))


def _wal(path: Path) -> CheckLine:
    size = disk.size(beside(path, WAL))
    is_long, text = size > LONG_WAL_BYTES, megabytes(size)
    if is_long:
        text = _("{size}: a reader that does not end keeps it from being reused").format(size=text)
    return CheckLine("WARN" if is_long else "ok", "WAL", text)


def _leftovers(path: Path) -> CheckLine:
    files = [str(file) for file in entry.leftover_files(path.parent)]
    text = _("a stop could not store the readings in {files}") if files else _("none")
    text = text.format(files=", ".join(files))
    return CheckLine("WARN" if files else "ok", "leftovers", text)


def _rescued(path: Path) -> CheckLine:
    name = "rescued"
    try:
        copies = [str(copy) for copy in rescued.copies(path)]
        richer = rescue_copy.richer(path)
    except OSError as error:
        text = _("cannot look into {folder}: {reason}")
        return CheckLine("WARN", name, text.format(folder=path.parent, reason=error.strerror))
    if richer:
        return CheckLine("FAIL", name, str(richer))
    if copies:
        text = _("the database has all that is in {files}; delete it or move it away")
        return CheckLine("WARN", name, text.format(files=", ".join(copies)))
    return CheckLine("ok", name, _("none"))


def _line(name: str, finding: Finding, *more: str) -> CheckLine:
    """Return the line of a check that the pages show, too; `more` is said behind it."""
    text = " ".join(filter(None, (finding.text, *more, finding.reason)))
    return CheckLine(LEVELS[finding.level], name, text)


def _version(settings: Settings) -> CheckLine:
    risk = version_risk(settings.commit_lock)
    return CheckLine("WARN" if risk else "ok", "SQLite", risk or version())


def _service(settings: Settings, facts: Facts) -> tuple[CheckLine, int | None]:
    """Say whether the service runs and stores, and since when it runs, in epoch milliseconds."""
    if engines.engine_of(settings).missing():
        # It has no lock to look at, as that would be beside the database.
        try:
            answer = Running("", settings.bind, 0.0).ask("/readyz")
        except ServiceError:
            return CheckLine("WARN", "service", _("does not run")), None
        trouble = _reasons(answer)
        text = _("answers at {address} and stores nothing: {reason}")
        text = text.format(address=settings.bind, reason=trouble)
        return CheckLine("FAIL", "service", text), None
    try:
        service = running(settings)
    except OSError as error:
        text = _("unknown whether it runs: {reason}").format(reason=error)
        return CheckLine("WARN", "service", text), None
    if service is None:
        return CheckLine("WARN", "service", _("does not run")), None
    since_ms = int(service.since * 1000)
    since = local_text(since_ms, settings.zone)
    text = _("process {pid}, runs since {time}").format(pid=service.pid, time=since)
    trouble, failing = _trouble(service)
    if trouble:
        return CheckLine("FAIL", "service", f"{text}; {trouble}"), since_ms
    text = _("{service}, stores readings").format(service=text)
    level: Level = "ok"
    if failing:
        level = "WARN"
        text = _("{service}; failing beside that: {names}").format(
            service=text, names=", ".join(failing)
        )
    elif any(alert.kind == "queue" for alert in facts.alerts):
        level, text = "WARN", _("{service}; many of them wait").format(service=text)
    return CheckLine(level, "service", text), since_ms


def _reasons(answer: Mapping[str, Any]) -> str:
    return "; ".join(answer.get("reasons", [])) or str(answer)


def _trouble(service: Running) -> tuple[str, list[str]]:
    """Say why the running service cannot store readings, and since when; empty when it can.

    And which of its periodic tasks fail.
    """
    try:
        answer = service.ask("/readyz")
        if answer.get("status") == "ready":
            return "", answer.get("failing", [])
        reasons = _reasons(answer)
        waited_sec = service.oldest_waiting_sec()
    except ServiceError as error:
        return str(error), []
    if not waited_sec:
        return reasons, []
    text = _("{reasons}; readings have waited for {span}")
    return text.format(reasons=reasons, span=chosen().duration(int(waited_sec))), []


def _copies(settings: Settings, facts: Facts, house: Checks, *, full: bool) -> Iterator[CheckLine]:
    """Yield the lines of backups, of the replica if there is one, and of `flask10x verify`."""
    yield _backups(settings, facts, house.backed_up(), full=full)
    for finding in house.replicated():
        yield _line("replica", finding)
    finding = house.compared()
    line = _line("copies", finding)
    if finding.level == "wrong":
        line = replace(line, text=_("{found}: flask10x verify --repair").format(found=line.text))
    yield line


def _backups(settings: Settings, facts: Facts, finding: Finding, *, full: bool) -> CheckLine:
    """Return the finding of the pages, and whether the newest backup, or each, has its SHA-256."""
    newest = facts.backup
    if newest is None:
        line = _line("backup", finding)
        if finding.level == "off":
            # In the words of the page: a missing one is never called fine.
            return replace(line, text=f"{_('none yet')} ({settings.backup_dir})")
        return line
    folder = settings.backup_dir
    try:
        files = backup_files.restorable(folder) if full else [newest.path]
        states = {path: earlier_backups.is_unchanged(path) for path in files}
    except (OSError, LockTimeout) as error:
        text = _("cannot look into {folder}: {reason}")
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return CheckLine("WARN", "backup", text.format(folder=folder, reason=reason))
    changed = [str(path) for path, is_unchanged in states.items() if is_unchanged is False]
    without = [str(path) for path, is_unchanged in states.items() if is_unchanged is None]
    line = _line("backup", finding, *(finding.details if settings.backup_copy_dir else ()))
    text = f"{newest.path}: {line.text}"
    if without:
        text += " " + _("Without a SHA-256: {files}.").format(files=", ".join(without))
    if changed:
        text += " " + _(
            "Changed since it was made, by its SHA-256: {files}. Do not rely on it, and make a new"
            " one: flask10x backup"
        ).format(files=", ".join(changed))
    return replace(line, text=text, level="FAIL" if changed else line.level)
