"""Roll-ups of what is shown: a correction says from when on its hours are still to be made again.

Of the corrections that count it says so of all their hours, which the service makes within minutes.
A downgrade has all roll-ups made again of what was stored.

Revision: 0022, after 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
# Before the first hour of all.
FIRST_MS = -(2**52)
SUMS = "endpoint, measurement, hour, readings, count, total, minimum, maximum"


def upgrade() -> None:
    op.add_column("corrections", sa.Column("unapplied_ms", WHOLE))
    op.execute(
        f"UPDATE corrections SET unapplied_ms = coalesce(first_ms, {FIRST_MS})"
        " WHERE undone_at IS NULL"
    )


def downgrade() -> None:
    op.drop_column("corrections", "unapplied_ms")
    if op.get_bind().execute(sa.text("SELECT 1 FROM corrections LIMIT 1")).first() is None:
        return
    for table in ("rollups", "rollup_days", "rollup_zone"):
        op.execute(f"DELETE FROM {table}")
    op.execute(f"INSERT INTO rollups ({SUMS}) SELECT {SUMS} FROM removed_hours")
    op.execute("UPDATE followers SET last_id = 0 WHERE name = 'rollups'")
