"""Leftovers: readings that a stop could not store, in a file until the next start stores them.

A stop may come while the database is out of reach: locked by another program, full, damaged, moved
away. The accepted readings are then written to a file beside it, whole and synced, and the worker
that runs next stores them as soon as that is possible. A full disk has room for the file, too: the
reserve.

Each entry is stored once. It keeps the number that it had in its queue, and the transaction that
stores some entries notes how far that queue is settled (`database/queue_notes.py`): a worker that
reads the file again, after a death or beside another worker, passes over what was stored. The same
note covers a commit that failed because the disk would not sync, but whose rows are in the WAL:
they are invisible while the service runs, and the next start recovers the rows together with the
note.

A file may hold many thousands, so it is stored in pieces, and the commit lock is free in between.
Two workers may store pieces of one file: each transaction passes over what is noted.
"""

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
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

log = logging.getLogger(__name__)

# The reserve is room on the disk for what a stop cannot store when the disk is full: a file for
# each worker beside the database, whose blocks are allocated. A worker that needs the room renames
# a file. While the disk has no room for so many files, the database needs the room more.
SPARE_FILES = 2
# A look at the folder costs nothing; a reload may leave a file while the new workers run already.
LOOK_EVERY_SEC = 5.0
# Between two pieces the thread stores the readings that have come in meanwhile.
PAUSE_FOR_OTHERS_SEC = 0.03


