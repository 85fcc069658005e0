"""What PostgreSQL needs beyond SQLite: the order of commits, and who of several hosts does what.

Does nothing on SQLite.

Revision: 0012, after 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        return
    op.create_table(
        "log",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("last_id", WHOLE, nullable=False),
    )
    # Each commit locks the first of these rows. The second is there once there was a refusal, as in
    # SQLite's own table of highest ids.
    op.execute("INSERT INTO log SELECT 'readings', coalesce(max(id), 0) FROM readings")
    op.execute("INSERT INTO log SELECT 'rejected', max(id) FROM rejected HAVING count(*) > 0")
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


def downgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        return
    for name in ("export_origins", "owners", "leases", "log"):
        op.drop_table(name)
