"""Gunicorn's settings and hooks: `gunicorn -c python:flask10x.server.gunicorn_conf`.

The master takes the service lock, migrates in a child process and then only forks: it never
opens the database. Each worker opens its store after the fork. While the database is missing
nothing is locked or made, and workers wait for it instead. `application.py` is imported inside
functions: a master with one worker never loads it.
"""

import gc
import logging
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

from gunicorn.errors import HaltServer

from flask10x.config import station_file
from flask10x.database import engines
from flask10x.database.damage import Damage
from flask10x.database.paths import database_path
from flask10x.database.running_service import DAMAGED, DAMAGED_STATUS, hold_database
from flask10x.errors import Flask10xError, HostNameTaken, SchemaError
from flask10x.recording.queue_file import QueueFile
from flask10x.recording.shared_queue import WorkerSlot
from flask10x.server import migration
from flask10x.server.address import greet, require_free
from flask10x.server.in_force import (
    Changes,
    alerts_line,
    changes,
    read_settings,
    read_settings_again,
)
from flask10x.server.replacing import WORKER_FAILED, Replacing
from flask10x.server.systemd import Reporting, Systemd
from flask10x.server.worker import GRACEFUL_TIMEOUT_SEC, REQUEST_CEILING_SEC, Worker
from flask10x.system import limits, logs, units, uploads
from flask10x.system.background import About, Background
from flask10x.system.clock import monotonic_ms
from flask10x.system.gauges import SLOTS, Gauges

if TYPE_CHECKING:
    from flask import Flask

    from flask10x.runtime.store import Store
    from flask10x.runtime.waiting import Waiting

log = logging.getLogger(__name__)

_in_force = read_settings()
_settings = _in_force.settings
_engine = engines.engine_of(_settings)
_gauges = Gauges(_settings.stations.by_endpoint)
_held: list[object] = []
# The queues that the workers share and inherit; None while there is no database.
_queue_file: QueueFile | None = None
# Why there is no database; empty while there is one.
_missing = ""
# Whether a worker that waits for the database has ended, probably because it is there.
_looks_again = False
_slot_number = 0
_replacing: Replacing | None = None
# Gunicorn would say that it is ready when it listens, before a worker answers.
_systemd = Systemd(os.environ, os.getpid())
_reporting: Reporting | None = None

bind = _settings.bind
workers = _settings.workers
wsgi_app = "flask10x.server.gunicorn_conf:worker_app()"
# The heartbeat file must not wait for a stalled card, or workers get killed for its slowness.
# Without such a folder, a file on the card is better than no service.
_SHARED_MEMORY = "/dev/shm"  # noqa: S108
worker_tmp_dir = _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK) else None
graceful_timeout = GRACEFUL_TIMEOUT_SEC
# Boards open a connection for each reading; browsers may keep one for the next page.
keepalive = 5
# It would be a socket in $HOME that controls the master, which is not needed.
control_socket_disable = True
# Each connection is a file of the process, which may have 1,024; gunicorn's 1,000 is too near.
worker_connections = 500
# So many more wait to be accepted, on all workers together: those that are answered within a second
# of some hundreds. Of a longer line the last have given up before it is their turn, and so have
# those who come then: after a power cut ten thousand boards get fewer answers, not more
# (docs/decisions/0038). Who finds no place tries again by TCP, after a second.
backlog = 256
worker_class = Worker
# `server/worker.py` is made for this parser, also where the faster one is installed.
http_parser = "python"
# A connection is not a socket to which the kernel could send a file.
sendfile = False
# The signals that stop a worker.
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
END_POLL_SEC = 0.05


def worker_app() -> "Flask":
    """The application of one worker; called in the worker, which reads no file of settings."""
    from flask10x.server.application import with_threads  # noqa: PLC0415
    from flask10x.web.app import create_app  # noqa: PLC0415

    settings = _in_force.settings
    if _queue_file is None:
        slot = WorkerSlot.alone(settings, _gauges, _slot_number)
    else:
        slot = WorkerSlot(_gauges, _queue_file.queues, _slot_number)
    return with_threads(create_app(settings, slot, _in_force.keyring, _missing), settings)


