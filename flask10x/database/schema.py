"""Which version a database is at, which one this program needs, and the way there, by Alembic.

What the stations need beyond that is in `station_columns`. Only a migration loads Alembic.
"""

import time
from contextlib import suppress
from gettext import gettext as _
from pathlib import Path

from sqlalchemy import Connection, column, delete, inspect, select, table
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import CHECKOUT, Settings
from flask10x.database import counters, engines, station_columns
from flask10x.database.database import Database
from flask10x.database.error_codes import DAMAGE_ERRORS, code_of, reason_of
from flask10x.database.paths import beside, database_path, shown_name, url_of
from flask10x.errors import (
    CommitNotReplicated,
    DatabaseDamaged,
    DatabaseUnreachable,
    Flask10xError,
    SchemaError,
)
from flask10x.system import disk

# The codes of wrong SQL, and one of PostgreSQL's that is none of it: a right that is not granted.
WRONG_SQL = ("SQLITE_ERROR", "42")
NOT_GRANTED = "42501"

# What the note has in its name that says for what the database was fit when it answered last.
FIT = ".fits"

# The versions before the first migration that this program has, whose databases it takes over.
TAKEN_OVER = ("0012", "0013", "0014", "0015", "0016", "0017", "0018")

# A disk that fails for a moment looks like damage to SQLite, so it is looked again.
LOOKS = 3
LOOK_PAUSE_SEC = 1.0

_INSIDE = Path(__file__).resolve().parents[1] / "migrations"

_version = table("alembic_version", column("version_num"))


def upgrade(settings: Settings, *, new: bool = False) -> list[str]:
    """Make the database if there is none, and run every migration that it has not seen.

    Then add what the stations need; the answer is the columns that were added for them. Where there
    has been one before and is none now, only `new` makes another.

    A database that has it all is only read, so that a start does not fail when another program
    holds the write lock at that moment. A service may run meanwhile.

    Raises DatabaseMissing, DatabaseDamaged, LockTimeout, or SchemaError when the database can't be
    read or written now (locked, no space, I/O error) or when a newer program has made it. Raises
    what Alembic and SQLAlchemy raise when a migration is wrong. Nothing is left half done.
    """
    path = database_path(settings)
    engines.engine_of(settings).prepare_upgrade(new=new)
    path.parent.mkdir(parents=True, exist_ok=True)
    for tries_left in reversed(range(LOOKS)):
        try:
            added = _upgrade(settings)
            break
        except (DatabaseDamaged, SchemaError) as error:
            code = code_of(error.__cause__) if error.__cause__ else ""
            if not tries_left or not code.startswith((*DAMAGE_ERRORS, "SQLITE_IOERR")):
                raise
            time.sleep(LOOK_PAUSE_SEC)
    return added


def _upgrade(settings: Settings) -> list[str]:
    revisions = all_revisions()
    version, fits = _look(settings, revisions[-1])
    if fits:
        return []
    require_known(version, shown_name(settings))
    try:
        if version != revisions[-1]:
            _run(settings, revisions[-1])
        return _fit(settings)
    except (DBAPIError, CommitNotReplicated) as error:
        # A mistake of ours, whose traceback is wanted.
        if is_wrong_sql(error):
            raise
        text = _("{path} cannot be migrated: {reason}")
        raise _described(text, settings, error) from error


def migrations() -> Path:
    """The folder with the migrations: inside the installed package, else in the checkout."""
    return _INSIDE if _INSIDE.is_dir() else CHECKOUT / "migrations"


def all_revisions() -> list[str]:
    """Every revision that this program knows, oldest first; the last one is what it needs."""
    return [*TAKEN_OVER, *chain()]


def chain() -> list[str]:
    """The revisions of the migrations that this program has, oldest first."""
    # The name of a file begins with its number, and they follow each other (CONTRIBUTING.md).
    files = (migrations() / "versions").glob("[0-9]*.py")
    return sorted(file.name.partition("_")[0] for file in files)


def current(connection: Connection) -> str | None:
    """The revision that the database is at, None when a migration has not finished yet.

    Raises sqlalchemy.exc.DBAPIError when it was never migrated.
    """
    return connection.execute(select(_version.c.version_num)).scalar_one_or_none()


def _look(settings: Settings, newest: str) -> tuple[str | None, bool]:
    """The version of the database, and whether it has all that is needed.

    The version is None when there is no database or it was never migrated.
    """
    database = engines.engine_of(settings)
    if not database.may_be_there():
        return None, False
    try:
        with database.reader() as engine, engine.connect() as connection:
            version = current(connection)
            if version == newest:
                require_finished(settings, connection)
            fits = version == newest and station_columns.fits(connection, settings.stations)
            return version, fits
    except DBAPIError as error:
        if is_wrong_sql(error):
            return None, False
        raise _described(_("{path} cannot be read: {reason}"), settings, error) from error


