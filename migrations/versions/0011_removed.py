"""How far each station's readings were removed, for who wants that.

Revision: 0011, after 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
NUMBER: sa.types.TypeEngine[float] = sa.REAL().with_variant(sa.DOUBLE_PRECISION(), "postgresql")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "removed",
        sa.Column("endpoint", TEXT, primary_key=True),
        sa.Column("last_id", WHOLE, nullable=False),
        sa.Column("last_ms", WHOLE, nullable=False),
        sa.Column("readings", WHOLE, nullable=False),
        sqlite_strict=True,
    )

    op.create_table(
        "removed_hours",
        sa.Column("endpoint", TEXT, primary_key=True),
        sa.Column("hour", WHOLE, primary_key=True),
        sa.Column("measurement", TEXT, primary_key=True),
        sa.Column("readings", WHOLE, nullable=False),
        sa.Column("count", WHOLE, nullable=False),
        sa.Column("total", NUMBER),
        sa.Column("minimum", NUMBER),
        sa.Column("maximum", NUMBER),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_table(
        "export_floors",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("first_id", WHOLE, nullable=False),
        sa.Column("last_id", WHOLE, nullable=False),
        sa.Column("size_bytes", WHOLE, nullable=False),
        sa.Column("checksum", WHOLE, nullable=False),
        sqlite_strict=True,
    )


def downgrade() -> None:
    for name in ("export_floors", "removed_hours", "removed"):
        op.drop_table(name)