def on_reload(server: Any) -> None:
    """In the master, before new workers are forked: read settings, stations and tokens again.

    A mistake in them ends neither the master nor a worker. Where a page has asked for it, a backup
    is put in the place of the database first.
    """
    global _in_force  # noqa: PLW0603
    if _reporting is not None:
        _reporting.begin_reload()
    if not _missing and (asked := Background(_settings.data_dir).take_asked()):
        _restore(server, *asked)
    former = _in_force
    try:
        _in_force, waiting = read_settings_again(former)
        stations = changes(
            former.settings.stations.by_endpoint, _in_force.settings.stations.by_endpoint
        )
        _take_stations(stations)
    except Exception as error:
        _in_force = former
        text = "Reload failed, the settings, stations and tokens before it stay"
        _tell(logging.ERROR, f"{text}: {error}")
        return
    _warn(waiting)
    if parts := stations.parts("not accepted any more, its readings stay"):
        level = logging.WARNING if stations.removed else logging.INFO
        _tell(level, f"Stations of this reload: {'; '.join(parts)}")
        _warn(station_file.formula_headings(_in_force.settings.stations))
    if line := alerts_line(former.settings.alerts, _in_force.settings.alerts):
        _tell(logging.INFO, line)


def _restore(server: Any, about: About, environment: dict[str, str]) -> None:
    """End all workers, and run the command that replaces the database; it says what came of it.

    They store what they have accepted, and connections wait for the next workers meanwhile.
    """
    try:
        until_sec = time.monotonic() + GRACEFUL_TIMEOUT_SEC
        server.kill_workers(signal.SIGTERM)
        while server.WORKERS:
            if time.monotonic() > until_sec:
                server.kill_workers(signal.SIGKILL)
            time.sleep(END_POLL_SEC)
            server.reap_workers()
        with _unwatched():
            Background(_settings.data_dir).start(about, environment).join()
        _gauges.forget_file()
        # What was made by an older version is brought to this one.
        _prepare()
    except Exception as error:
        _tell(logging.ERROR, f"A backup could not be restored: {error}")
        return
    _tell(logging.WARNING, "The database was replaced from the page of the setup, see there")


def _take_stations(stations: Changes) -> None:
    """Make room for the stations of the new workers; raises what prevents it."""
    _gauges.add_stations(stations.added)
    # A database that is missing gets its columns when it is there.
    if not any(stations) or _missing:
        return
    # The file that would be opened now may not be the one that the WAL belongs to.
    if obstacle := Damage(_gauges).obstacle:
        raise SchemaError(obstacle)
    with _unwatched():
        status, messages = migration.run(_in_force.settings, starts=False)
    if status != 0:
        sys.stderr.write(messages)
        raise SchemaError(migration.last_of(messages))
    _warn_of_migration(messages)


@contextmanager
def _unwatched() -> Iterator[None]:
    """What may take hours and keeps this process from reporting that it is well."""
    if _reporting is not None:
        with _reporting.away():
            yield
        return
    # An update waits for it, and not for a version that hangs.
    _systemd.say(f"STATUS={units.MIGRATING}")
    yield
    _systemd.say("STATUS=starts")


def _overdue_since_sec() -> float:
    """Return since when the reading that waits longest should be stored; infinity for none.

    Nothing is overdue where nothing may be written, nor on a server, which may wait for a standby.
    """
    if _queue_file is None or not _engine.is_file or Damage(_gauges).halted:
        return math.inf
    oldest_ms = _queue_file.queues.oldest_ms()
    if oldest_ms is None:
        return math.inf
    return oldest_ms / 1000 + _in_force.settings.commit_interval_sec


def _tell(level: int, line: str) -> None:
    """Write a line of the master to the log, and from WARNING up to stderr.

    The log is closed again at once: its thread and its lock would not survive the next fork.
    """
    logs.configure(_in_force.settings, make_folder=not (_engine.is_file and _missing))
    log.log(level, "%s", line)
    logs.shutdown()


def _warn(lines: Iterable[str]) -> None:
    for line in lines:
        _tell(logging.WARNING, line)


