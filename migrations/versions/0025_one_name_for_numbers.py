"""The note of a queue and the number of keys have one name each in `log`.

In the version before they had a new one every 256 numbers, such as `queue abc#00000000000001`. Of
what that version has stored nothing may be stored again. On SQLite the names were plain.

Revision: 0025, after 0024
"""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

HAS_PLACE = "(name LIKE 'queue %#%' OR name LIKE 'accepted keys#%')"


def upgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        return
    # The last place of a name counts; a plain name is from a version before that.
    op.execute(
        "INSERT INTO log (name, last_id, host)"
        " SELECT DISTINCT ON (split_part(name, '#', 1)) split_part(name, '#', 1), last_id, host"
        f" FROM log WHERE {HAS_PLACE}"
        " ORDER BY split_part(name, '#', 1), split_part(name, '#', 2) DESC"
        " ON CONFLICT (name) DO UPDATE SET host = excluded.host,"
        " last_id = greatest(log.last_id, excluded.last_id)"
    )
    op.execute(f"DELETE FROM log WHERE {HAS_PLACE}")


def downgrade() -> None:
    """Do nothing: the version before reads plain names, too."""
