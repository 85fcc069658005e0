"""The whole schema with which this chain of migrations begins.

It makes what twelve migrations made before the first release, to the byte: a database at 0012 is
the same whichever program has made it. So columns that those migrations added come by ALTER TABLE
here, too, and SQLite keeps each statement as its text.

Writes nothing for rows that exist, for there are none: an older database does not go on from here.

Revision: 0012, the first.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = None
branch_labels = None
depends_on = None

WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
NUMBER: sa.types.TypeEngine[Any] = sa.REAL().with_variant(sa.DOUBLE_PRECISION(), "postgresql")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

# In the zone of whoever looks, as in the CSV files by default.
TIME = {
    "sqlite": "datetime(received_at / 1000, 'unixepoch', 'localtime') AS time",
    "postgresql": "to_char(to_timestamp(received_at / 1000), 'YYYY-MM-DD HH24:MI:SS') AS time",
}
# An index of SQLite ends with the id by itself, one of PostgreSQL does not.
PLACE = {
    "sqlite": ["endpoint", "received_at"],
    "postgresql": ["endpoint", "received_at", "id"],
}
# A view for each station, for the sqlite3 shell or psql.
VIEWS = {
    "v_data": ("data", "pressure, temperature"),
    "v_data2": ("data2", "co2, temperature, humidity, pressure, gas_resistance AS gas_res"),
    "v_data3": ("data3", "temperature, humidity, pressure, gas_resistance AS gas_res"),
    "v_data4": (
        "data4",
        'co2 AS "mh_z19.co2", analog_value AS "mq_2.analog_value", voltage AS "mq_2.voltage",'
        ' temperature_ds18b20 AS "ds18b20.temperature",'
        ' temperature_dht11 AS "dht11.temperature", humidity_dht11 AS "dht11.humidity"',
    ),
}
# The tables whose rows are numbered by the database.
NUMBERED = ("readings", "imports", "rejected", "rollup_zone", "notes", "corrections")
# As SQLite's AUTOINCREMENT, which a sequence is not: an id that was rolled back is given again, and
# the highest one ever given is known.
NEXT_ID = """
    CREATE FUNCTION next_id(of_table text) RETURNS bigint LANGUAGE sql VOLATILE AS $$
        INSERT INTO log (name, last_id) VALUES (of_table, 1)
        ON CONFLICT (name) DO UPDATE SET last_id = log.last_id + 1
        RETURNING last_id
    $$
