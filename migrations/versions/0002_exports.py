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


def upgrade() -> None:
    op.create_table(
        "exports",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("first_id", sa.Integer, nullable=False),
        sa.Column("last_id", sa.Integer, nullable=False),
        sa.Column("import_id", sa.Integer, nullable=False),
        sa.Column("begin_bytes", sa.Integer),
        sa.Column("size_bytes", sa.Integer),
        sa.Column("checksum", sa.Integer),
        sa.Column("inode", sa.Integer),
        sa.Column("changed_ns", sa.Integer),
        sqlite_strict=True,
    )
    op.create_table(
        "export_intents",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("from_id", sa.Integer, nullable=False),
        sa.Column("to_id", sa.Integer, nullable=False),
        sa.Column("start_offset", sa.Integer, nullable=False),
        sa.Column("length", sa.Integer, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("import_id", sa.Integer),
        sqlite_strict=True,
    )
    op.create_table(
        "imports",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("first_id", sa.Integer, nullable=False),
        sa.Column("last_id", sa.Integer, nullable=False),
        sa.Column("after_id", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("imported_at", sa.Integer, nullable=False),
        sa.Column("size_bytes", sa.Integer),
        sa.Column("sha256", sa.Text),
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
