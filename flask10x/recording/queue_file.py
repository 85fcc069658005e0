"""The queues of a service lie in a file in memory, whose name survives the death of all processes.

The service makes it at its start and removes it at its end if no entry waits. A file that exists
at the start belonged to a service that was killed, and the new service continues with it: its
workers store the entries that wait in the queues. Only the holder of the service lock may use
QueueFile.
"""

import fcntl
import os
import stat
import time
from contextlib import suppress
from hashlib import sha256
from itertools import count
from pathlib import Path

from flask10x.config.settings import Settings
from flask10x.database.paths import database_path
from flask10x.errors import ServiceRunning
from flask10x.recording.shared_queue import MAGIC, SharedQueues, prepare

# Memory with file names (man 7 shm_overview); every user may make files there.
FOLDER = Path("/dev/shm")  # noqa: S108
# Readings are for this user only.
MODE = 0o600
# A process that ends frees its locks one after the other, that of the database perhaps first.
DYING_SEC = 5.0
POLL_SEC = 0.02
# Without following a link that another user has put there.
OPEN_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


class QueueFile:
    """The file of one database's queues, and the queues in it."""

    def __init__(self, settings: Settings) -> None:
        """Continue with the file of a killed service, or make one.

        If neither is possible, the queues lie in memory without a name, and a warning says why:
        then the entries that wait survive the death of a worker, but not of the whole service.
        Raises ServiceRunning if another service uses the file.
        """
        self.path = queue_path(database_path(settings))
        self.warnings: list[str] = []
        self.inherited = 0
        """How many readings waited in the file of a killed service."""
        places = settings.write_queue_maxsize
        self._has_name = True
        try:
            self.queues = self._open(places)
        except OSError as error:
            self._has_name = False
            self.warnings.append(
                f"{self.path} cannot be used: {error.strerror or error}; if the whole service is"
                " killed, readings that wait are lost"
            )
            self.queues = SharedQueues.anonymous(places)
        user, _, database = self.path.stem.rpartition("-")
        for other in sorted(FOLDER.glob(f"flask10x-*-{database}.*")):
            if other == self.path:
                continue
            of_user = other.stem.rpartition("-")[0] == user
            whose = "version, which" if of_user else "user, whose service"
            self.warnings.append(f"{other} is of another {whose} can store what waits in it")
            self.queues.others_exist = True
        if not self._has_name and os.path.lexists(self.path):
            self.queues.others_exist = True

    def remove(self) -> int:
        """Remove the file if no reading waits in it; the number of readings that wait."""
        waiting = self.queues.length()
        if self._has_name and not waiting:
            with suppress(OSError):
                self.path.unlink()
        return waiting

    @property
    def lasts(self) -> bool:
        """Whether the next start finds the readings that wait: the file still has its name."""
        return self._has_name and self.path.exists()

    def what_becomes_of(self, waiting: int) -> str:
        """The fate of so many readings that wait at the end of the service, as a log line."""
        if self.lasts:
            return f"{waiting} readings wait in memory for the next start; a reboot loses them"
        return f"{waiting} readings are lost: the memory in which they waited has no name"

    def _open(self, places: int) -> SharedQueues:
        try:
            fd = os.open(self.path, OPEN_FLAGS)
        except FileNotFoundError:
            return self._make(places)
        try:
            _require_own(fd)
            self._hold(fd)
            begun = os.pread(fd, len(MAGIC), 0)
            is_gone = os.fstat(fd).st_nlink == 0
        except (OSError, ServiceRunning):
            os.close(fd)
            raise
        if is_gone:
            # Its service has stopped properly and removed it meanwhile.
            os.close(fd)
            return self._open(places)
        if begun != MAGIC:
            os.close(fd)
            if begun.strip(b"\0"):
                # It is of another version.
                suffixes = (f".other-{number}" if number else ".other" for number in count())
                names = map(self.path.with_suffix, suffixes)
                self.path.rename(next(name for name in names if not os.path.lexists(name)))
            else:
                # A service that was killed while it made the file leaves it with zeros.
                self.path.unlink()
            return self._make(places)
        queues = SharedQueues(fd)
        self.inherited = queues.length()
        if self.inherited or queues.places == places:
            return queues
        self.path.unlink()
        return self._make(places)

    def _make(self, places: int) -> SharedQueues:
        fd = os.open(self.path, OPEN_FLAGS | os.O_CREAT | os.O_EXCL, MODE)
        try:
            # The umask may have removed permissions of MODE.
            os.fchmod(fd, MODE)
            self._hold(fd)
            prepare(fd, places)
        except OSError:
            os.close(fd)
            self.path.unlink()
            raise
        return SharedQueues(fd)

    def _hold(self, fd: int) -> None:
        """Lock the file for as long as a process of this service lives; raises ServiceRunning.

        The service lock is ineffective once its file was deleted, and two services in one queue
        would overwrite each other's entries.
        """
        give_up_sec = time.monotonic() + DYING_SEC
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() >= give_up_sec:
                    text = f"another Flask10X service already uses {self.path}, and its database"
                    raise ServiceRunning(f"{text}; stop it first") from error
                time.sleep(POLL_SEC)
            else:
                return


def queue_path(database: Path) -> Path:
    """The file for this database and this user."""
    name = sha256(os.fsencode(database)).hexdigest()[:32]
    return FOLDER / f"flask10x-{os.geteuid()}-{name}.queue"


def _require_own(fd: int) -> None:
    """Raises PermissionError if another user may have made the file or may write to it."""
    status = os.fstat(fd)
    if (
        not stat.S_ISREG(status.st_mode)
        or status.st_uid != os.geteuid()
        or stat.S_IMODE(status.st_mode) != MODE
        or status.st_nlink != 1
    ):
        raise PermissionError("it is not a file of this user alone")
