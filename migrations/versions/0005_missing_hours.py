"""An index of the hours that lack a value, so that all others are passed over.

Reads the roll-ups once, some milliseconds for a year.

Revision: 0005, after 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_rollups_missing",
        "rollups",
        ["endpoint", "hour"],
        sqlite_where=sa.text("count < readings"),
        postgresql_where=sa.text("count < readings"),
    )


def downgrade() -> None:
    op.drop_index("ix_rollups_missing", "rollups")
