"""Which host has the CSV files, where several share a database on PostgreSQL.

Files are on one machine. The first host that exports becomes their owner, and stays it until
another one takes them over (`export/take_over.py`). All others refuse what looks into files or
writes them. Where the database is a file there is one host, and nothing of this.
"""

from gettext import gettext as _

from sqlalchemy import Connection, select

from flask10x.config.settings import PREFIX, Settings
from flask10x.database import engines
from flask10x.database.database import Database
from flask10x.database.expressions import upsert
from flask10x.database.tables import owners
from flask10x.errors import ExportElsewhere

# How the database calls what belongs to the owner.
FILES = "csv"


def host_of(settings: Settings) -> str | None:
    """Return the name of this host if several may share the database, else None."""
    return engines.engine_of(settings).hosts.name


def of_files(connection: Connection) -> str | None:
    """Return the host that has the files; None before the first export, and on SQLite."""
    if connection.dialect.name == "sqlite":
        # Hosts don't share a file.
        return None
    query = select(owners.c.host).where(owners.c.name == FILES)
    return connection.execute(query).scalar_one_or_none()


def is_elsewhere(settings: Settings, connection: Connection) -> bool:
    """Check whether another host than this one has the files."""
    return of_files(connection) not in (None, settings.host_name)


def require(connection: Connection, host: str | None) -> None:
    """Raise ExportElsewhere when the files belong to another host than this; None is any."""
    owner = of_files(connection)
    if host is None or owner in (None, host):
        return
    text = _(
        "the CSV files belong to the host {owner}, this one is {host} ({setting}): run the command"
        " there, or move the files here and run: {command}"
    )
    command, setting = "flask10x export --take-over", f"{PREFIX}HOST_NAME"
    raise ExportElsewhere(text.format(owner=owner, host=host, setting=setting, command=command))


def are_elsewhere(settings: Settings, database: Database) -> bool:
    """Check the same in a transaction of its own, if there may be another host."""
    if host_of(settings) is None:
        return False
    with database.reader.begin() as connection:
        return is_elsewhere(settings, connection)


def check(settings: Settings, database: Database) -> None:
    """Raise ExportElsewhere when another host has the files."""
    if (host := host_of(settings)) is not None:
        with database.reader.begin() as connection:
            require(connection, host)


def claim(settings: Settings, database: Database) -> None:
    """Check the same; if no host had the files, this one has them from now on."""
    host = host_of(settings)
    if host is None:
        return

    def change(connection: Connection) -> None:
        require(connection, host)
        give(connection, host)

    with database.reader.begin() as connection:
        require(connection, host)
        if of_files(connection) == host:
            return
    database.commit_change(change)


def give(connection: Connection, host: str) -> None:
    """Let this host have the files from now on."""
    connection.execute(upsert(owners).values(name=FILES, host=host))
