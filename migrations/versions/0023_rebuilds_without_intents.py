"""A rebuilt file needs no intent: its position is committed before it takes the name.

A rebuild that was interrupted is given up: its file is what the database says, or the next export
names the rebuild that mends it. At most one row for each CSV file is written.

Revision: 0023, after 0022
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
INTENT = ("from_id", "to_id", "start_offset", "length", "sha256")


def upgrade() -> None:
    op.execute("DELETE FROM csv_files WHERE kind = 'new'")
    nothing = ", ".join(f"intent_{name} = NULL" for name in INTENT)
    op.execute(f"UPDATE csv_files SET {nothing} WHERE intent_import_id IS NOT NULL")
    op.drop_column("csv_files", "intent_import_id")


def downgrade() -> None:
    op.add_column("csv_files", sa.Column("intent_import_id", WHOLE))
