"""The newest backup of a folder, and how old it is."""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path

from flask10x.system.backup_files import finished

# A backup that is dated later than this was made while the clock was wrong: it says nothing of now.
CLOCK_MARGIN_MS = 24 * 3_600_000
DATE = "flask10x-%Y%m%d-%H%M%S.sqlite3"


@dataclass(frozen=True, kw_only=True, slots=True)
class NewestBackup:
    """A finished backup, none newer than it."""

    path: Path
    made_at: int
    """When it was begun by its name, in UTC epoch milliseconds."""
    bytes: int

    def age_sec(self, now_ms: int) -> int:
        """Whole seconds since it was begun; never below 0."""
        return max(0, now_ms - self.made_at) // 1000


def newest(folder: Path, zone: tzinfo | None, now_ms: int) -> NewestBackup | None:
    """That of the folder, names in the service's zone; None when there is none, or no folder.

    One from the future, made while the clock was wrong, is passed over. Raises OSError.
    """
    try:
        files = finished(folder)
    except FileNotFoundError:
        return None
    for path in reversed(files):
        made_at = _made_at(path, zone)
        if made_at <= now_ms + CLOCK_MARGIN_MS:
            return NewestBackup(path=path, made_at=made_at, bytes=path.stat().st_size)
    return None


def _made_at(path: Path, zone: tzinfo | None) -> int:
    """By its name, which a copy to another disk keeps; where that is no date, by its last change.

    In the hour that comes twice when summer time ends it is the first.
    """
    try:
        named = datetime.strptime(path.name, DATE).replace(tzinfo=zone)
        return int(named.timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return path.stat().st_mtime_ns // 1_000_000
