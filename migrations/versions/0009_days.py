"""Roll-ups of local days beside those of hours.

Revision: 0009, after 0008
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import REAL

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rollup_days",
        sa.Column("endpoint", sa.Text, primary_key=True),
        sa.Column("measurement", sa.Text, primary_key=True),
        sa.Column("day", sa.Integer, primary_key=True),
        sa.Column("readings", sa.Integer, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("total", REAL),
        sa.Column("minimum", REAL),
        sa.Column("maximum", REAL),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollup_zone",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("zone", sa.Text, nullable=False),
        sa.Column("after_endpoint", sa.Text),
        sa.Column("after_day", sa.Integer),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("rollup_zone")
    op.drop_table("rollup_days")
