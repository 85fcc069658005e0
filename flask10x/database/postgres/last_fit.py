"""A note of what the database was fit for when it answered last, on PostgreSQL.

By it a service that starts while the server does not answer takes readings all the same: they wait
until it does. Without the note it might store them into tables that another version has made.
"""

from contextlib import suppress
from pathlib import Path

from flask10x.config.settings import Settings
from flask10x.database import schema, station_columns
from flask10x.database.paths import beside, database_path, shown_name
from flask10x.system import disk

FIT = ".fits"


def remember(settings: Settings) -> None:
    """Note that the database is fit for this program and these stations."""
    if not holds(settings):
        # Without it the next such start only waits.
        with (
            suppress(OSError),
            open(_note(settings), "w", encoding="utf-8", opener=disk.private) as file,
        ):
            file.write(_text(settings))


def holds(settings: Settings) -> bool:
    """Whether that was noted, for this database."""
    try:
        return _note(settings).read_text(encoding="utf-8") == _text(settings)
    except (OSError, UnicodeDecodeError):
        return False


def _note(settings: Settings) -> Path:
    return beside(database_path(settings), FIT)


def _text(settings: Settings) -> str:
    stations = station_columns.mark(settings.stations)
    return f"{shown_name(settings)} {schema.known()[-1]} {stations}\n"
