"""Rescued copies: what an open connection still read when a file of the database was taken away.

They lie beside the database as `<name>.rescued-<time>` until people restore one or move it away.
Here are their names only; what they hold is asked in `rescue_copy.py`.
"""

import re
import time
from contextlib import suppress
from datetime import tzinfo
from gettext import gettext as _
from pathlib import Path

from flask10x.system import disk

RESCUED = ".rescued-"
TIME = r"[0-9]{8}-[0-9]{6}"
# What a restore has used; it is kept, and says nothing any more.
USED = ".restored"
POLL_SEC = 0.05


def copies(database: Path) -> list[Path]:
    """Return the unused rescued copies of a database, oldest first; raises OSError."""
    name = re.compile(re.escape(database.name + RESCUED) + TIME)
    return sorted(path for path in database.parent.iterdir() if name.fullmatch(path.name))


def newest(database: Path) -> Path | None:
    """The newest of them; None when there is none, or the folder can't be read."""
    with suppress(OSError):
        return next(reversed(copies(database)), None)
    return None


def instead_of(database: Path) -> str:
    """For the end of a message that the database is not there: the copy, if there is one."""
    if (copy := newest(database)) is None:
        return ""
    text = _("{copy} holds what it had: flask10x restore {copy}")
    return f"; {text.format(copy=copy)}"


def way_out(copy: Path) -> str:
    """What people have to do with one."""
    text = _("stop the service, run flask10x restore {copy}, start it again")
    return text.format(copy=copy)


def put_aside(copy: Path) -> Path:
    """Note that a rescued copy was restored; its new name."""
    used = copy.with_name(copy.name + USED)
    copy.rename(used)
    disk.sync(copy.parent)
    return used


def free_name(database: Path, zone: tzinfo | None) -> Path:
    """The name of a new one, which nothing has yet."""

    def name() -> Path:
        return database.with_name(f"{database.name}{RESCUED}{disk.moment(zone)}")

    while list(database.parent.glob(f"{name().name}*")):
        time.sleep(POLL_SEC)
    return name()
