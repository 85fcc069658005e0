"""How far each station's readings were removed, for who wants that.

Revision: 0011, after 0010
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import REAL

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "removed",
        sa.Column("endpoint", sa.Text, primary_key=True),
        sa.Column("last_id", sa.Integer, nullable=False),
        sa.Column("last_ms", sa.Integer, nullable=False),
        sa.Column("readings", sa.Integer, nullable=False),
        sqlite_strict=True,
    )

    op.create_table(
        "removed_hours",
        sa.Column("endpoint", sa.Text, primary_key=True),
        sa.Column("hour", sa.Integer, primary_key=True),
        sa.Column("measurement", sa.Text, primary_key=True),
        sa.Column("readings", sa.Integer, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("total", REAL),
        sa.Column("minimum", REAL),
        sa.Column("maximum", REAL),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "export_floors",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("first_id", sa.Integer, nullable=False),
        sa.Column("last_id", sa.Integer, nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("checksum", sa.Integer, nullable=False),
        sqlite_strict=True,
    )


def downgrade() -> None:
    for name in ("export_floors", "removed_hours", "removed"):
        op.drop_table(name)
