"""Bring the database to the version that this program needs, by Alembic."""

from pathlib import Path

from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database import revisions
from flask10x.database.engine import database_path
from flask10x.database.error_codes import DAMAGE_ERRORS, code_of, reason_of
from flask10x.database.file import open_read_only
from flask10x.errors import DatabaseDamaged, Flask10xError, SchemaError

# SQLite's code for wrong SQL: a mistake of ours, whose traceback is wanted.
WRONG_SQL = "SQLITE_ERROR"


def upgrade(settings: Settings) -> None:
    """Make the database if there is none, and run every migration that it has not seen.

    A database that is at the version already is only read, so that a start does not fail when
    another program holds the write lock at that moment.

    Raises DatabaseDamaged, or SchemaError when the database can't be read or written now (locked,
    no space, I/O error) or when a newer program has made it. Raises what Alembic and SQLAlchemy
    raise when a migration is wrong. Nothing is left half done.
    """
    path = database_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    known, found = revisions.known(), _current(path)
    if found == known[-1]:
        return
    if found is not None and found not in known:
        raise SchemaError(
            f"{path} is at version {found}, made by a newer Flask10X; this one knows {known[-1]}"
        )
    try:
        _run(settings)
    except DBAPIError as error:
        if code_of(error) == WRONG_SQL:
            raise
        raise _described(f"{path} cannot be migrated", error) from error


def _current(path: Path) -> str | None:
    """The version of the database; None when there is none or it was never migrated."""
    if not path.exists():
        return None
    engine = open_read_only(path)
    try:
        with engine.connect() as connection:
            return revisions.current(connection)
    except DBAPIError as error:
        if code_of(error) == WRONG_SQL:
            return None
        raise _described(f"{path} cannot be read", error) from error
    finally:
        engine.dispose()


def _run(settings: Settings) -> None:
    # Nearly no start has anything to migrate; the others need not load Alembic.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(revisions.migrations()).replace("%", "%%"))
    config.attributes["settings"] = settings
    command.upgrade(config, "head")


def _described(what: str, error: DBAPIError) -> Flask10xError:
    if code_of(error).startswith(DAMAGE_ERRORS):
        return DatabaseDamaged(reason_of(error))
    return SchemaError(f"{what}: {reason_of(error)}")
