"""The whole schema with which this chain of migrations begins; and what a database of before lacks.

It is in the place of nineteen migrations that were made before the first release. A database of the
twelfth to the eighteenth is taken over: it gets what it lacks of this, whichever of them it had.

Writes nothing for rows that exist. On PostgreSQL a database of before the sixteenth keeps an index
that also has the id, and so is of twice the size: to make it again would hold up commits.

Revision: 0019, the first.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0019"
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
# An index of SQLite ends with the id by itself. One of PostgreSQL that has it is nearly twice as
# large: its pages are filled to nine tenths only if an entry has two numbers at most.
PLACE = ["endpoint", "received_at"]
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
# the highest one ever given is known. Where that is the id of a reading, it is written nowhere
# else: a commit locks the row of the log and does not change it. After the lock comes a statement
# of its own: one that waits sees what was there before it waited.
NEXT_ID = """
    CREATE OR REPLACE FUNCTION next_id(of_table text) RETURNS bigint LANGUAGE sql VOLATILE AS $$
        SELECT last_id FROM log WHERE name = of_table FOR UPDATE;
        INSERT INTO log (name, last_id) VALUES (of_table, 1)
        ON CONFLICT (name) DO UPDATE SET last_id = 1 + CASE WHEN of_table = 'readings'
            THEN greatest(log.last_id, (SELECT max(id) FROM readings)) ELSE log.last_id END
        RETURNING last_id
    $$
"""
# What removes the newest readings keeps their id. The row is locked only then: removing old ones
# holds up no commit. The tables are those beside the one that is changed, whatever the
# `search_path` of the person who does it: with another one the statement would fail, or look at
# another `readings`.
KEEP_LAST_ID = """
    CREATE OR REPLACE FUNCTION keep_last_id() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        newest bigint;
        former bigint;
    BEGIN
        EXECUTE format('SELECT coalesce(max(id), 0) FROM %I.readings', TG_TABLE_SCHEMA) INTO newest;
        IF TG_WHEN = 'BEFORE' THEN
            PERFORM set_config('flask10x.newest', newest::text, true);
            RETURN NULL;
        END IF;
        former := current_setting('flask10x.newest')::bigint;
        IF newest < former THEN
            EXECUTE format(
                'UPDATE %I.log SET last_id = $1 WHERE name = ''readings'' AND last_id < $1',
                TG_TABLE_SCHEMA
            ) USING former;
        END IF;
        RETURN NULL;
    END $$
"""
CHANGES = "DELETE OR TRUNCATE OR UPDATE OF id"
# Autovacuum looks at the readings after a fiftieth of them has come or gone, not after a fifth: of
# a hundred million that would be twenty, in whose room nothing is stored until then.
SHARE = 0.02
FACTORS = ("vacuum_scale_factor", "vacuum_insert_scale_factor", "analyze_scale_factor")


def upgrade() -> None:
    engine = op.get_context().dialect.name
    there = {*sa.inspect(op.get_bind()).get_table_names()}
    if "followers" in there:
        take_over(engine, there)
    else:
        readings(engine)
        exports()
        archived_files()
        rejected()
        unknown_readings()
        rollups()
        notes_and_corrections()
        removed()
        if engine == "postgresql":
            of_several_hosts()
            setup_files()
    if engine == "postgresql":
        order_of_commits()


def take_over(engine: str, there: set[str]) -> None:
    """Add what a database lacks of this schema that has the tables of the twelfth migration."""
    lacking: dict[str, tuple[str, ...]] = {"exports": ("endpoint", "path", "columns")}
    if "archived_files" in there:
        lacking["archived_files"] = ("last_received_at",)
    else:
        archived_files()
    inspector = sa.inspect(op.get_bind())
    for name, columns in lacking.items():
        present = {column["name"] for column in inspector.get_columns(name)}
        for column in columns:
            if column not in present:
                kind = WHOLE if column == "last_received_at" else TEXT
                op.add_column(name, sa.Column(column, kind))
    if "unknown_readings" not in there:
        unknown_readings()
    if engine == "postgresql" and "setup_files" not in there:
        setup_files()


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
        sa.Column("arrived_at", WHOLE),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_index("ix_readings_endpoint_received_at", "readings", PLACE)
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
        sa.Column("zone", TEXT),
        sa.Column("last_received_at", WHOLE),
        sa.Column("last_time", TEXT),
        sa.Column("endpoint", TEXT),
        sa.Column("path", TEXT),
        sa.Column("columns", TEXT),
        sqlite_strict=True,
    )
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


def archived_files() -> None:
    op.create_table(
        "archived_files",
        sa.Column("endpoint", TEXT, primary_key=True),
        sa.Column("size_bytes", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("checksum", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("path", TEXT),
        sa.Column("first_id", WHOLE, nullable=False),
        sa.Column("last_id", WHOLE, nullable=False),
        sa.Column("import_id", WHOLE, nullable=False),
        sa.Column("begin_bytes", WHOLE, nullable=False),
        sa.Column("inode", WHOLE, nullable=False),
        sa.Column("changed_ns", WHOLE, nullable=False),
        sa.Column("zone", TEXT),
        sa.Column("columns", TEXT),
        sa.Column("floor_id", WHOLE),
        sa.Column("floor_bytes", WHOLE),
        sa.Column("floor_checksum", WHOLE),
        sa.Column("last_received_at", WHOLE),
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
        sa.Column("codes", TEXT),
        sa.Column("measured_at", WHOLE),
        sa.Column("digest", sa.LargeBinary),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )


def unknown_readings() -> None:
    """Readings for paths that no station has, until the station is added."""
    op.create_table(
        "unknown_readings",
        sa.Column("id", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("endpoint", TEXT, nullable=False),
        sa.Column("received_at", WHOLE, nullable=False),
        sa.Column("measured_at", WHOLE),
        sa.Column("digest", sa.LargeBinary),
        sa.Column("media_type", TEXT, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )


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


def setup_files() -> None:
    """What a page of one host has changed in a file, for the other hosts of the database."""
    op.create_table(
        "setup_files",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("number", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("host", TEXT, nullable=False),
        sa.Column("changed_at", WHOLE, nullable=False),
        sa.Column("former_digest", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("content", TEXT),
    )


def order_of_commits() -> None:
    """Number the rows by `next_id`, which keeps the order of commits."""
    op.execute(NEXT_ID)
    op.execute(KEEP_LAST_ID)
    for name in NUMBERED:
        op.execute(f"ALTER TABLE {name} ALTER COLUMN id SET DEFAULT next_id('{name}')")
    for when in ("before", "after"):
        op.execute(
            f"CREATE OR REPLACE TRIGGER keep_last_id_{when} {when.upper()} {CHANGES} ON readings"
            " FOR EACH STATEMENT EXECUTE FUNCTION keep_last_id()"
        )
    # Ids only grow, so the pages of their index are filled wholly.
    op.execute("ALTER INDEX readings_pkey SET (fillfactor = 100)")
    given = ", ".join(f"autovacuum_{name} = {SHARE}" for name in FACTORS)
    op.execute(f"ALTER TABLE readings SET ({given})")


def downgrade() -> None:
    raise NotImplementedError("there is no version before the first")
