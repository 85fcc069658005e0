"""In which zone each CSV file is written, and the last time in it.

Writes nothing for rows that exist: the next export compares the last row of each file with the
database, and notes its zone.

Revision: 0007, after 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("exports", sa.Column("zone", TEXT))
    op.add_column("exports", sa.Column("last_received_at", WHOLE))
    op.add_column("exports", sa.Column("last_time", TEXT))


def downgrade() -> None:
    op.drop_column("exports", "last_time")
    op.drop_column("exports", "last_received_at")
    op.drop_column("exports", "zone")
