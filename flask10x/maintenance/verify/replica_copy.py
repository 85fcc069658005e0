"""The replica as a copy beside the database, where it can be compared; and a new one carried.

A copy costs the card one writing of the database. Litestream proves its checksums by that.
"""

import os
import shutil
from gettext import gettext as _
from pathlib import Path

from flask10x.config.settings import Settings
from flask10x.database import engines
from flask10x.database.paths import database_path
from flask10x.database.sqlite import litestream
from flask10x.errors import Flask10xError, ReplicaBroken
from flask10x.maintenance import replica
from flask10x.system import disk
from flask10x.system.wording import megabytes


class ReplicaCopy:
    """The copy, in the block of `with`; it is removed at its end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.shown = ""
        """Where the replica is, for people; empty where there is none."""
        self.path: Path | None = None
        self.left_out = ""
        """Why it is not compared, where that says nothing about the replica itself."""
        self.broken = ""
        """Why nothing can be made of the replica, where it is reached."""

    def __enter__(self) -> "ReplicaCopy":
        self.__exit__()
        try:
            if (source := replica.configured(self._settings)) is not None:
                self.shown = source.shown
                _require_room(self._settings)
                self.path = source.copy(replica.compared_folder(self._settings))
        except ReplicaBroken as error:
            self.broken = str(error)
        except (Flask10xError, OSError) as error:
            self.left_out = in_a_line(error)
        return self

    def __exit__(self, *_error: object) -> None:
        if engines.of(self._settings).is_file:
            shutil.rmtree(replica.compared_folder(self._settings), ignore_errors=True)


def can_renew(settings: Settings) -> bool:
    """Whether a new copy may be carried now: not beside a Litestream that does so, too."""
    if not engines.of(settings).is_file:
        return False
    state = litestream.replica_of(database_path(settings))
    return state is None or not state.is_running


def renew(settings: Settings) -> str:
    """Have a whole new copy carried to the replica; return why that failed, empty if it did not."""
    try:
        if (source := replica.configured(settings)) is not None:
            source.renew(database_path(settings))
    except (Flask10xError, OSError) as error:
        return in_a_line(error)
    return ""


def in_a_line(error: Exception) -> str:
    """Return what it says, for a sentence that goes on."""
    return " ".join(str(error).split()).rstrip(".")


def _require_room(settings: Settings) -> None:
    """Raise OSError where the disk has no room for another database, or the machine no memory.

    Half of the memory is left to the service and the rest.
    """
    path = database_path(settings)
    if shortage := disk.shortage(path.parent, disk.size(path) + disk.SPARE_BYTES):
        raise OSError(shortage)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    needed = disk.size(path) // replica.MEMORY_OF_SIZE
    if needed > memory // 2:
        text = _("not enough memory for Litestream: it takes {needed} of {memory}")
        raise OSError(text.format(needed=megabytes(needed), memory=megabytes(memory)))
