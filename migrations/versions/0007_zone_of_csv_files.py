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


def upgrade() -> None:
    op.add_column("exports", sa.Column("zone", sa.Text))
    op.add_column("exports", sa.Column("last_received_at", sa.Integer))
    op.add_column("exports", sa.Column("last_time", sa.Text))


def downgrade() -> None:
    op.drop_column("exports", "last_time")
    op.drop_column("exports", "last_received_at")
    op.drop_column("exports", "zone")