class Leftovers:
    """The files beside one database; all but `forget_settled` belongs to the writer's thread."""

    def __init__(self, settings: Settings, database: Database, clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds."""
        # Regardless of the setting, for the file is removed right after the last commit.
        self._settings = replace(settings, synchronous="FULL")
        self._database = database
        self._folder = database.path.parent
        self._clock = clock
        self._step_at_sec = clock()
        self._has_more = False
        self._writing: Database | None = None
        self._logged: set[Path] = set()

    @property
    def pause_sec(self) -> float:
        """How long the next `step` can wait; short while more of a file can be stored."""
        can_go_on = self._has_more and not self._database.damage.halted
        return PAUSE_FOR_OTHERS_SEC if can_go_on else LOOK_EVERY_SEC

    def save_queue(self, queue: SharedQueue, trouble: str) -> None:
        """Put the entries of a queue into a file; if that fails, they stay in the queue.

        Only its owner may call this, or the master when no worker is left: nothing may be appended
        meanwhile.
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
        # From here on, every commit looks up how far the file is stored.
        queue.marks.saved = last
        if self.save(queue.id, entries[0].number - 1, entries, trouble):
            queue.settle(last)

    def save_rest(self, queues: SharedQueues) -> None:
        """After the end of all workers, save what they have left, because one was killed, say."""
        for number in queues.not_empty():
            self.save_queue(queues[number], "no worker is left")

    def save(self, queue: str, last: int, entries: Sequence[Entry], trouble: str) -> bool:
        """Write the entries that follow entry `last` of the queue to a new file, and log it.

        Return whether the file would survive a power cut.
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
        """Store a piece of a file, if it is time; errors are logged once, and tried again.

        A file that is not longer than a piece is stored whole, and the next file with it.
        """
        if self._clock() < self._step_at_sec or self._database.damage.halted:
            return
        if not self._has_more:
            self._set_reserve_aside()
        self._has_more = False
        try:
            for path in leftover_files(self._folder):
                # Another worker may have stored and removed it.
                with suppress(FileNotFoundError):
                    self._has_more = self._store_piece(path)
                if self._has_more:
                    break
        except OSError as error:
            # The writer survives a card that fails for a moment.
            self._log_trouble(self._folder, error)
        # While nothing may be written the connection stays open for the next try: if it were closed
        # without a checkpoint, its files would stay open on Python 3.11, and each try would take
        # more of them.
        if not self._database.damage.halted:
            self.close()
        self._step_at_sec = self._clock() + self.pause_sec

    def _reserve_paths(self) -> list[Path]:
        return [
            self._folder / f"leftover.reserve-{number}" for number in range(self._settings.workers)
        ]

    def _set_reserve_aside(self) -> None:
        """Make the files that are missing; what fails now is left to the next call."""
        # A full queue of the longest lines.
        longest = max(longest_line_bytes(station) for station in self._settings.stations.all)
        each_bytes = self._settings.write_queue_maxsize * longest
        for path in self._reserve_paths():
            temporary = path.with_name(f".{path.name}-{os.getpid()}")
            with suppress(OSError):
                is_there = disk.size(path) >= each_bytes
                if is_there or disk.free_bytes(self._folder) < SPARE_FILES * each_bytes:
                    continue
                try:
                    with open(temporary, "wb", opener=disk.private) as file:
                        os.posix_fallocate(file.fileno(), 0, each_bytes)
                    temporary.rename(path)
                except OSError:
                    temporary.unlink(missing_ok=True)

    def close(self) -> None:
        """Close what `step` has opened; the rest of a file is left to the next start."""
        if self._writing is not None:
            self._writing.close()
            self._writing = None

    def forget_settled(self, connection: Connection, living: Iterable[str]) -> None:
        """Forget the notes of queues whose entries cannot come back.

        Those are the queues that are neither `living` within this transaction nor named by a file.
        If the folder cannot be read, the notes stay until the next call.
        """
        with suppress(OSError):
            # In this order: a worker that stops writes its file before it ends.
            needed = {*living}
            for path in leftover_files(self._folder):
                # Another worker has removed it, or it is not a file of leftovers.
                with suppress(FileNotFoundError, ValueError):
                    needed.add(queue_of(path))
            if unneeded := queue_notes.queues(connection) - needed:
                # A file that was removed might be back after a power cut.
                disk.sync(self._folder)
                queue_notes.forget(connection, unneeded)

    def _write(self, path: Path, text: str) -> None:
        temporary = path.with_suffix(".tmp")
        try:
            try:
                _fill(temporary, "wb", text)
            except OSError:
                for path_of_reserve in self._reserve_paths():
                    with suppress(FileNotFoundError):
                        path_of_reserve.rename(temporary)
                        break
                else:
                    raise
                _fill(temporary, "r+b", text)
            temporary.rename(path)
            disk.sync(self._folder)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise

    def _store_piece(self, path: Path) -> bool:
        """Store the next entries of a file, in one transaction; whether there may be more.

        The file is removed after its last entry. Errors are logged.
        """
        try:
            queue, rows_max = queue_of(path), self._settings.batch_max_rows
            database = self._writing = self._writing or Database(
                self._settings, self._database.damage
            )
            with database.reader.begin() as connection:
                done = queue_notes.up_to(connection, queue)
            with closing(entries_of(path)) as entries:
                piece = [*islice((entry for entry in entries if entry.number > done), rows_max)]
            if piece:
                self._store(database, path, queue, piece)
            if len(piece) == rows_max:
                return True
            path.unlink()
        except FileNotFoundError:
            raise
        except Exception as error:
            self._log_trouble(path, error)
        return False

    def _store(self, database: Database, path: Path, queue: str, piece: Sequence[Entry]) -> None:
        """Store the entries that are not settled yet, in one transaction."""
        with database.commit() as connection:
            if not path.exists():
                # All its entries are settled, and the note of that may be forgotten already.
                raise FileNotFoundError(path)
            done = queue_notes.up_to(connection, queue)
            entries = [entry for entry in piece if entry.number > done]
            if not entries:
                return
            not_stored = batch.insert_each(connection, entries, self._settings)
            queue_notes.note(connection, queue, done, piece[-1].number)
        batch.log_refusals(not_stored.refused)
        # By each worker of what it has stored: another one may store the next piece.
        if stored := len(entries) - len(not_stored.duplicates):
            log.info("Stored %d readings that a stop had left in %s", stored, path.name)

    def _log_trouble(self, path: Path, error: Exception) -> None:
        if path not in self._logged:
            log.error("Cannot store the readings in %s yet: %s", path.name, reason_of(error))
        self._logged.add(path)


def _fill(path: Path, mode: Literal["wb", "r+b"], text: str) -> None:
    with open(path, mode, opener=disk.private) as file:
        file.write(text.encode())
        file.truncate()
    disk.sync(path)
