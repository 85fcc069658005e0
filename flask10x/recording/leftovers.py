"""Leftovers: readings that a stop could not store, in a file until the next start stores them.

A stop may come while the database is out of reach: locked by somebody, full, damaged, moved away.
What was accepted is then written to a file beside it, whole and synced, and whichever worker runs
next stores it as soon as that is possible. A full disk has room for it too: the reserve.

Each entry is stored once. It keeps the number that it had in its queue, and the transaction that
stores some of them notes how far that queue is settled (`database/queue_notes.py`): who begins with
the file anew, after a death or beside another worker, passes over what was stored. The same note
tells what a commit that has failed because the disk would not sync has written to the WAL all the
same: nobody sees it while the service runs, but the next start recovers the rows and the note with
them.

A file may hold many thousands, so it is stored in pieces, and the commit lock is free in between.
"""

import logging
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection

from flask10x.config.settings import Settings
from flask10x.database import queue_notes
from flask10x.database.database import Database
from flask10x.database.error_codes import reason_of
from flask10x.errors import QueueUnreadable
from flask10x.readings.stations import longest_line_bytes
from flask10x.recording import batch
from flask10x.recording.entry import Entry, entries_of, leftover_files, queue_of, text_of
from flask10x.recording.shared_queue import SharedQueue, SharedQueues
from flask10x.system import disk
from flask10x.system.locks import FileLock, lock_path

# The reserve: room on the disk that is kept for what a stop cannot store when the disk is full.
#
# A file for each worker beside the database. Its blocks are set aside, nothing is written to it;
# whoever needs the room renames it, so of two that need it at once each gets one of its own.

# While there is not room for so many of them, the database needs it more.
SPARE_FILES = 2


def set_reserve_aside(folder: Path, files: int, each_bytes: int) -> None:
    """See to it that there are so many; what fails now is left to the next call."""
    for path in _reserve_paths(folder, files):
        with suppress(OSError):
            if disk.size(path) >= each_bytes:
                continue
            if disk.free_bytes(folder) >= SPARE_FILES * each_bytes:
                _make_reserve(path, each_bytes)


def take_reserve(folder: Path, files: int, name: Path) -> bool:
    """Give one of them this name, in place of a file that may have it; False when there is none."""
    for path in _reserve_paths(folder, files):
        with suppress(FileNotFoundError):
            path.rename(name)
            return True
    return False


def _reserve_paths(folder: Path, files: int) -> list[Path]:
    return [folder / f"leftover.reserve-{number}" for number in range(files)]


def _make_reserve(path: Path, each_bytes: int) -> None:
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        with open(temporary, "wb", opener=disk.private) as file:
            os.posix_fallocate(file.fileno(), 0, each_bytes)
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


log = logging.getLogger(__name__)

# A look at the folder costs nothing; a reload may leave a file while the new workers run already.
LOOK_EVERY_SEC = 5.0
# Between two pieces, in which the worker's own thread stores what has come in meanwhile.
PAUSE_FOR_OTHERS_SEC = 0.03

# One transaction between two values; closing it leaves the rest to a later one.
Pieces = Generator[None, None, None]


