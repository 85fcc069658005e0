"""Readings of paths that no station has wait in `rejected`, not in a table of their own.

Writes each row of `unknown_readings` once more, some 350 bytes; it has at most 26,000, and none
where no unknown board sends. Rows of `rejected` stay as they are: their new column is NULL.

Revision: 0020, after 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("rejected", sa.Column("earlier", WHOLE))
    # Without a row SQLite would note that `rejected` has been written.
    if op.get_bind().execute(sa.text("SELECT 1 FROM unknown_readings LIMIT 1")).first():
        _take_over()
    op.drop_table("unknown_readings")


def _take_over() -> None:
    op.execute(
        "INSERT INTO rejected (endpoint, received_at, end_bytes, media_type, reasons, hint, body,"
        " measured_at, digest, earlier)"
        " SELECT endpoint, received_at,"
        " coalesce((SELECT end_bytes FROM rejected ORDER BY id DESC LIMIT 1), 0),"
        """ media_type, '{"endpoint": "there is no such station"}', '', body,"""
        " measured_at, digest, 1 FROM unknown_readings ORDER BY id"
    )


def downgrade() -> None:
    op.create_table(
        "unknown_readings",
        sa.Column("id", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("endpoint", TEXT, nullable=False),
        sa.Column("received_at", WHOLE, nullable=False),
        sa.Column("measured_at", WHOLE),
        sa.Column("digest", sa.LargeBinary),
        sa.Column("media_type", TEXT, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.execute(
        "INSERT INTO unknown_readings"
        " SELECT id, endpoint, received_at, measured_at, digest, media_type, body"
        " FROM rejected WHERE earlier IS NOT NULL"
    )
    op.execute("DELETE FROM rejected WHERE earlier IS NOT NULL")
    op.drop_column("rejected", "earlier")
