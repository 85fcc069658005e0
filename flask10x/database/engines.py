"""The two engines behind one object: the only place where one of them is chosen.

What only one of them knows is in its folder. Nothing of PostgreSQL's is loaded for a database that
is a file, and SQLAlchemy only by what opens a database: the master of the service does not.
"""

from functools import cache
from typing import TYPE_CHECKING

from flask10x.config.settings import Settings
from flask10x.database.engine import DatabaseEngine

if TYPE_CHECKING:
    from flask10x.database.dialects import Statements


def engine_of(settings: Settings) -> DatabaseEngine:
    """The engine of the database of these settings."""
    if settings.on_postgres:
        from flask10x.database.postgres.engine import PostgresEngine  # noqa: PLC0415

        return PostgresEngine(settings)
    from flask10x.database.sqlite.engine import SqliteEngine  # noqa: PLC0415

    return SqliteEngine(settings)


@cache
def statements_of(dialect: str) -> "Statements":
    """Return the `statements` module of the engine that SQLAlchemy calls by this name."""
    if dialect == "sqlite":
        from flask10x.database.sqlite import statements  # noqa: PLC0415

        return statements
    from flask10x.database.postgres import statements as on_postgres  # noqa: PLC0415

    return on_postgres