"""


def upgrade() -> None:
    engine = op.get_context().dialect.name
    readings(engine)
    exports()
    rejected()
    rollups()
    notes_and_corrections()
    removed()
    if engine == "postgresql":
        of_several_hosts()


def numbered() -> "sa.Column[int]":
    """The id of a table that the database numbers: PostgreSQL by `next_id`, which comes last."""
    return sa.Column("id", WHOLE, primary_key=True, autoincrement=False)


def sums(*key: str) -> list["sa.Column[Any]"]:
    """The columns of a table of sums with this key."""
    texts = ("endpoint", "measurement")
    return [
        *(sa.Column(name, TEXT if name in texts else WHOLE, primary_key=True) for name in key),
        sa.Column("readings", WHOLE, nullable=False),
        sa.Column("count", WHOLE, nullable=False),
        sa.Column("total", NUMBER),
        sa.Column("minimum", NUMBER),
        sa.Column("maximum", NUMBER),
    ]


def readings(engine: str) -> None:
    op.create_table(
        "readings",
        numbered(),
        sa.Column("endpoint", TEXT, nullable=False),
        sa.Column("received_at", WHOLE, nullable=False),
        sa.Column("co2", NUMBER),
        sa.Column("temperature", NUMBER),
        sa.Column("humidity", NUMBER),
        sa.Column("pressure", NUMBER),
        sa.Column("gas_resistance", NUMBER),
        sa.Column("analog_value", NUMBER),
        sa.Column("voltage", NUMBER),
        sa.Column("temperature_ds18b20", NUMBER),
        sa.Column("temperature_dht11", NUMBER),
        sa.Column("humidity_dht11", NUMBER),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_index("ix_readings_endpoint_received_at", "readings", PLACE[engine])
    op.create_table(
        "counters",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("value", WHOLE, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "followers",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("last_id", WHOLE, nullable=False),
        sqlite_strict=True,
    )
    for view, (endpoint, columns) in VIEWS.items():
        text = (
            f"CREATE VIEW {view} AS SELECT id, {TIME[engine]}, {columns}"
            f" FROM readings WHERE endpoint = '{endpoint}'"
        )
        op.execute(text)
        if engine == "postgresql":
            # By this the view is known as ours: PostgreSQL itself keeps no text.
            quoted = text.replace("'", "''")
            op.execute(f"COMMENT ON VIEW {view} IS '{quoted}'")
    op.add_column("readings", sa.Column("arrived_at", WHOLE))


def exports() -> None:
    op.create_table(
        "exports",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("first_id", WHOLE, nullable=False),
        sa.Column("last_id", WHOLE, nullable=False),
        sa.Column("import_id", WHOLE, nullable=False),
        sa.Column("begin_bytes", WHOLE),
        sa.Column("size_bytes", WHOLE),
        sa.Column("checksum", WHOLE),
        sa.Column("inode", WHOLE),
        sa.Column("changed_ns", WHOLE),
        sqlite_strict=True,
    )
    op.add_column("exports", sa.Column("zone", TEXT))
    op.add_column("exports", sa.Column("last_received_at", WHOLE))
    op.add_column("exports", sa.Column("last_time", TEXT))
    op.create_table(
        "export_intents",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("from_id", WHOLE, nullable=False),
        sa.Column("to_id", WHOLE, nullable=False),
        sa.Column("start_offset", WHOLE, nullable=False),
        sa.Column("length", WHOLE, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("import_id", WHOLE),
        sqlite_strict=True,
    )
    op.create_table(
        "imports",
        numbered(),
        sa.Column("endpoint", TEXT, nullable=False),
        sa.Column("file", TEXT, nullable=False),
        sa.Column("first_id", WHOLE, nullable=False),
        sa.Column("last_id", WHOLE, nullable=False),
        sa.Column("after_id", WHOLE, nullable=False, server_default=sa.text("0")),
        sa.Column("imported_at", WHOLE, nullable=False),
        sa.Column("size_bytes", WHOLE),
        sa.Column("sha256", TEXT),
        sqlite_strict=True,
    )


def rejected() -> None:
    op.create_table(
        "rejected",
        numbered(),
        sa.Column("endpoint", TEXT, nullable=False),
        sa.Column("received_at", WHOLE, nullable=False),
        sa.Column("end_bytes", WHOLE, nullable=False),
        sa.Column("reading_id", WHOLE),
        sa.Column("media_type", TEXT, nullable=False),
        sa.Column("reasons", TEXT, nullable=False),
        sa.Column("hint", TEXT, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.add_column("rejected", sa.Column("codes", TEXT))
    op.add_column("rejected", sa.Column("measured_at", WHOLE))
    op.add_column("rejected", sa.Column("digest", sa.LargeBinary))


def rollups() -> None:
    op.create_table(
        "rollups",
        *sums("endpoint", "measurement", "hour"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_rollups_missing",
        "rollups",
        ["endpoint", "hour"],
        sqlite_where=sa.text("count < readings"),
        postgresql_where=sa.text("count < readings"),
    )
    op.create_table(
        "accepted_keys",
        sa.Column("generation", WHOLE, primary_key=True),
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("at", WHOLE, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollup_days",
        *sums("endpoint", "measurement", "day"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollup_zone",
        numbered(),
        sa.Column("zone", TEXT, nullable=False),
        sa.Column("after_endpoint", TEXT),
        sa.Column("after_day", WHOLE),
        sqlite_strict=True,
    )


def notes_and_corrections() -> None:
    op.create_table(
        "notes",
        numbered(),
        sa.Column("endpoint", TEXT),
        sa.Column("first_ms", WHOLE, nullable=False),
        sa.Column("last_ms", WHOLE, nullable=False),
        sa.Column("text", TEXT, nullable=False),
        sa.Column("written_at", WHOLE, nullable=False),
        sa.Column("undone_at", WHOLE),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_table(
        "corrections",
        numbered(),
        sa.Column("endpoint", TEXT, nullable=False),
        sa.Column("measurement", TEXT),
        sa.Column("first_ms", WHOLE),
        sa.Column("last_ms", WHOLE),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("gain", NUMBER),
        sa.Column("offset", NUMBER),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("written_at", WHOLE, nullable=False),
        sa.Column("undone_at", WHOLE),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )


def removed() -> None:
    op.create_table(
        "removed",
        sa.Column("endpoint", TEXT, primary_key=True),
        sa.Column("last_id", WHOLE, nullable=False),
        sa.Column("last_ms", WHOLE, nullable=False),
        sa.Column("readings", WHOLE, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "removed_hours",
        *sums("endpoint", "hour", "measurement"),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "export_floors",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("first_id", WHOLE, nullable=False),
        sa.Column("last_id", WHOLE, nullable=False),
        sa.Column("size_bytes", WHOLE, nullable=False),
        sa.Column("checksum", WHOLE, nullable=False),
        sqlite_strict=True,
    )


def of_several_hosts() -> None:
    """The order of commits, which PostgreSQL does not have by itself, and which host does what."""
    op.create_table(
        "log",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("last_id", WHOLE, nullable=False),
        sa.Column("host", TEXT),
    )
    # Each commit locks this row.
    op.execute("INSERT INTO log (name, last_id) VALUES ('readings', 0)")
    op.execute(NEXT_ID)
    for name in NUMBERED:
        op.execute(f"ALTER TABLE {name} ALTER COLUMN id SET DEFAULT next_id('{name}')")
    op.create_table(
        "leases",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("host", TEXT, nullable=False),
        sa.Column("token", TEXT, nullable=False),
        sa.Column("expires_at", WHOLE, nullable=False),
    )
    op.create_table(
        "owners",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("host", TEXT, nullable=False),
    )
    op.create_table(
        "export_origins",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("system_identifier", TEXT, nullable=False),
        sa.Column("timeline", WHOLE, nullable=False),
    )
    op.create_table(
        "active_alerts",
        sa.Column("rule", TEXT, primary_key=True),
        sa.Column("subject", TEXT, primary_key=True),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("since_ms", WHOLE, nullable=False),
        sa.Column("entered_ms", WHOLE, nullable=False),
        sa.Column("reminded_ms", WHOLE, nullable=False),
        sa.Column("ended_ms", WHOLE),
        sa.Column("facts", TEXT, nullable=False),
        sa.Column("ways", TEXT, nullable=False),
    )
    op.create_table(
        "alert_mutes",
        sa.Column("rule", TEXT, primary_key=True),
        sa.Column("subject", TEXT, primary_key=True),
        sa.Column("until_ms", WHOLE, nullable=False),
        sa.Column("created_ms", WHOLE, nullable=False),
    )


def downgrade() -> None:
    on_postgres = op.get_context().dialect.name == "postgresql"
    if on_postgres:
        for name in NUMBERED:
            op.execute(f"ALTER TABLE {name} ALTER COLUMN id DROP DEFAULT")
        op.execute("DROP FUNCTION next_id(text)")
        for name in ("alert_mutes", "active_alerts", "export_origins", "owners", "leases", "log"):
            op.drop_table(name)
    for name in ("export_floors", "removed_hours", "removed", "corrections", "notes"):
        op.drop_table(name)
    for name in ("rollup_zone", "rollup_days", "accepted_keys", "rollups", "rejected"):
        op.drop_table(name)
    for name in ("imports", "export_intents", "exports"):
        op.drop_table(name)
    for view in VIEWS:
        op.execute(f"DROP VIEW {view}")
    op.drop_table("followers")
    op.drop_table("counters")
    if on_postgres:
        # The views of stations go with it, for which SQLite does not ask.
        op.execute("DROP TABLE readings CASCADE")
    else:
        op.drop_table("readings")
