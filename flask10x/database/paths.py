"""Where the database lies, and what SQLite keeps beside it.

Without SQLAlchemy: the master of one worker looks here, and does not load it (decision 35).
"""

from pathlib import Path
from urllib.parse import parse_qs, unquote

from flask10x.config.settings import Settings

# What belongs to a database file beside it. Committed rows may be in the first two only.
WAL, JOURNAL, SHARED_MEMORY = "-wal", "-journal", "-shm"
# The name in place of the file where the readings are in PostgreSQL.
NO_FILE = "flask10x.postgresql"
# What a URL of the setting begins with.
SCHEME = "sqlite:///"


def database_path(settings: Settings) -> Path:
    """The database file of these settings, whichever link leads to it.

    The lock files lie beside it: under two names for one file they would be two sets of locks. On
    PostgreSQL there never is such a file, but locks, queues and leftovers lie beside it as well.
    """
    if settings.on_postgres:
        return (settings.data_dir / NO_FILE).resolve()
    return named_path(settings).resolve()


def protected(settings: Settings) -> tuple[Path, ...]:
    """The folders of the database and its backups, whose copies belong on another disk."""
    return database_path(settings).parent, settings.backup_dir


def shown_name(settings: Settings) -> str:
    """The database as people know it: the path, or the URL without a password and options."""
    if not settings.on_postgres:
        return str(database_path(settings))
    return without_password(settings.database_url)


def without_password(url: str) -> str:
    """A URL of PostgreSQL without its password and options."""
    scheme, _, rest = url.partition("://")
    place, _, options = rest.partition("?")
    account, at, server = place.rpartition("@")
    hosts = parse_qs(options).get("host", [])
    if hosts and server.startswith("/"):
        # Several servers are options of the URL.
        server = ",".join(hosts) + server
    user = account.partition(":")[0]
    return f"{scheme}://{user}{at}{server}"


def url_of(settings: Settings) -> str:
    """The database as it is named on the command line, without a password and options."""
    return shown_name(settings) if settings.on_postgres else f"sqlite:///{database_path(settings)}"


def named_path(settings: Settings) -> Path:
    """The path of the database file as the setting has it, with the links in it."""
    # As SQLAlchemy reads it: options come after a question mark.
    return Path(unquote(settings.database_url.removeprefix(SCHEME).partition("?")[0]))


def beside(path: Path, suffix: str) -> Path:
    """The file that SQLite keeps beside a database: `WAL`, `JOURNAL` or `SHARED_MEMORY`."""
    return path.with_name(path.name + suffix)
