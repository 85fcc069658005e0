"""Readings, counters, followers, and a view per station for the sqlite3 shell or psql.

Revision: 0001, the first.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
NUMBER: sa.types.TypeEngine[float] = sa.REAL().with_variant(sa.DOUBLE_PRECISION(), "postgresql")
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

VIEWS = {
    "v_data": ("data", "pressure, temperature"),
    "v_data2": (
        "data2",
        "co2, temperature, humidity, pressure, gas_resistance AS gas_res",
    ),
    "v_data3": (
        "data3",
        "temperature, humidity, pressure, gas_resistance AS gas_res",
    ),
    "v_data4": (
        "data4",
        'co2 AS "mh_z19.co2", analog_value AS "mq_2.analog_value", voltage AS "mq_2.voltage",'
        ' temperature_ds18b20 AS "ds18b20.temperature",'
        ' temperature_dht11 AS "dht11.temperature", humidity_dht11 AS "dht11.humidity"',
    ),
}


def upgrade() -> None:
    engine = op.get_context().dialect.name
    op.create_table(
        "readings",
        sa.Column("id", WHOLE, primary_key=True, autoincrement=False),
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


def downgrade() -> None:
    for view in VIEWS:
        op.execute(f"DROP VIEW {view}")
    op.drop_table("followers")
    op.drop_table("counters")
    if op.get_context().dialect.name == "postgresql":
        # The views of stations go with it, for which SQLite does not ask.
        op.execute("DROP TABLE readings CASCADE")
    else:
        op.drop_table("readings")
