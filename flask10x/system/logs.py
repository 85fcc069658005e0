"""The log: one file that all processes share, and warnings on stderr for systemd's journal.

Every line that begins with a date begins a record. Control characters in a message are escaped,
so a message is one line whatever a sensor sent; the lines of a traceback follow their record,
each indented, so none of them can pass for a record.

If the log cannot be written, on a full disk say, only its lines are lost: no caller gets an
exception, and stderr gets one line. A service starts even if the folder cannot be written:
readings come first. A thread of its own writes the file, so neither a card that stalls for
seconds, nor the rotation by another worker, nor a journald that hangs (`StderrLines`) delays the
answer to a sensor.
"""

import errno
import logging
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from flask10x.config.settings import PREFIX, Settings, process_user
from flask10x.system import disk
from flask10x.system.log_file import Collector, LogFile
from flask10x.system.log_line import LineFormatter
from flask10x.system.stderr_lines import StderrLines

# In the place of the folder: a container keeps what is said there, and gunicorn's lines on stderr.
STDOUT = Path("/dev/stdout")
# A full disk is no wrong setting: the service starts and its log waits for space.
FULL = (errno.ENOSPC, errno.EDQUOT)

_OURS = "flask10x"
# Gunicorn logs here which worker started, hung or was killed; it has its own handler for stderr.
_GUNICORN = "gunicorn.error"

_installed: list[tuple[logging.Logger, logging.Handler]] = []


def configure(settings: Settings, *, make_folder: bool = True) -> None:
    """Log to `<LOG_DIR>/flask10x.log`, and from WARNING up to stderr; or all of it to stdout.

    Call it in each process, in workers after the fork; another call applies new settings. A process
    that forks calls `shutdown` before: neither a thread nor its locks survive a fork. The file
    is shared safely: it is locked for the lines of half a second, and rotated under the same lock.
    Each of the LOG_BACKUP_COUNT old files and the current one may be a line longer than
    LOG_MAX_BYTES.

    If the folder cannot be made or written, stderr gets one line and there is no file. Without
    `make_folder` a missing folder silently means no file.
    """
    shutdown()
    if settings.log_dir == STDOUT:
        _say_on(StderrLines(sys.stdout), settings.log_level)
        return
    stderr = StderrLines()
    stderr.setLevel(logging.WARNING)
    _say_on(stderr, settings.log_level)
    if not (make_folder or settings.log_dir.is_dir()):
        return
    file = LogFile(settings)
    try:
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        for path in (file.baseFilename, file.lockFilename):
            disk.make_private(path)
        # To rotate is to rename, which needs the folder itself.
        with tempfile.TemporaryFile(dir=settings.log_dir):
            pass
    except OSError as error:
        if error.errno not in FULL:
            with suppress(Exception):
                sys.stderr.write(
                    f"flask10x: {PREFIX}LOG_DIR is {settings.log_dir}: user {process_user()} cannot"
                    f" write there: {error}; going on without a log file\n"
                )
            return
    collector = Collector(file)
    collector.start()
    _install(collector, _OURS, _GUNICORN)


def _say_on(lines: StderrLines, level: str) -> None:
    logging.raiseExceptions = False
    logging.getLogger(_OURS).setLevel(level)
    lines.setFormatter(LineFormatter())
    _install(lines, _OURS)


def _install(handler: logging.Handler, *names: str) -> None:
    for name in names:
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        _installed.append((logger, handler))


def flush() -> None:
    """Return once every line so far is in the file or lost."""
    for _, handler in _installed:
        handler.flush()


def write_line(settings: Settings, level: int, text: str) -> None:
    """Write one line at once, from a process that has no log open; after an error it is lost."""
    line = logging.makeLogRecord({"levelname": logging.getLevelName(level), "msg": text})
    with suppress(Exception):
        if settings.log_dir == STDOUT:
            os.write(sys.stdout.fileno(), f"{LineFormatter().format(line)}\n".encode())
            return
        file = LogFile(settings)
        file.write([LineFormatter(has_time=True, zone=settings.zone).format(line)])
        file.close()


def shutdown() -> None:
    """Write the lines that wait, undo `configure`, close the file; harmless without it."""
    while _installed:
        logger, handler = _installed.pop()
        logger.removeHandler(handler)
        handler.close()
    logging.getLogger(_OURS).setLevel(logging.NOTSET)
    logging.raiseExceptions = True