def on_starting(_server: Any) -> None:
    """In the master, once: refuse a second service and a port in use, then migrate.

    With a damaged or missing database the service starts and its pages say so: the operator has to
    act, and no restart by systemd would help.
    """
    global _missing  # noqa: PLW0603
    try:
        _missing = _engine.missing()
        # The file of the lock would lie on the wrong disk, too.
        if not _missing:
            _held.append(hold_database(_settings))
            uploads.remove_leftovers(_settings.data_dir)
        require_free(_settings)
        if workers > 1:
            # All workers and the migration share its memory; a single worker would have most of it
            # twice, because a page that is written to is copied.
            from flask10x.server import application  # noqa: F401, PLC0415
        if not _missing:
            _prepare()
        if _missing:
            _tell_of_missing()
        else:
            _open_queues()
        _warn(station_file.formula_headings(_settings.stations))
    except Flask10xError as error:
        sys.stderr.write(f"flask10x: {error}\n")
        sys.exit(error.exit_status)


def _prepare() -> None:
    """Migrate the database that the master has locked; raises SchemaError or HostNameTaken.

    A database whose server does not answer is missing, like one on a disk that is not mounted.
    """
    global _missing  # noqa: PLW0603
    path = database_path(_settings)
    is_first = _engine.is_new()
    with _unwatched():
        status, messages = migration.run(_in_force.settings, starts=True)
    if status == DAMAGED_STATUS:
        sys.stderr.write(messages)
        _gauges.damage = messages.rpartition(DAMAGED)[2].strip()
        return
    if status == migration.UNREACHABLE_STATUS:
        sys.stderr.write(messages)
        _missing = migration.last_of(messages)
        return
    if status == HostNameTaken.exit_status:
        raise HostNameTaken(migration.last_of(messages))
    if status != 0:
        sys.stderr.write(messages)
        raise SchemaError("the database could not be migrated; not starting")
    if is_first:
        _tell(logging.INFO, f"A new database was made: {path}")
    _warn_of_migration(messages)


def _tell_of_missing() -> None:
    _tell(logging.CRITICAL, f"The database {_engine.lack}, nothing is stored: {_missing}")


def _warn_of_migration(messages: str) -> None:
    _warn(line.removeprefix("flask10x: ") for line in messages.splitlines())


def _take_when_there() -> None:
    """Begin to use the database that was missing, if it is there; raises Flask10xError."""
    global _missing, _looks_again
    if not _missing or not _looks_again or _engine.missing():
        return
    former, _missing, _looks_again = _missing, "", False
    if not _held:
        _held.append(hold_database(_settings))
    _prepare()
    if not _missing:
        _open_queues()
    elif _missing != former:
        _tell_of_missing()


def _open_queues() -> None:
    """Make the queues that all workers share, or continue with those of a killed service."""
    global _queue_file  # noqa: PLW0603
    _queue_file = QueueFile(_settings)
    _warn(_queue_file.warnings)
    if waiting := _queue_file.inherited:
        _tell(logging.INFO, f"Readings that a killed service had accepted: {waiting}, stored now")


def when_ready(server: Any) -> None:
    """In the master, which listens and is about to fork: greet with the address of the pages."""
    global _replacing, _reporting  # noqa: PLW0603
    _replacing = Replacing(server, _gauges, lambda line: _tell(logging.WARNING, line))
    _reporting = Reporting(server, _systemd, _gauges, _overdue_since_sec)
    if workers > 1:
        _compile_templates()
    # Loaded modules stay to the end. Without this the collector visits them all again at the end of
    # each process: a third of the processor time of a start and a stop.
    gc.collect()
    gc.freeze()
    # A worker that used memory that is free here would copy it, and this process would keep it.
    limits.give_memory_back()
    # Python loses signals that reach a process between its fork and its first steps. Until
    # `post_fork` the kernel keeps those that stop a worker.
    os.register_at_fork(before=_hold_stops, after_in_parent=_let_stops_in)
    greet(_settings)


def _compile_templates() -> None:
    from flask10x.server import templates  # noqa: PLC0415

    templates.compile_templates(_settings, _gauges, _in_force.keyring)


_hold_stops = partial(signal.pthread_sigmask, signal.SIG_BLOCK, STOPS)
_let_stops_in = partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, STOPS)


def pre_fork(server: Any, worker: Any) -> None:
    """In the master: use the database if it is no longer missing, and assign a slot to the worker.

    It is the first slot of the gauges that no other worker has.
    """
    try:
        _take_when_there()
    except Flask10xError as error:
        raise HaltServer(f"flask10x: {error}", error.exit_status) from error
    in_use = {other.slot_number for other in server.WORKERS.values()}
    worker.slot_number = next(n for n in range(SLOTS) if n not in in_use)
    _gauges.slot(worker.slot_number).booted_ms = 0
    if _queue_file is not None:
        _queue_file.queues[worker.slot_number].use()


