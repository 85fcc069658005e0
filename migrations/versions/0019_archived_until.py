"""Until when an archived CSV file has readings: what is lost with it can then be said by its dates.

Writes nothing for rows that exist: theirs is NULL.

Revision: 0019, after 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")


def upgrade() -> None:
    op.add_column("archived_files", sa.Column("last_received_at", WHOLE))


def downgrade() -> None:
    op.drop_column("archived_files", "last_received_at")
