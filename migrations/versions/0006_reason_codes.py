"""Codes of the reasons of rejected readings, from which a page says them in its own language.

Writes nothing for rows that exist: they have no codes, and their texts are translated by wording.

Revision: 0006, after 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("rejected", sa.Column("codes", TEXT))


def downgrade() -> None:
    # Writes the table anew, which is bounded by REJECTED_MAX_BYTES.
    op.drop_column("rejected", "codes")
