"""The tables as SQLAlchemy knows them; migrations are what makes them (`migrations/`).

`readings` holds a row per reading. `id` grows in the order of commits and is never used twice;
`received_at` is UTC epoch milliseconds: when the reading came, or, if it was late, when it was
measured. A measurement that a station does not have, or that was missing, is NULL.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnClause,
    FromClause,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    column,
    func,
    text,
)
from sqlalchemy.types import DOUBLE_PRECISION, REAL, TypeEngine

from flask10x.readings.stations import BUILT_IN

# The three types as both engines have them: 8 bytes each, and texts that compare by their bytes,
# which are UTF-8. PostgreSQL's own INTEGER and REAL have 4 bytes, and its texts compare by the
# language of the database.
WHOLE = Integer().with_variant(BigInteger(), "postgresql")
NUMBER: TypeEngine[float] = REAL().with_variant(DOUBLE_PRECISION(), "postgresql")
TEXT = Text().with_variant(Text(collation="C"), "postgresql")

metadata = MetaData()


def _table(name: str, *columns: Column[Any], **options: Any) -> Table:
    """A table of both engines; SQLite holds to the types of its columns, too."""
    return Table(name, metadata, *columns, sqlite_strict=True, **options)


readings = _table(
    "readings",
    # On PostgreSQL ids come from the table `log`, so that they follow each other without gaps.
    Column("id", WHOLE, primary_key=True, autoincrement=False),
    Column("endpoint", TEXT, nullable=False),
    Column("received_at", WHOLE, nullable=False),
    *(Column(name, NUMBER) for name in BUILT_IN.columns),
    # When a reading came that was late: it has brought the time of its measurement along. NULL for
    # the others, which came at `received_at`. Behind the measurements, because that is where SQLite
    # adds a column.
    Column("arrived_at", WHOLE),
    sqlite_autoincrement=True,
)
ARRIVAL = func.coalesce(readings.c.arrived_at, readings.c.received_at)
"""When the service got a reading: a late one was received after it was measured."""
# The only index: a lone commit pays a page for each one (docs/decisions/0006). Without the id,
# which each index of SQLite has by itself, its pages are full on PostgreSQL (docs/decisions/0031).
Index("ix_readings_endpoint_received_at", readings.c.endpoint, readings.c.received_at)


def measurement(name: str, of: FromClause | None = None) -> ColumnClause[float]:
    """The column of `readings`, or of an alias of it, also one that only this installation has."""
    column_: ColumnClause[float] = column(name, NUMBER)
    # `readings.name`: SQLite would take a name alone, in quotes, for a text if there is no column.
    column_.table = readings if of is None else of
    return column_


# Totals that have no row of their own to be counted from.
counters = _table(
    "counters",
    Column("name", TEXT, primary_key=True),
    Column("value", WHOLE, nullable=False),
)

# How far each follower of the log has come: the last id it has finished.
followers = _table(
    "followers",
    Column("name", TEXT, primary_key=True),
    Column("last_id", WHOLE, nullable=False),
)

# A row for each CSV file that an export has written, or is about to write (`export/files.py`). Of
# the files of a name one at most is not archived.
csv_files = _table(
    "csv_files",
    Column("id", WHOLE, primary_key=True, autoincrement=False),
    # What it is called, an archived one: what it was called, while it is written.
    Column("name", TEXT, nullable=False),
    # `current`; `archived` when another file has followed it: the export has set it aside, or a
    # person has moved it away.
    Column("kind", TEXT, nullable=False),
    # The station whose rows these are, where the file lies, and its columns: `temperature=Temp`,
    # each with its heading, commas between them. NULL until an export since 0013 has looked; the
    # path also of an archived file that was moved away to an unknown place.
    Column("endpoint", TEXT),
    Column("path", TEXT),
    Column("columns", TEXT),
    # In which zone our rows are written; NULL until an export has looked.
    Column("zone", TEXT),
    # The readings with `first_id < id <= last_id` are in the file; others have those before them.
    Column("first_id", WHOLE, nullable=False),
    Column("last_id", WHOLE, nullable=False),
    # Imports up to this one are in the file, at their place in its order.
    Column("import_id", WHOLE, nullable=False),
    # Where our rows begin; before it are the header and what the old server wrote.
    Column("begin_bytes", WHOLE, nullable=False),
    # What the file was when the last export ended. The checksum is the CRC-32 of all of it: it can
    # be carried on from append to append.
    Column("size_bytes", WHOLE, nullable=False),
    Column("checksum", WHOLE, nullable=False),
    Column("inode", WHOLE, nullable=False),
    Column("changed_ns", WHOLE, nullable=False),
    # When the last of our rows was received, and how that is written. NULL when there is none.
    Column("last_received_at", WHOLE),
    Column("last_time", TEXT),
    # The floor: up to where the file was compared with the readings before any were removed. The
    # last row up to there in the order of the file, where it ends, and the CRC-32 of all bytes up
    # to there. NULL while no reading in it is removed.
    Column("floor_last_id", WHOLE),
    Column("floor_size_bytes", WHOLE),
    Column("floor_checksum", WHOLE),
    # The intent: which bytes an export is about to append to the file, committed before it does it.
    # One that is still here when the next export begins is an export that was interrupted.
    Column("intent_from_id", WHOLE),
    Column("intent_to_id", WHOLE),
    Column("intent_start_offset", WHOLE),
    Column("intent_length", WHOLE),
    Column("intent_sha256", TEXT),
    # Of which history of the database the rows are, as PostgreSQL reports it; NULL on SQLite. The
    # first is a number of 64 bits without a sign, more than a whole number can hold.
    Column("system_identifier", TEXT),
    Column("timeline", WHOLE),
)
IS_CURRENT = csv_files.c.kind == "current"

# Readings that came from CSV files. A row is a range of ids, both inclusive, that holds readings
# of this file only, and is committed in the transaction that stores them.
imports = _table(
    "imports",
    Column("id", WHOLE, primary_key=True),
    Column("endpoint", TEXT, nullable=False),
    # The absolute path as it was given. A file of the same name is the station's own; with the name
    # of that one, when it is renamed, this name changes, too.
    Column("file", TEXT, nullable=False),
    Column("first_id", WHOLE, nullable=False),
    Column("last_id", WHOLE, nullable=False),
    # The highest reading that was already stored of those before these in the file;
    # 0 when there is none. It is what puts them back into their place.
    Column("after_id", WHOLE, nullable=False, server_default=text("0")),
    Column("imported_at", WHOLE, nullable=False),
    # How many bytes the station's CSV file had in common with this one from its beginning on, these
    # rows among them; 0 where it did not have them. NULL: imported by an earlier version.
    Column("size_bytes", WHOLE),
    Column("sha256", TEXT),
)

# What was refused: by the checks of a reading, or by the database. The body comes late, so that
# the rest can be read without it. No index: each would be one more page for every refusal.
rejected = _table(
    "rejected",
    Column("id", WHOLE, primary_key=True),
    Column("endpoint", TEXT, nullable=False),
    Column("received_at", WHOLE, nullable=False),
    # Bytes of all rows of stations up to and with this one, those that are gone included.
    Column("end_bytes", WHOLE, nullable=False),
    # The reading that it has become by a replay.
    Column("reading_id", WHOLE),
    Column("media_type", TEXT, nullable=False),
    Column("reasons", TEXT, nullable=False),
    Column("hint", TEXT, nullable=False),
    Column("body", LargeBinary, nullable=False),
    # Codes and values of the reasons, where a text has values (`recording/rejected.py`). Behind
    # the body, because that is where SQLite adds a column.
    Column("codes", TEXT),
    # When a late one was measured, UTC epoch milliseconds; NULL when it has not said so.
    Column("measured_at", WHOLE),
    # Of its key, as in `accepted_keys`; NULL when it has none.
    Column("digest", LargeBinary),
    # 1: of a path that no station had, and another reading of the path came after it. It waits for
    # the station, and no list shows it.
    Column("earlier", WHOLE),
    sqlite_autoincrement=True,
)

# The keys of accepted readings, for a while: a reading with one of these is a repeat and is not
# stored again (`recording/accepted_keys.py`).
accepted_keys = _table(
    "accepted_keys",
    Column("generation", WHOLE, primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    # When it came, UTC epoch milliseconds.
    Column("at", WHOLE, nullable=False),
    sqlite_with_rowid=False,
)


def _sums() -> tuple[Column[Any], ...]:
    """What the readings of a time add up to."""
    return (
        # How many readings there are, and how many of them have a value.
        Column("readings", WHOLE, nullable=False),
        Column("count", WHOLE, nullable=False),
        # NULL where no double can hold it: of numbers near the greatest one.
        Column("total", NUMBER),
        Column("minimum", NUMBER),
        Column("maximum", NUMBER),
    )


# What the readings of one hour add up to as they are shown, a hidden value as a missing one: those
# up to the position of the follower `rollups`. A row for each measurement of the station, also for
# one that was missing all the time. A row is short, because a longer one than a fifth of a page
# would spill over.
rollups = _table(
    "rollups",
    Column("endpoint", TEXT, primary_key=True),
    Column("measurement", TEXT, primary_key=True),
    # Hours of UTC since 1970.
    Column("hour", WHOLE, primary_key=True),
    *_sums(),
    sqlite_with_rowid=False,
)
# The hours that lack a value: a look for incomplete readings passes over all others.
# `postgres/statements.py` has the condition for PostgreSQL, whose dialect would be loaded for it.
INCOMPLETE = rollups.c.count < rollups.c.readings
incomplete_hours = Index(
    "ix_rollups_missing", rollups.c.endpoint, rollups.c.hour, sqlite_where=INCOMPLETE
)

# The same of each day of the installation's zone, made of its hours in the same transaction. `day`
# counts the days of the local calendar since 1970-01-01.
rollup_days = _table(
    "rollup_days",
    Column("endpoint", TEXT, primary_key=True),
    Column("measurement", TEXT, primary_key=True),
    Column("day", WHOLE, primary_key=True),
    *_sums(),
    sqlite_with_rowid=False,
)

# The zone of the days in one row; none while there are no days. While they are recomputed, for
# another zone, those of the stations up to `after_endpoint` are done, and of that one those up to
# `after_day`; NULL when all are.
rollup_zone = _table(
    "rollup_zone",
    Column("id", WHOLE, primary_key=True),
    Column("zone", TEXT, nullable=False),
    Column("after_endpoint", TEXT),
    Column("after_day", WHOLE),
)

# What people have written at a time, for the charts.
notes = _table(
    "notes",
    Column("id", WHOLE, primary_key=True),
    # NULL: of the whole house.
    Column("endpoint", TEXT),
    # UTC epoch milliseconds, as in `readings`; both are inclusive.
    Column("first_ms", WHOLE, nullable=False),
    Column("last_ms", WHOLE, nullable=False),
    Column("text", TEXT, nullable=False),
    Column("written_at", WHOLE, nullable=False),
    # When it was taken back; NULL while it counts.
    Column("undone_at", WHOLE),
    sqlite_autoincrement=True,
)

# Before the first reading of all: where a correction begins that is open there.
FIRST_MS = -(2**52)
# What is shown otherwise than it was stored: in rows when they are read, in roll-ups when they are
# made. Never is a row of `readings` changed.
corrections = _table(
    "corrections",
    Column("id", WHOLE, primary_key=True),
    Column("endpoint", TEXT, nullable=False),
    # NULL: all of the station's measurements.
    Column("measurement", TEXT),
    # Readings received from the first to the last, both inclusive; NULL: no end.
    Column("first_ms", WHOLE),
    Column("last_ms", WHOLE),
    # `hide`, or `adjust`: gain times the value plus offset.
    Column("kind", TEXT, nullable=False),
    Column("gain", NUMBER),
    Column("offset", NUMBER),
    Column("reason", TEXT, nullable=False),
    Column("written_at", WHOLE, nullable=False),
    Column("undone_at", WHOLE),
    # From when on its hours are to be made again, since it was written or undone; NULL: all are.
    Column("unapplied_ms", WHOLE),
    sqlite_autoincrement=True,
)

# Up to which reading RETENTION_DAYS has removed each station's; none for a station without.
removed = _table(
    "removed",
    Column("endpoint", TEXT, primary_key=True),
    # The station's readings up to this id are gone, and their hours stay.
    Column("last_id", WHOLE, nullable=False),
    # No removed reading is of a later time than this, UTC epoch milliseconds.
    Column("last_ms", WHOLE, nullable=False),
    Column("readings", WHOLE, nullable=False),
)

# What the removed readings of an hour add up to as they were stored; `rollups` has them and those
# that are left. Kept for ever: no reading is left to compute them from.
removed_hours = _table(
    "removed_hours",
    Column("endpoint", TEXT, primary_key=True),
    Column("hour", WHOLE, primary_key=True),
    Column("measurement", TEXT, primary_key=True),
    *_sums(),
    sqlite_with_rowid=False,
)

# What follows is only in a database that several hosts may share.
shared_metadata = MetaData()


def _shared(name: str, *columns: Column[Any]) -> Table:
    return Table(name, shared_metadata, *columns)


# The highest id that a row of each table ever had, also when that row is gone, and the last settled
# entry of each queue: what SQLite keeps in `sqlite_sequence`. Every commit begins by locking the
# row `readings`, so that one commits at a time, whichever host it is on, and ids follow each other
# without gaps.
log = _shared(
    "log",
    Column("name", TEXT, primary_key=True),
    Column("last_id", WHOLE, nullable=False),
    # Who keeps the number, where that is one host's own affair: that of a queue.
    Column("host", TEXT),
)

# What one host at a time does. The times are those of the database's clock, UTC epoch milliseconds.
leases = _shared(
    "leases",
    Column("name", TEXT, primary_key=True),
    Column("host", TEXT, nullable=False),
    # Of the process that holds it: a host that was restarted has another one.
    Column("token", TEXT, nullable=False),
    Column("expires_at", WHOLE, nullable=False),
)

# What belongs to one host until it is moved: `csv` to the one that has the CSV files.
owners = _shared(
    "owners",
    Column("name", TEXT, primary_key=True),
    Column("host", TEXT, nullable=False),
)

# The alerts of which one host notifies for all: those that are active, and those that are over of
# which a channel is still to be notified. All times are UTC epoch milliseconds.
active_alerts = _shared(
    "active_alerts",
    Column("rule", TEXT, primary_key=True),
    Column("subject", TEXT, primary_key=True),
    Column("kind", TEXT, nullable=False),
    Column("since_ms", WHOLE, nullable=False),
    Column("entered_ms", WHOLE, nullable=False),
    Column("reminded_ms", WHOLE, nullable=False),
    Column("ended_ms", WHOLE),
    # A JSON object.
    Column("facts", TEXT, nullable=False),
    # A JSON array of the channels that were notified; empty while messages wait.
    Column("ways", TEXT, nullable=False),
)

# Of a rule and a subject no host sends anything until then.
alert_mutes = _shared(
    "alert_mutes",
    Column("rule", TEXT, primary_key=True),
    Column("subject", TEXT, primary_key=True),
    Column("until_ms", WHOLE, nullable=False),
    Column("created_ms", WHOLE, nullable=False),
)

# The last changes that pages of the setup made in files, so that each host makes them in its own.
setup_files = _shared(
    "setup_files",
    Column("name", TEXT, primary_key=True),
    # One after the other for each file.
    Column("number", WHOLE, primary_key=True, autoincrement=False),
    # Where the change was made, and when: UTC epoch milliseconds.
    Column("host", TEXT, nullable=False),
    Column("changed_at", WHOLE, nullable=False),
    # The SHA-256 of the file before and after, of no bytes where there was none; and its text.
    Column("former_digest", TEXT, nullable=False),
    Column("digest", TEXT, nullable=False),
    Column("content", TEXT),
)
