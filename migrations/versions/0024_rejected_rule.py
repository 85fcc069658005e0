"""The rule `refused` is called `rejected`, also in the alerts and mutes of several hosts.

Each host changes its own state file when it opens it. On SQLite these tables do not exist. At most
one row for each station is written.

Revision: 0024, after 0023
"""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

FORMER, NOW = "refused", "rejected"


def upgrade() -> None:
    rename(FORMER, NOW)


def downgrade() -> None:
    rename(NOW, FORMER)


def rename(old: str, new: str) -> None:
    """Give the rule and the kind another name, except where a row has it already."""
    if op.get_context().dialect.name != "postgresql":
        return
    op.execute(f"UPDATE active_alerts SET kind = '{new}' WHERE kind = '{old}'")
    for table in ("active_alerts", "alert_mutes"):
        known = f"SELECT subject FROM {table} WHERE rule = '{new}'"
        op.execute(
            f"UPDATE {table} SET rule = '{new}' WHERE rule = '{old}' AND subject NOT IN ({known})"
        )
