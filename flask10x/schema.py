"""Bring the database to the version that this program needs, by Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.exc import DBAPIError

from flask10x.errors import SchemaError
from flask10x.settings import CHECKOUT, Settings
from flask10x.sqlite import code_of, database_path, reason_of

# SQLite's code for wrong SQL: a mistake of ours, whose traceback is wanted.
WRONG_SQL = "SQLITE_ERROR"

_INSIDE = Path(__file__).resolve().parent / "migrations"


def migrations() -> Path:
    """The folder with the migrations: inside the installed package, else in the checkout."""
    return _INSIDE if _INSIDE.is_dir() else CHECKOUT / "migrations"


def upgrade(settings: Settings) -> None:
    """Make the database if there is none, and run every migration that it has not seen.

    Raises SchemaError when the database can't be written now: locked, no space, I/O error. Raises
    what Alembic and SQLAlchemy raise when a migration is wrong. Nothing is left half done.
    """
    path = database_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    config = Config()
    config.set_main_option("script_location", str(migrations()).replace("%", "%%"))
    config.attributes["settings"] = settings
    try:
        command.upgrade(config, "head")
    except DBAPIError as error:
        if code_of(error) == WRONG_SQL:
            raise
        raise SchemaError(f"{path} cannot be migrated: {reason_of(error)}") from error
