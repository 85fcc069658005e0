"""Roll-ups: what each hour of each measurement adds up to, for charts of long ranges.

Writes nothing for rows that exist: the running service fills the table, and until then charts are
computed from the readings.

Revision: 0004, after 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rollups",
        sa.Column("endpoint", sa.Text, primary_key=True),
        sa.Column("measurement", sa.Text, primary_key=True),
        sa.Column("hour", sa.Integer, primary_key=True),
        sa.Column("readings", sa.Integer, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("total", sa.REAL),
        sa.Column("minimum", sa.REAL),
        sa.Column("maximum", sa.REAL),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("rollups")
    op.execute("DELETE FROM followers WHERE name = 'rollups'")
