"""How Alembic reaches the database: through the project's own engine, under the commit lock."""

from alembic import context

from flask10x.config import settings as settings_module
from flask10x.database.engine import Database
from flask10x.database.paths import database_path
from flask10x.database.tables import metadata
from flask10x.system import disk


def run() -> None:
    settings = context.config.attributes.get("settings") or settings_module.load()
    path = database_path(settings)
    if not path.exists():
        # What SQLite makes would follow the umask alone; -wal and -shm follow this file.
        disk.make_private(path)
    database = Database(settings)
    try:
        with database.commit() as connection:
            context.configure(
                connection=connection,
                target_metadata=metadata,
                # SQLite can roll back DDL; Alembic assumes that it can't.
                transactional_ddl=True,
                render_as_batch=True,
            )
            context.run_migrations()
    finally:
        database.close()


if context.is_offline_mode():
    raise SystemExit("migrations run against a database only, not as a script (--sql)")
run()
