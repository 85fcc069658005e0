"""When late readings arrived, and the keys by which a repeated one is known.

Writes nothing for rows that exist: those of before came when they were measured. SQLite reads the
readings once, about half a second for a million on a PC.

Revision: 0008, after 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")


def upgrade() -> None:
    op.add_column("readings", sa.Column("arrived_at", WHOLE))
    op.add_column("rejected", sa.Column("measured_at", WHOLE))
    op.add_column("rejected", sa.Column("digest", sa.LargeBinary))
    op.create_table(
        "accepted_keys",
        sa.Column("generation", WHOLE, primary_key=True),
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("at", WHOLE, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("accepted_keys")
    if op.get_context().dialect.name == "sqlite":
        op.execute("DELETE FROM sqlite_sequence WHERE name = 'accepted keys'")
    # Writes the tables anew. A late reading stays where it was measured.
    op.drop_column("rejected", "digest")
    op.drop_column("rejected", "measured_at")
    op.drop_column("readings", "arrived_at")
