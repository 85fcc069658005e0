"""What a page of one host has changed in a file, for the other hosts of the database.

Only PostgreSQL has the table: the hosts of an SQLite database are one.

Revision: 0014, after 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        return
    op.create_table(
        "setup_files",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("number", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("host", TEXT, nullable=False),
        sa.Column("changed_at", WHOLE, nullable=False),
        sa.Column("former_digest", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("content", TEXT),
    )


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.drop_table("setup_files")
