"""Which migrations exist and which one a database is at, without loading Alembic."""

import re
from pathlib import Path

from sqlalchemy import Connection, column, select, table

from flask10x.config.settings import CHECKOUT

_INSIDE = Path(__file__).resolve().parents[1] / "migrations"
_ASSIGNED = re.compile(r"^(revision|down_revision)\b[^=\n]*=\s*(?:[\"'](\w+)[\"']|None)", re.M)

_version = table("alembic_version", column("version_num"))


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
