"""Which version a database is at, which one this program needs, and the way there, by Alembic.

Only a migration loads Alembic.
"""

import re
import time
from gettext import gettext as _
from pathlib import Path

from sqlalchemy import Connection, column, select, table
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import CHECKOUT, Settings
from flask10x.database import missing
from flask10x.database.error_codes import DAMAGE_ERRORS, code_of, reason_of
from flask10x.database.file import open_read_only
from flask10x.database.paths import database_path
from flask10x.errors import DatabaseDamaged, Flask10xError, SchemaError
from flask10x.system import disk

# SQLite's code for wrong SQL: a mistake of ours, whose traceback is wanted.
WRONG_SQL = "SQLITE_ERROR"

# A disk that fails for a moment looks like damage to SQLite, so it is looked again.
LOOKS = 3
LOOK_PAUSE_SEC = 1.0

_INSIDE = Path(__file__).resolve().parents[1] / "migrations"
_ASSIGNED = re.compile(r"^(revision|down_revision)\b[^=\n]*=\s*(?:[\"'](\w+)[\"']|None)", re.M)

_version = table("alembic_version", column("version_num"))


def upgrade(settings: Settings, *, new: bool = False) -> None:
    """Make the database if there is none, and run every migration that it has not seen.

    Where there has been one before and is none now, only `new` makes another.

    A database that is at the version already is only read, so that a start does not fail when
    another program holds the write lock at that moment.

    Raises DatabaseMissing, DatabaseDamaged, or SchemaError when the database can't be read or
    written now (locked, no space, I/O error) or when a newer program has made it. Raises what
    Alembic and SQLAlchemy raise when a migration is wrong. Nothing is left half done.
    """
    path = database_path(settings)
    if not new:
        missing.require(settings)
    elif missing.holds_nothing(path):
        missing.set_aside_rest(path, disk.moment(settings.zone))
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in reversed(range(LOOKS)):
        try:
            _upgrade(settings, path)
            return
        except (DatabaseDamaged, SchemaError) as error:
            if not left or not _may_pass(error):
                raise
            time.sleep(LOOK_PAUSE_SEC)


def _upgrade(settings: Settings, path: Path) -> None:
    revisions, found = known(), _current_of(path)
    if found == revisions[-1]:
        return
    if found is not None and found not in revisions:
        text = _(
            "{path} is at version {version}, made by a newer Flask10X; this one knows {newest}"
        )
        raise SchemaError(text.format(path=path, version=found, newest=revisions[-1]))
    try:
        _run(settings)
    except DBAPIError as error:
        if code_of(error) == WRONG_SQL:
            raise
        text = _("{path} cannot be migrated: {reason}")
        raise _described(text, path, error) from error


def _may_pass(error: Flask10xError) -> bool:
    cause = error.__cause__
    return cause is not None and code_of(cause).startswith((*DAMAGE_ERRORS, "SQLITE_IOERR"))


def migrations() -> Path:
    """The folder with the migrations: inside the installed package, else in the checkout."""
    return _INSIDE if _INSIDE.is_dir() else CHECKOUT / "migrations"


def known() -> list[str]:
    """Every revision that this program knows, oldest first; the last one is what it needs."""
    after = {}
    for file in (migrations() / "versions").glob("*.py"):
        found = dict(_ASSIGNED.findall(file.read_text(encoding="utf-8")))
        after[found["down_revision"]] = found["revision"]
    chain: list[str] = []
    while (following := after.get(chain[-1] if chain else "")) is not None:
        chain.append(following)
    return chain


def current(connection: Connection) -> str | None:
    """The revision that the database is at, None when a migration has not finished yet.

    Raises sqlalchemy.exc.DBAPIError when it was never migrated.
    """
    return connection.execute(select(_version.c.version_num)).scalar_one_or_none()


def _current_of(path: Path) -> str | None:
    """The version of the database; None when there is none or it was never migrated."""
    if not path.exists():
        return None
    engine = open_read_only(path)
    try:
        with engine.connect() as connection:
            return current(connection)
    except DBAPIError as error:
        if code_of(error) == WRONG_SQL:
            return None
        raise _described(_("{path} cannot be read: {reason}"), path, error) from error
    finally:
        engine.dispose()


def _run(settings: Settings) -> None:
    # Nearly no start has anything to migrate; the others need not load Alembic.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(migrations()).replace("%", "%%"))
    config.attributes["settings"] = settings
    command.upgrade(config, "head")


def _described(text: str, path: Path, error: DBAPIError) -> Flask10xError:
    if code_of(error).startswith(DAMAGE_ERRORS):
        return DatabaseDamaged(reason_of(error))
    return SchemaError(text.format(path=path, reason=reason_of(error)))
