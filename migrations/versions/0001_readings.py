"""Readings, counters, followers, and a view per station for the sqlite3 shell.

Revision: 0001, the first.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# `localtime` is the zone of whoever looks, as in the CSV files by default.
TIME = "datetime(received_at / 1000, 'unixepoch', 'localtime') AS time"

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
    op.create_table(
        "readings",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("received_at", sa.Integer, nullable=False),
        sa.Column("co2", sa.REAL),
        sa.Column("temperature", sa.REAL),
        sa.Column("humidity", sa.REAL),
        sa.Column("pressure", sa.REAL),
        sa.Column("gas_resistance", sa.REAL),
        sa.Column("analog_value", sa.REAL),
        sa.Column("voltage", sa.REAL),
        sa.Column("temperature_ds18b20", sa.REAL),
        sa.Column("temperature_dht11", sa.REAL),
        sa.Column("humidity_dht11", sa.REAL),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_index("ix_readings_endpoint_received_at", "readings", ["endpoint", "received_at"])
    op.create_table(
        "counters",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Integer, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "followers",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("last_id", sa.Integer, nullable=False),
        sqlite_strict=True,
    )
    for view, (endpoint, columns) in VIEWS.items():
        op.execute(
            f"CREATE VIEW {view} AS SELECT id, {TIME}, {columns}"
            f" FROM readings WHERE endpoint = '{endpoint}'"
        )


def downgrade() -> None:
    for view in VIEWS:
        op.execute(f"DROP VIEW {view}")
    op.drop_table("followers")
    op.drop_table("counters")
    op.drop_table("readings")
