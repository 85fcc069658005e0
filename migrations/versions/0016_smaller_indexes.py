"""The indexes of `readings` on PostgreSQL are of little more than half the size.

That by station and time has no id: PostgreSQL fills the pages of an index to nine tenths only if an
entry has two numbers at most, else to little more than a half. The ids of the other one only grow,
so its pages are filled wholly from now on.

Writes nothing for rows that exist: where there are any, the index was exchanged before
(`flask10x/database/postgres/indexes.py`). Programs at 0015 work with it, too, so it stays at a
downgrade.

Revision: 0016, after 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

PLACE = "ix_readings_endpoint_received_at"


def upgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        return
    op.execute("ALTER INDEX readings_pkey SET (fillfactor = 100)")
    indexes = sa.inspect(op.get_bind()).get_indexes("readings")
    columns = {index["name"]: index["column_names"] for index in indexes}
    if "id" in columns[PLACE]:
        op.drop_index(PLACE, "readings")
        op.create_index(PLACE, "readings", ["endpoint", "received_at"])


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER INDEX readings_pkey RESET (fillfactor)")
