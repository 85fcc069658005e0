"""Where each CSV file stands, what an export is about to write, and what was imported.

Takes the followers `csv:<file>` over: their positions are known, their files' sizes are not, so
the next export looks at each file once. Writes a few hundred bytes, however many readings there
are.

Revision: 0002, after 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WHOLE = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "exports",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("first_id", WHOLE, nullable=False),
        sa.Column("last_id", WHOLE, nullable=False),
        sa.Column("import_id", WHOLE, nullable=False),
        sa.Column("begin_bytes", WHOLE),
        sa.Column("size_bytes", WHOLE),
        sa.Column("checksum", WHOLE),
        sa.Column("inode", WHOLE),
        sa.Column("changed_ns", WHOLE),
        sqlite_strict=True,
    )
    op.create_table(
        "export_intents",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("from_id", WHOLE, nullable=False),
        sa.Column("to_id", WHOLE, nullable=False),
        sa.Column("start_offset", WHOLE, nullable=False),
        sa.Column("length", WHOLE, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("import_id", WHOLE),
        sqlite_strict=True,
    )
    op.create_table(
        "imports",
        sa.Column("id", WHOLE, sa.Identity(), primary_key=True),
        sa.Column("endpoint", TEXT, nullable=False),
        sa.Column("file", TEXT, nullable=False),
        sa.Column("first_id", WHOLE, nullable=False),
        sa.Column("last_id", WHOLE, nullable=False),
        sa.Column("after_id", WHOLE, nullable=False, server_default=sa.text("0")),
        sa.Column("imported_at", WHOLE, nullable=False),
        sa.Column("size_bytes", WHOLE),
        sa.Column("sha256", TEXT),
        sqlite_strict=True,
    )
    op.execute(
        "INSERT INTO exports (name, first_id, last_id, import_id)"
        " SELECT substr(name, 5), last_id, last_id, 0 FROM followers WHERE name LIKE 'csv:%'"
    )
    op.execute("DELETE FROM followers WHERE name LIKE 'csv:%'")


def downgrade() -> None:
    op.execute("INSERT INTO followers (name, last_id) SELECT 'csv:' || name, last_id FROM exports")
    op.drop_table("imports")
    op.drop_table("export_intents")
    op.drop_table("exports")
