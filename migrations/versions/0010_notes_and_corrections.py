"""Notes of people, and what is shown otherwise than it was stored.

Revision: 0010, after 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
NUMBER: sa.types.TypeEngine[float] = sa.REAL().with_variant(sa.DOUBLE_PRECISION(), "postgresql")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "notes",
        sa.Column("id", WHOLE, sa.Identity(), primary_key=True),
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
        sa.Column("id", WHOLE, sa.Identity(), primary_key=True),
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


def downgrade() -> None:
    op.drop_table("corrections")
    op.drop_table("notes")
