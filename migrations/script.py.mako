"""${message}

Rules: a migration is frozen history. It imports nothing of ours, names tables and columns by
hand, is never edited once released, and works on a full card as on an empty one (say in this
text how many bytes it writes for each row that exists).

Revision: ${up_revision}, after ${down_revision | comma,n}
"""

import sqlalchemy as sa

from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
