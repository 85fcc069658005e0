"""Rejected readings: what was refused, with its reasons, to be looked at and replayed.

Writes nothing for rows that exist.

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "rejected",
        sa.Column("id", WHOLE, sa.Identity(), primary_key=True),
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


def downgrade() -> None:
    op.drop_table("rejected")
