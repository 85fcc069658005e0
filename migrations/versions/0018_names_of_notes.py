"""Of a number that each commit changes, the row of `log` has another name every so often.

Behind a held snapshot each commit walks past all former versions of the rows that it changes, and
those of a name are 256 at most. So a note of a queue is kept as `queue abc#00000000000001`, say,
and the number of accepted keys in the same way. Programs find a plain name, too.

Writes nothing. A downgrade keeps each of these numbers under its plain name.

Revision: 0018, after 0017
"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# Of a number's names the highest counts. A queue that has both kinds is settled up to the higher
# number.
PLAIN = """
    INSERT INTO log (name, last_id, host)
    SELECT DISTINCT ON (split_part(name, '#', 1)) split_part(name, '#', 1), last_id, host
    FROM log WHERE name LIKE '%#%'
    ORDER BY split_part(name, '#', 1), name DESC
    ON CONFLICT (name) DO UPDATE
    SET last_id = greatest(log.last_id, excluded.last_id), host = excluded.host
"""


def upgrade() -> None:
    """Nothing: each number moves with the next commit that changes it."""


def downgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        return
    op.execute(PLAIN)
    op.execute("DELETE FROM log WHERE name LIKE '%#%'")