class Leftovers:
    """The files beside one database; all but `forget_settled` belongs to the writer's thread."""

    def __init__(self, settings: Settings, database: Database, clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds."""
        # Whatever the setting: the file is removed right after the last commit.
        self._settings = replace(settings, synchronous="FULL")
        self._database = database
        self._folder = database.path.parent
        self._clock = clock
        self._step_at_sec = clock()
        self._pieces: Pieces | None = None
        self._writing: Database | None = None
        self._logged: set[Path] = set()

    @property
    def pause_sec(self) -> float:
        """How long the next `step` can wait; short while more of a file can be stored."""
        waits = self._pieces is None or self._database.damage.halted
        return LOOK_EVERY_SEC if waits else PAUSE_FOR_OTHERS_SEC

    def save_queue(self, queue: SharedQueue, trouble: str) -> None:
        """Put what waits in a queue into a file; should that fail, it waits on.

        For its owner, or when there can be none any more: nobody else knows that nothing is
        appended meanwhile.
        """
        try:
            entries = queue.waiting(queue.length)
        except (QueueUnreadable, OSError) as error:
            log.critical("Stopping with %d readings that cannot be read: %s", queue.length, error)
            return
        if not entries:
            # Another worker has stored them just now.
            return
        last = entries[-1].number
        # From here on, whoever commits looks how far the file is stored.
        queue.marks.saved = last
        if self.save(queue.id, entries[0].number - 1, entries, trouble):
            queue.settle(last)

    def save_rest(self, queues: SharedQueues) -> None:
        """When all workers have ended: save what none of them could, for it was killed, say."""
        for number in queues.not_empty():
            self.save_queue(queues[number], "no worker is left")

    def save(self, queue: str, last: int, entries: Sequence[Entry], trouble: str) -> bool:
        """Write what follows entry `last` of the queue to a new file and log it.

        The answer is whether a power cut would leave the file whole.
        """
        name = f"leftover-{disk.moment(self._settings.zone)}-{queue}.jsonl"
        try:
            self._write(self._folder / name, text_of(queue, last, entries))
        except OSError as error:
            log.critical(
                "Stopping with %d readings not stored: %s; nor can they be kept in a file: %s",
                *(len(entries), trouble, error),
            )
            return False
        log.warning(
            "Stopping with %d readings not stored: %s; the next start stores them from %s",
            *(len(entries), trouble, name),
        )
        return True

    def step(self) -> None:
        """Store a piece of what there is, if it is time; errors are logged once, and tried again.

        A file that is not longer than a piece is stored whole, and the next one too.
        """
        if self._clock() < self._step_at_sec or self._database.damage.halted:
            return
        if self._pieces is None:
            set_reserve_aside(self._folder, self._settings.workers, self._longest_file_bytes())
            self._pieces = self._store_all()
        try:
            next(self._pieces)
        except StopIteration:
            self._pieces = None
        except OSError as error:
            # A card that fails for a moment: no reason for the writer to die.
            self._pieces = None
            self._log_trouble(self._folder, error)
        self._step_at_sec = self._clock() + self.pause_sec

    def _longest_file_bytes(self) -> int:
        """A queue that is full of the longest lines."""
        longest = max(longest_line_bytes(station) for station in self._settings.stations.all)
        return self._settings.write_queue_maxsize * longest

    def close(self) -> None:
        """Leave the rest of a file to the next start."""
        if self._pieces is not None:
            self._pieces.close()
            self._pieces = None
        if self._writing is not None:
            self._writing.close()
            self._writing = None

    def forget_settled(self, connection: Connection, living: Iterable[str]) -> None:
        """Forget how far queues were settled of which nothing can come up again.

        Those are neither among the `living`, as they are within this transaction, nor named by a
        file. Whatever the folder has against it leaves the notes to the next one who asks.
        """
        with suppress(OSError):
            # In this order: whoever stops writes its file before it is no longer alive.
            needed = {*living, *self._queues_in_files()}
            if gone := queue_notes.noted(connection) - needed:
                # A file that was removed might be back after a power cut.
                disk.sync(self._folder)
                queue_notes.forget(connection, gone)

    def _queues_in_files(self) -> Iterator[str]:
        for path in leftover_files(self._folder):
            # Another worker has removed it, or nobody can store it as it is.
            with suppress(FileNotFoundError, ValueError):
                yield queue_of(path)

    def _write(self, path: Path, text: str) -> None:
        temporary = path.with_suffix(".tmp")
        try:
            try:
                _fill(temporary, "wb", text)
            except OSError:
                if not take_reserve(self._folder, self._settings.workers, temporary):
                    raise
                _fill(temporary, "r+b", text)
            temporary.rename(path)
            disk.sync(self._folder)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def _store_all(self) -> Pieces:
        """Store each file; the lock for commits is free while the caller has its turn."""
        found = leftover_files(self._folder)
        if not found:
            return
        # Two would only read the same file and wait for each other.
        with closing(FileLock(lock_path(self._database.path, "leftovers"))) as alone:
            if not alone.try_acquire():
                return
            for path in found:
                try:
                    yield from self._store(path)
                except FileNotFoundError:
                    # The other worker was faster.
                    continue
                except Exception as error:
                    self._log_trouble(path, error)

    def _store(self, path: Path) -> Pieces:
        queue, rows = queue_of(path), self._settings.batch_max_rows
        stored = 0
        with (
            self._opened() as database,
            closing(entries_of(path)) as entries,
        ):
            while piece := list(islice(entries, rows)):
                stored += self._store_piece(database, path, queue, piece)
                if len(piece) == rows:
                    yield
            path.unlink()
        if stored:
            log.info("Stored %d readings that a stop had left in %s", stored, path.name)

    @contextmanager
    def _opened(self) -> Iterator[Database]:
        """A way of its own to the database, with these settings.

        While nothing may be written it stays open for the next try: closed without a checkpoint, it
        would keep its files open on Python 3.11, and each try would take some more.
        """
        if self._writing is None:
            self._writing = Database(self._settings, self._database.damage)
        try:
            yield self._writing
        finally:
            if not self._database.damage.halted:
                self._writing.close()
                self._writing = None

    def _store_piece(
        self, database: Database, path: Path, queue: str, piece: Sequence[Entry]
    ) -> int:
        """Store what is not settled yet, in one transaction; the number of those."""
        with database.commit() as connection:
            if not path.exists():
                # All of it is settled, and that may have been forgotten.
                raise FileNotFoundError(path)
            done = queue_notes.up_to(connection, queue)
            entries = [entry for entry in piece if entry.number > done]
            if not entries:
                return 0
            found = batch.insert_each(connection, entries, self._settings)
            queue_notes.note(connection, queue, piece[-1].number)
        batch.log_refusals(found.refused)
        return len(entries) - len(found.duplicates)

    def _log_trouble(self, path: Path, error: Exception) -> None:
        if path not in self._logged:
            log.error("Cannot store the readings in %s yet: %s", path.name, reason_of(error))
        self._logged.add(path)


def _fill(path: Path, mode: Literal["wb", "r+b"], text: str) -> None:
    with open(path, mode, opener=disk.private) as file:
        file.write(text.encode())
        file.truncate()
    disk.sync(path)
