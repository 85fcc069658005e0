"""What the service loads, and what only commands need."""

import json
import subprocess
import sys

from flask10x.config.settings import Settings
from flask10x.database.paths import database_path
from tests.support.databases import ON_POSTGRES, environment_of
from tests.support.new_database import lay_new_database

# The master of one worker imports, that of two imports more, and a worker serves: each says what is
# loaded then.
SERVE = """
import json, os, sys
from flask10x.server import gunicorn_conf

before = sorted(sys.modules)

def loaded():
    files = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
             if os.path.exists(f"/proc/self/fd/{fd}") or os.path.islink(f"/proc/self/fd/{fd}")]
    return [sorted(sys.modules), [name for name in files if "eventpoll" in name]]

from flask10x.server import application
gunicorn_conf._compile_templates()
master = loaded()
from flask10x.web.app import create_app
app = create_app(
    gunicorn_conf._settings,
    gunicorn_conf.WorkerSlot.alone(gunicorn_conf._settings, gunicorn_conf._gauges),
    gunicorn_conf._in_force.keyring,
)
store = app.extensions["flask10x"]
store.open()
client = app.test_client()
for page in ("/history", "/history.csv", "/history/series", "/readyz", "/metrics"):
    assert client.get(page).status_code == 200, page
client.post("/data", json={"pressure": 1013.2, "temperature": 25.1})
store.close()
print(json.dumps([before, master, loaded()]))
"""
# Only a migration, an export, an import, a backup or a developer needs them.
NOT_LOADED = (
    *("alembic", "mako", "pandas", "numpy", "pytest", "sqlalchemy.orm", "sqlalchemy.ext"),
    *("flask10x.commands", "flask10x.export", "flask10x.importing", "flask10x.maintenance"),
    *(() if ON_POSTGRES else ("psycopg",)),
)
# What says expressions in an engine's words: 32 kB.
NEEDED = ("sqlalchemy.ext", "sqlalchemy.ext.compiler")
# What the master of one worker does without: the worker would have most of it a second time.
NOT_ALONE = ("sqlalchemy", "flask", "werkzeug", "jinja2", "flask10x.server.application")


def test_the_service_loads_nothing_that_only_a_command_needs(settings: Settings) -> None:
    lay_new_database(database_path(settings))
    environment = {**environment_of(settings.data_dir), "FLASK10X_ENV_FILE": ""}
    done = subprocess.run(
        [sys.executable, "-c", SERVE],
        env={**environment, "STATE_DIRECTORY": str(settings.data_dir)},
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        check=True,
    )
    alone, master, worker = json.loads(done.stdout)

    for modules, _loops in (master, worker):
        others = [m for m in modules if m not in NEEDED]
        assert [m for m in others if m.startswith(tuple(f"{n}." for n in NOT_LOADED))] == []
        assert [m for m in others if m in NOT_LOADED] == []
    assert "flask10x.server.worker" in alone
    assert [m for m in alone if m in NOT_ALONE] == []
    assert "flask10x.web.pages.history.view" in master[0]
    assert "sqlalchemy.dialects.sqlite.pysqlite" in master[0]
    assert [m for m in master[0] if m.startswith("sqlalchemy.dialects.postgresql")] == []
    assert master[1] == [], "an event loop is made after the fork"
