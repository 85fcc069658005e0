"""Whether the server of the database answers at all."""

from contextlib import closing

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database.engine import Database

_IS_STANDBY = text("SELECT pg_is_in_recovery()")


def takes_writes(settings: Settings) -> bool:
    """Whether the server answers and is no standby; a new connection is made for it."""
    try:
        with closing(Database(settings)) as database, database.reader.connect() as connection:
            return not connection.execute(_IS_STANDBY).scalar_one()
    except DBAPIError:
        return False
