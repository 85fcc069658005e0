"""Roll-ups of local days beside those of hours.

Revision: 0009, after 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
NUMBER: sa.types.TypeEngine[float] = sa.REAL().with_variant(sa.DOUBLE_PRECISION(), "postgresql")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "rollup_days",
        sa.Column("endpoint", TEXT, primary_key=True),
        sa.Column("measurement", TEXT, primary_key=True),
        sa.Column("day", WHOLE, primary_key=True),
        sa.Column("readings", WHOLE, nullable=False),
        sa.Column("count", WHOLE, nullable=False),
        sa.Column("total", NUMBER),
        sa.Column("minimum", NUMBER),
        sa.Column("maximum", NUMBER),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rollup_zone",
        sa.Column("id", WHOLE, sa.Identity(), primary_key=True),
        sa.Column("zone", TEXT, nullable=False),
        sa.Column("after_endpoint", TEXT),
        sa.Column("after_day", WHOLE),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("rollup_zone")
    op.drop_table("rollup_days")
