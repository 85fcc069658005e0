"""Whose each CSV file is, where it lies and which columns it has; and the files that were archived.

Writes nothing for rows that exist: the next export compares the last row of each file with the
station's last exported reading, and notes the rest. What was archived before is in no table.

Revision: 0013, after 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    for name in ("endpoint", "path", "columns"):
        op.add_column("exports", sa.Column(name, TEXT))
    op.create_table(
        "archived_files",
        sa.Column("endpoint", TEXT, primary_key=True),
        sa.Column("size_bytes", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("checksum", WHOLE, primary_key=True, autoincrement=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("path", TEXT),
        sa.Column("first_id", WHOLE, nullable=False),
        sa.Column("last_id", WHOLE, nullable=False),
        sa.Column("import_id", WHOLE, nullable=False),
        sa.Column("begin_bytes", WHOLE, nullable=False),
        sa.Column("inode", WHOLE, nullable=False),
        sa.Column("changed_ns", WHOLE, nullable=False),
        sa.Column("zone", TEXT),
        sa.Column("columns", TEXT),
        sa.Column("floor_id", WHOLE),
        sa.Column("floor_bytes", WHOLE),
        sa.Column("floor_checksum", WHOLE),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("archived_files")
    for name in ("columns", "path", "endpoint"):
        op.drop_column("exports", name)