def require_finished(settings: Settings, connection: Connection) -> None:
    """Raise SchemaError when `flask10x copy` has not come to its end in this database."""
    if source := counters.unfinished_copy(connection):
        text = _(
            "{database} is an unfinished copy of {source}: delete it, and copy again into an empty"
            " database"
        )
        raise SchemaError(text.format(database=url_of(settings), source=source))


def require_newest(settings: Settings, connection: Connection) -> None:
    """Raise SchemaError unless the database is whole and of this program's version.

    Raises sqlalchemy.exc.DBAPIError when it can't be read now.
    """
    at = None
    try:
        at = current(connection)
    except DBAPIError as error:
        if not is_wrong_sql(error):
            raise
    require_known(at, shown_name(settings))
    newest = all_revisions()[-1]
    if at == newest:
        require_finished(settings, connection)
        return
    text = _(
        "{database} is at version {version}, and {newest} is needed: the database is older than"
        " this program; run: flask10x migrate"
    )
    named = {"database": shown_name(settings), "version": at or _("none"), "newest": newest}
    raise SchemaError(text.format(**named))


def require_known(version: str | None, database: str) -> None:
    """Raise SchemaError when no migration of this program leads on from that version.

    None is the version of a database that was never migrated.
    """
    revisions = all_revisions()
    if version is None or version in revisions:
        return
    if old := too_old(version, database):
        raise SchemaError(old)
    text = _("{path} is at version {version}, made by a newer Flask10X; this one knows {newest}")
    raise SchemaError(text.format(path=database, version=version, newest=revisions[-1]))


def too_old(version: str, database: str) -> str:
    """Why this program cannot migrate a database of that version; empty if it can."""
    first = all_revisions()[0]
    if version >= first:
        return ""
    text = _(
        "{database} is at version {version}, and this program can migrate databases from version"
        ' {first} on; see docs/en/howto/update.md, "Coming from a database older than 0012"'
    )
    return text.format(database=database, version=version, first=first)


def is_wrong_sql(error: Exception) -> bool:
    """Whether a statement names what there is not, as a table of a database never migrated."""
    return code_of(error).startswith(WRONG_SQL) and code_of(error) != NOT_GRANTED


def downgrade(settings: Settings, revision: str) -> None:
    """Bring the database back to an older revision, for the version of the program that knows it.

    What only newer revisions have is dropped; readings stay. Raises SchemaError when this program
    does not know the revision, or the database can't be changed now.
    """
    if revision not in chain():
        text = _("there is no version {version}; there are: {names}")
        raise SchemaError(text.format(version=revision, names=", ".join(chain())))
    try:
        _run(settings, revision, back=True)
    except (DBAPIError, CommitNotReplicated) as error:
        text = _("{path} cannot be migrated: {reason}")
        raise _described(text, settings, error) from error


def make(settings: Settings, revision: str) -> None:
    """Make a database at this revision, or bring an older one of ours there.

    In the place of a revision that is taken over it is the first one of the migrations, which has
    all that those had. Nothing is made for the stations: `upgrade` does it. Raises what Alembic and
    SQLAlchemy raise.
    """
    _run(settings, max(revision, chain()[0]))


def forget_former(connection: Connection) -> None:
    """Let the first migration run on a database that it takes over."""
    if inspect(connection).has_table(_version.name):
        connection.execute(delete(_version).where(_version.c.version_num.in_(TAKEN_OVER)))


def _run(settings: Settings, revision: str, *, back: bool = False) -> None:
    # Nearly no start has anything to migrate; the others need not load Alembic.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(migrations()).replace("%", "%%"))
    config.attributes["settings"] = settings
    (command.downgrade if back else command.upgrade)(config, revision)


def _fit(settings: Settings) -> list[str]:
    database = Database(settings)
    try:
        return station_columns.fit(database, settings.stations)
    finally:
        database.close()


def _described(text: str, settings: Settings, error: Exception) -> Flask10xError:
    if code_of(error).startswith(DAMAGE_ERRORS):
        return DatabaseDamaged(reason_of(error))
    described = text.format(path=shown_name(settings), reason=reason_of(error))
    return (DatabaseUnreachable if settings.on_postgres else SchemaError)(described)


def remember_fit(settings: Settings) -> None:
    """Note that a database on a server is fit for this program and these stations.

    By it a service that starts while the server does not answer takes readings: they wait until it
    does. Without the note it might store them into tables that another version has made.
    """
    if engines.engine_of(settings).is_file or was_fit(settings):
        return
    # Without it the next such start only waits.
    with (
        suppress(OSError),
        open(_fit_note(settings), "w", encoding="utf-8", opener=disk.private) as file,
    ):
        file.write(_fit_text(settings))


def was_fit(settings: Settings) -> bool:
    """Whether that was noted, for this database."""
    try:
        return _fit_note(settings).read_text(encoding="utf-8") == _fit_text(settings)
    except (OSError, UnicodeDecodeError):
        return False


def _fit_note(settings: Settings) -> Path:
    return beside(database_path(settings), FIT)


def _fit_text(settings: Settings) -> str:
    stations = station_columns.mark(settings.stations)
    return f"{shown_name(settings)} {all_revisions()[-1]} {stations}\n"
