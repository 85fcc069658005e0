"""Rows of the table of corrections, as the page writes them."""

from sqlalchemy import Connection, insert

from flask10x.database.tables import corrections


def correct(
    connection: Connection,
    endpoint: str,
    measurement: str | None,
    first_ms: int | None,
    last_ms: int | None,
    **given: object,
) -> None:
    """Add a correction; it hides unless a gain or an offset is given."""
    row = {
        "endpoint": endpoint,
        "measurement": measurement,
        "first_ms": first_ms,
        "last_ms": last_ms,
        "kind": "adjust" if {"gain", "offset"} & set(given) else "hide",
        "reason": "test",
        "written_at": 0,
    }
    connection.execute(insert(corrections), [row | given])
