"""Notes of people, and what is shown otherwise than it was stored.

Revision: 0010, after 0009
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import REAL

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "notes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("endpoint", sa.Text),
        sa.Column("first_ms", sa.Integer, nullable=False),
        sa.Column("last_ms", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("written_at", sa.Integer, nullable=False),
        sa.Column("undone_at", sa.Integer),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )
    op.create_table(
        "corrections",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("measurement", sa.Text),
        sa.Column("first_ms", sa.Integer),
        sa.Column("last_ms", sa.Integer),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("gain", REAL),
        sa.Column("offset", REAL),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("written_at", sa.Integer, nullable=False),
        sa.Column("undone_at", sa.Integer),
        sqlite_strict=True,
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("corrections")
    op.drop_table("notes")
