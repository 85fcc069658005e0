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

WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
NUMBER: sa.types.TypeEngine[float] = sa.REAL().with_variant(sa.DOUBLE_PRECISION(), "postgresql")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "rollups",
        sa.Column("endpoint", TEXT, primary_key=True),
        sa.Column("measurement", TEXT, primary_key=True),
        sa.Column("hour", WHOLE, primary_key=True),
        sa.Column("readings", WHOLE, nullable=False),
        sa.Column("count", WHOLE, nullable=False),
        sa.Column("total", NUMBER),
        sa.Column("minimum", NUMBER),
        sa.Column("maximum", NUMBER),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("rollups")
    op.execute("DELETE FROM followers WHERE name = 'rollups'")
