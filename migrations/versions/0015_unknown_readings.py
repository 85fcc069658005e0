"""Readings for paths that no station has, until the station is added.

Writes nothing for rows that exist.

Revision: 0015, after 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
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


def downgrade() -> None:
    op.drop_table("unknown_readings")
