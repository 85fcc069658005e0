"""How far each station's readings were removed, for who wants that.

Revision: 0011, after 0010
"""

import sqlalchemy as sa
from alembic import op

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


def downgrade() -> None:
    op.drop_table("removed")
