"""A missing database: where there has been one, a start that finds none makes no new one.

A disk that is not mounted leaves an empty folder behind, which looks like a first start. So every
database that was in use has two markers: a file beside it, which stays when the database alone is
deleted, and a file outside, which stays when the whole disk is away. Not for `instance/` of a
checkout: it is no disk, and people delete it to start over.

Nothing here opens a database by SQLite. Use it in processes that have none open: closing a
descriptor of the file would drop SQLite's locks (https://www.sqlite.org/howtocorrupt.html, 2.2).
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from gettext import gettext as _
from hashlib import sha256
from pathlib import Path

from flask10x.config.settings import Settings, default_data_dir
from flask10x.database.paths import JOURNAL, SHARED_MEMORY, WAL, beside, database_path, named_path
from flask10x.database.sqlite import rescued
from flask10x.system import disk

MARKER = ".known"
# The second StateDirectory= of the unit. Commands run without $STATE_DIRECTORY, and find it here.
OF_THE_UNIT = Path("/var/lib/flask10x-known")
TEXT = """Flask10X keeps a database at {path}
While this file is here and that one is not, no new database is made: its disk may not be mounted.
To make a new one anyway: flask10x migrate --new
"""
# https://www.sqlite.org/fileformat.html#the_database_header: the first page holds the list of
# tables, a leaf without a cell when there is none.
HEADER_BYTES = 100
MAGIC = b"SQLite format 3\0"
LEAF = 0x0D


def reason(settings: Settings) -> str:
    """What is missing and what helps, when there was a database and there is none now.

    Empty when there is one, or when there never was any. A file that is empty or has no table is
    none.
    """
    path = database_path(settings)
    if not holds_nothing(path):
        return ""
    outside = (folder / name for folder in _folders(path) for name in _names(settings))
    if not any(map(os.path.exists, (beside(path, MARKER), *outside))):
        return ""
    text = _(
        "there was a database at {path} and there is none now; mount its disk, restore a backup,"
        " or make a new one: flask10x migrate --new"
    )
    return text.format(path=path) + rescued.instead_of(path)


def holds_nothing(path: Path) -> bool:
    """Whether there is no file, an empty one, or a database in which no table was ever made.

    False when the file can't be looked at: opening it shows why.
    """
    try:
        with path.open("rb") as file:
            head = file.read(HEADER_BYTES + 8)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    if not head.startswith(MAGIC) or len(head) < HEADER_BYTES + 8:
        return not head
    kind, cells = head[HEADER_BYTES], head[HEADER_BYTES + 3 : HEADER_BYTES + 5]
    return kind == LEAF and not any(cells) and not disk.size(beside(path, WAL))


def remember(settings: Settings) -> bool:
    """Renew the markers of a database that is there; whether it has one outside, or needs none."""
    path = database_path(settings)
    text = TEXT.format(path=path)
    with suppress(OSError):
        _write(beside(path, MARKER), text)
    if default_data_dir() in path.parents:
        return True
    for folder in _folders(path):
        with suppress(OSError):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in _names(settings):
                _write(folder / name, text)
            return True
    return False


def set_aside_rest(path: Path, moment: str) -> None:
    """Give the WAL and the journal of a database that is gone another name.

    SQLite would delete them, or take them for those of the database that is made next.
    """
    for suffix in (WAL, JOURNAL):
        with suppress(FileNotFoundError):
            beside(path, suffix).rename(beside(path, f".replaced-{moment}{suffix}"))
    beside(path, SHARED_MEMORY).unlink(missing_ok=True)


def _names(settings: Settings) -> set[str]:
    """The markers outside: of the path as it is set, and of the file that links in it lead to.

    A link that lies on the missing disk leads nowhere now.
    """
    return {
        sha256(os.fsencode(path)).hexdigest()[:32] + MARKER
        for path in (named_path(settings), database_path(settings))
    }


def _folders(database: Path) -> Iterator[Path]:
    """Where a marker outside may lie, the best place first."""
    of_systemd = filter(None, os.environ.get("STATE_DIRECTORY", "").split(":"))
    # https://specifications.freedesktop.org/basedir-spec/; relative if the user has no home.
    state_home = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state")
    with suppress(RuntimeError):
        state_home = state_home.expanduser()
    of_the_user = state_home / "flask10x"
    for folder in (*map(Path, of_systemd), OF_THE_UNIT, of_the_user):
        # What lies beside the data, or holds them, goes away with their disk.
        apart = not folder.is_relative_to(database.parent) and not database.is_relative_to(folder)
        if apart and folder.is_absolute() and (folder == of_the_user or os.access(folder, os.F_OK)):
            yield folder


def _write(marker: Path, text: str) -> None:
    """Write it unless it is there: the card is spared at every start but the first."""
    with suppress(FileNotFoundError):
        if marker.read_text(encoding="utf-8", errors="replace") == text:
            return
    disk.make_private(marker)
    marker.write_text(text, encoding="utf-8", errors="replace")
    disk.leave_to_owner(marker, marker.parent)
    disk.sync(marker)
    disk.sync(marker.parent)
