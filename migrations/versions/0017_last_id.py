"""A commit locks the row of the log on PostgreSQL, and does not change it any more.

Where the highest id that there ever was is that of a reading, it is not written down. So
`next_id` looks at the readings, too, and what removes the newest of them keeps their id. Programs
at 0016 give the same ids beside it; until one of them commits it takes the log for shorter than it
is.

And autovacuum looks at the readings after a fiftieth of them has come or gone, not after a fifth:
of a hundred million that would be twenty, in whose room nothing is stored until then.

Writes nothing for rows that exist. A downgrade writes the highest id down.

Revision: 0017, after 0016
"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# After the lock, by a statement of its own: one that waits sees what was there before it waited.
NEXT_ID = """
    CREATE OR REPLACE FUNCTION next_id(of_table text) RETURNS bigint LANGUAGE sql VOLATILE AS $$
        SELECT last_id FROM log WHERE name = of_table FOR UPDATE;
        INSERT INTO log (name, last_id) VALUES (of_table, 1)
        ON CONFLICT (name) DO UPDATE SET last_id = 1 + CASE WHEN of_table = 'readings'
            THEN greatest(log.last_id, (SELECT max(id) FROM readings)) ELSE log.last_id END
        RETURNING last_id
    $$
"""
FORMER_NEXT_ID = """
    CREATE OR REPLACE FUNCTION next_id(of_table text) RETURNS bigint LANGUAGE sql VOLATILE AS $$
        INSERT INTO log (name, last_id) VALUES (of_table, 1)
        ON CONFLICT (name) DO UPDATE SET last_id = log.last_id + 1
        RETURNING last_id
    $$
"""
# The row is locked only where the newest readings are removed: removing old ones holds up
# no commit. The tables are those beside the one that is changed, whatever the `search_path` of the
# person who does it: with another one the statement would fail, or look at another `readings`.
KEEP = """
    CREATE FUNCTION keep_last_id() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        newest bigint;
        former bigint;
    BEGIN
        EXECUTE format('SELECT coalesce(max(id), 0) FROM %I.readings', TG_TABLE_SCHEMA) INTO newest;
        IF TG_WHEN = 'BEFORE' THEN
            PERFORM set_config('flask10x.newest', newest::text, true);
            RETURN NULL;
        END IF;
        former := current_setting('flask10x.newest')::bigint;
        IF newest < former THEN
            EXECUTE format(
                'UPDATE %I.log SET last_id = $1 WHERE name = ''readings'' AND last_id < $1',
                TG_TABLE_SCHEMA
            ) USING former;
        END IF;
        RETURN NULL;
    END $$
"""
CHANGES = "DELETE OR TRUNCATE OR UPDATE OF id"
WRITTEN = (
    "UPDATE log SET last_id = greatest(last_id, (SELECT max(id) FROM readings))"
    " WHERE name = 'readings'"
)


SHARE = 0.02
FACTORS = ("vacuum_scale_factor", "vacuum_insert_scale_factor", "analyze_scale_factor")


def upgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        return
    op.execute(NEXT_ID)
    op.execute(KEEP)
    for when in ("before", "after"):
        op.execute(
            f"CREATE TRIGGER keep_last_id_{when} {when.upper()} {CHANGES} ON readings"
            " FOR EACH STATEMENT EXECUTE FUNCTION keep_last_id()"
        )
    given = ", ".join(f"autovacuum_{name} = {SHARE}" for name in FACTORS)
    op.execute(f"ALTER TABLE readings SET ({given})")


def downgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        return
    op.execute(f"ALTER TABLE readings RESET ({', '.join(f'autovacuum_{n}' for n in FACTORS)})")
    for when in ("before", "after"):
        op.execute(f"DROP TRIGGER keep_last_id_{when} ON readings")
    op.execute("DROP FUNCTION keep_last_id()")
    op.execute(FORMER_NEXT_ID)
    op.execute(WRITTEN)
