"""Reader of the address of the database: a file of SQLite, or a server of PostgreSQL."""

import re
from gettext import gettext as _
from importlib.util import find_spec
from typing import Any

from flask10x.errors import SettingsError, wrong_setting

# What the address of a database on PostgreSQL begins with, as SQLAlchemy has it for psycopg 3.
POSTGRESQL = "postgresql+psycopg://"
# What it begins with elsewhere.
_OTHER_SCHEME = re.compile(r"(?:postgres|postgresql)(?:\+\w+)?:")
# Options that name the database in place of the path: a file of services has its name, too.
_NAME_IN_OPTIONS = re.compile(r"(?:^|&)(?:dbname|service)=")
_PASSWORD = re.compile(r"(://[^:/?@]*):.*@")
_PARTS = re.compile(
    r"(?:[^:/?@]*(?::[^/?@]*)?@)?"
    r"(?:\[[^]/?@]+\]|[^:/?@,]*)(?::(?P<port>[^/?@,:]*))?"
    r"(?:/(?P<name>[^?@/]*))?(?:\?(?P<options>.*))?"
)
_HIGHEST_PORT = 65535


def database_url(place: str, raw: Any) -> str:
    """A URL with an absolute path, or one of PostgreSQL whose driver is installed.

    Raises SettingsError that shows no password.
    """
    value = raw if isinstance(raw, str) else ""
    if value.startswith("sqlite:////"):
        return value
    if not value.startswith(POSTGRESQL):
        raise _wrong(place, raw, _other(value))
    if wanted := _wanted(value.removeprefix(POSTGRESQL)):
        raise _wrong(place, raw, wanted)
    if find_spec("psycopg") is None:
        wanted = _(
            "the package psycopg is missing: requirements-postgres.lock has it (in a checkout: make"
            " postgres), or pip install 'flask10x[postgres]'"
        )
        raise _wrong(place, raw, wanted)
    return value


def _other(value: str) -> str:
    """What is wanted in place of something else."""
    if _OTHER_SCHEME.match(value):
        text = _("it has to begin with {scheme}, as in {example}")
        example = f"{POSTGRESQL}user@host:5432/database"
        return text.format(scheme=POSTGRESQL, example=example)
    return _(
        "sqlite:////absolute/path/to/file.sqlite3 is needed, or"
        " postgresql+psycopg://user@host:5432/database"
    )


def _wanted(rest: str) -> str:
    """What is wrong with what follows the scheme; "" for nothing."""
    parts = _PARTS.fullmatch(rest)
    if parts is None:
        if "," in rest.partition("?")[0]:
            return _("several hosts are options: postgresql+psycopg://user@/database?host=A&host=B")
        return _(
            "postgresql+psycopg://user@host:5432/database is needed; in a password @ is written"
            " %40, / is %2F, ? is %3F, : is %3A and % is %25"
        )
    port = parts["port"]
    if port is not None and not (re.fullmatch("[0-9]{1,5}", port) and _is_port(int(port))):
        return _("a port from 1 to 65535 is needed after the host's colon")
    if not parts["name"] and not _NAME_IN_OPTIONS.search(parts["options"] or ""):
        return _("the database's name is missing: postgresql+psycopg://user@host:5432/database")
    return ""


def _is_port(number: int) -> bool:
    return 1 <= number <= _HIGHEST_PORT


def _wrong(place: str, raw: Any, wanted: str) -> SettingsError:
    # Messages go to the journal.
    shown = _PASSWORD.sub(r"\1:...@", raw) if isinstance(raw, str) else raw
    return wrong_setting(place, shown, wanted)
