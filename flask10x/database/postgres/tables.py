"""The tables that only a database on PostgreSQL has."""

from sqlalchemy import Column, MetaData, Table

from flask10x.database.tables import TEXT, WHOLE

only_postgres = MetaData()

# The highest id that a row of each table ever had, also when that row is gone, and the last settled
# entry of each queue: what SQLite keeps in `sqlite_sequence`. Every commit begins by locking the
# row `readings`, so that one commits at a time, whichever host it is on, and ids follow each other
# without gaps.
log = Table(
    "log",
    only_postgres,
    Column("name", TEXT, primary_key=True),
    Column("last_id", WHOLE, nullable=False),
    # Who keeps the number, where that is one host's own affair: that of a queue.
    Column("host", TEXT),
)

# What one host at a time does. The times are those of the database's clock, UTC epoch milliseconds.
leases = Table(
    "leases",
    only_postgres,
    Column("name", TEXT, primary_key=True),
    Column("host", TEXT, nullable=False),
    # Of the process that holds it: a host that was restarted has another one.
    Column("token", TEXT, nullable=False),
    Column("expires_at", WHOLE, nullable=False),
)

# What belongs to one host until somebody moves it: `csv` to the one that has the CSV files.
owners = Table(
    "owners",
    only_postgres,
    Column("name", TEXT, primary_key=True),
    Column("host", TEXT, nullable=False),
)

# Of which history of the database the readings in each CSV file are, as PostgreSQL tells it.
export_origins = Table(
    "export_origins",
    only_postgres,
    Column("name", TEXT, primary_key=True),
    # Of 64 bits without a sign, more than a whole number can hold.
    Column("system_identifier", TEXT, nullable=False),
    Column("timeline", WHOLE, nullable=False),
)

# The alerts that one host tells of for all: those that are active, and those that are over of which
# somebody is still to be told. All times are UTC epoch milliseconds.
active_alerts = Table(
    "active_alerts",
    only_postgres,
    Column("rule", TEXT, primary_key=True),
    Column("subject", TEXT, primary_key=True),
    Column("kind", TEXT, nullable=False),
    Column("since_ms", WHOLE, nullable=False),
    Column("entered_ms", WHOLE, nullable=False),
    Column("reminded_ms", WHOLE, nullable=False),
    Column("ended_ms", WHOLE),
    # A JSON object.
    Column("facts", TEXT, nullable=False),
    # A JSON array of the ways that were told; empty while that is under way.
    Column("ways", TEXT, nullable=False),
)

# Of a rule and a subject no host sends anything until then.
alert_mutes = Table(
    "alert_mutes",
    only_postgres,
    Column("rule", TEXT, primary_key=True),
    Column("subject", TEXT, primary_key=True),
    Column("until_ms", WHOLE, nullable=False),
    Column("created_ms", WHOLE, nullable=False),
)
