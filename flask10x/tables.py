"""The tables as SQLAlchemy knows them; migrations are what makes them (`migrations/`).

`readings` holds a row per reading. `id` grows in the order of commits and is never used twice;
`received_at` is UTC epoch milliseconds; a measurement that a station does not have, or that was
missing, is NULL.
"""

from sqlalchemy import Column, Index, Integer, MetaData, Table, Text
from sqlalchemy.types import REAL

from flask10x.stations import COLUMNS

metadata = MetaData()

readings = Table(
    "readings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("endpoint", Text, nullable=False),
    Column("received_at", Integer, nullable=False),
    *(Column(name, REAL) for name in COLUMNS),
    sqlite_strict=True,
    sqlite_autoincrement=True,
)
# The only index: a lone commit pays a page for each one (docs/design.md, "Bytes on the card").
Index("ix_readings_endpoint_received_at", readings.c.endpoint, readings.c.received_at)

# Totals that have no row of their own to be counted from.
counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Integer, nullable=False),
    sqlite_strict=True,
)

# How far each follower of the log has come: the last id it has finished.
followers = Table(
    "followers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("last_id", Integer, nullable=False),
    sqlite_strict=True,
)
