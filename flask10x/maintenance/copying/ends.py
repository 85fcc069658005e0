"""The two ends of a copy: what is read as it was at one moment, and what is written."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from gettext import gettext as _

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from flask10x.config.readers.database_url import database_url
from flask10x.config.settings import Settings
from flask10x.database import engines, schema
from flask10x.database.engine import Database
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import url_of
from flask10x.errors import DatabaseCopyError


def settings_of(settings: Settings, place: str, url: str) -> Settings:
    """The settings with this database; raises SettingsError, naming the place, for another URL."""
    end = replace(settings, database_url=database_url(place, url))
    # In a folder of data the locks of both engines have the same names: a service that goes on with
    # its file of SQLite is not to wait for what is written into PostgreSQL, which has its own lock.
    return end if engines.of(end).is_file else replace(end, commit_lock=False)


@contextmanager
def snapshots(settings: Settings) -> Iterator[Engine]:
    """The database; each transaction sees it as it was when it began, and changes nothing.

    Raises DatabaseCopyError when it is none that this program can copy, or SchemaError.
    """
    database = engines.of(settings)
    database.require()
    with database.reader() as engine:
        _require_newest(settings, engine)
        yield engine


@contextmanager
def written(settings: Settings) -> Iterator[Database]:
    """The database to be written; closed when the block ends."""
    with closing(Database(settings)) as database:
        yield database


def revision_of(settings: Settings, engine: Engine) -> str | None:
    """At which version it is; None when it was never migrated. Raises DatabaseCopyError."""
    with engine.begin() as connection:
        try:
            return schema.current(connection)
        except DBAPIError as error:
            if schema.is_wrong_sql(error):
                return None
            text = _("{path} cannot be read: {reason}")
            shown = text.format(path=url_of(settings), reason=reason_of(error))
            raise DatabaseCopyError(shown) from error


def _require_newest(settings: Settings, engine: Engine) -> None:
    at, newest = revision_of(settings, engine), schema.known()[-1]
    if at is None:
        text = _("{database} is no database of Flask10X's: it has no version")
        raise DatabaseCopyError(text.format(database=url_of(settings)))
    if old := schema.too_old(at, url_of(settings)):
        raise DatabaseCopyError(old)
    if at != newest:
        text = _(
            "{database} is at version {version}, and {newest} is needed; run:"
            " FLASK10X_DATABASE_URL={database} flask10x migrate"
        )
        named = {"database": url_of(settings), "version": at, "newest": newest}
        raise DatabaseCopyError(text.format(**named))