def post_fork(server: Any, worker: Any) -> None:
    """In the worker, before the application is loaded and gunicorn has set its signal handlers."""
    global _slot_number  # noqa: PLW0603
    # Until gunicorn sets its own handlers, signals would go to this process's copy of the master's
    # queue, which is never read; the worker would take readings until it is killed.
    for number in STOPS:
        signal.signal(number, worker.handle_exit)
    _let_stops_in()
    _slot_number = worker.slot_number
    _gauges.slot(_slot_number).claim(worker.pid)
    worker.spare_master = partial(_spare_master, server)
    worker.spare_master()


def _spare_master(server: Any) -> None:
    """In the worker: keep the master alive if this worker cannot start but others serve.

    With gunicorn's own status a worker that cannot start ends the master, which is right for the
    first start only.
    """
    if _gauges.serving:
        server.WORKER_BOOT_ERROR = server.APP_LOAD_ERROR = WORKER_FAILED


def post_worker_init(worker: Any) -> None:
    """In the worker, with the application loaded: open the store, and drain it at a stop."""
    # This changes only the copy of this process: the master keeps the longer time.
    worker.cfg.set("graceful_timeout", REQUEST_CEILING_SEC)
    from flask10x.runtime.waiting import Waiting  # noqa: PLC0415

    store = _store_of(worker)
    # Another worker of a first start may serve by now.
    worker.spare_master()
    store.open()
    _gauges.slot(_slot_number).booted_ms = monotonic_ms()
    _gauges.serving = 1
    if isinstance(store, Waiting):
        return
    _also_on(signal.SIGTERM, store.writer.flush_now)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGABRT):
        _also_on(number, store.writer.refuse_new)


def worker_exit(_server: Any, worker: Any) -> None:
    """In the worker, at any end but SIGKILL: store all accepted readings."""
    for number in (*STOPS, signal.SIGABRT):
        signal.signal(number, signal.SIG_IGN)
    end, slot = sys.exc_info()[1], _gauges.slot(_slot_number)
    if not slot.booted_ms and isinstance(end, SystemExit) and end.code:
        slot.booted_ms = -1
    # A worker that was stopped while it booted has no application yet.
    if getattr(worker, "wsgi", None) is not None:
        _store_of(worker).close()


def on_exit(_server: Any) -> None:
    """In the master, after the end of all workers: remove the queues if no reading waits."""
    if _queue_file is None:
        return
    if _queue_file.queues.not_empty():
        # Into files, because memory does not survive a reboot.
        try:
            logs.configure(_in_force.settings)
            from flask10x.database.database import Database  # noqa: PLC0415
            from flask10x.recording.leftovers import Leftovers  # noqa: PLC0415

            # Only its path is used.
            database = Database(_in_force.settings)
            leftovers = Leftovers(_in_force.settings, database, time.monotonic)
            leftovers.save_rest(_queue_file.queues)
        except Exception:
            log.critical("What waits could not be put into a file", exc_info=True)
        finally:
            logs.shutdown()
    if waiting := _queue_file.remove():
        level = logging.WARNING if _queue_file.lasts else logging.CRITICAL
        _tell(level, _queue_file.what_becomes_of(waiting))


def child_exit(server: Any, worker: Any) -> None:
    """In the master: release the slot of a worker that was killed for the next one."""
    global _looks_again  # noqa: PLW0603
    _looks_again = True
    _gauges.record_killed(worker.pid)
    # At a stop gunicorn has closed its sockets, and workers are not replaced.
    if _replacing is not None and server.LISTENERS:
        _replacing.note_end(_gauges.slot(worker.slot_number).booted_ms)


def _store_of(worker: Any) -> "Store | Waiting":
    store: Store | Waiting = worker.wsgi.extensions["flask10x"]
    return store


def _also_on(number: int, action: Callable[[], None]) -> None:
    """Run `action` before gunicorn's own handler of a signal."""
    usual = signal.getsignal(number)

    def handle(received: int, frame: FrameType | None) -> None:
        action()
        if callable(usual):
            usual(received, frame)

    signal.signal(number, handle)
