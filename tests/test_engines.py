"""What only one database engine knows stands in that engine's folder (docs/decisions/0031)."""

import os
import re
import subprocess
import sys
from pathlib import Path

from flask10x.config.settings import Settings

PACKAGE = Path(__file__).parents[1] / "flask10x"
# Imports, names of an engine's own tables and functions, and its own statements.
SQLITE = re.compile(
    r"^\s*(import sqlite3|from sqlite3|from sqlalchemy\.dialects\S* import \S*sqlite)"
    r"|dialects\.sqlite|\bPRAGMA\b|\bsqlite_(schema|sequence|master)\b|\"OR (REPLACE|IGNORE)\""
    r"|\bjson_each\b|\bfunc\.total\b",
    re.M,
)
POSTGRESQL = re.compile(
    r"^\s*(import psycopg|from psycopg)|dialects\.postgresql|\bpg_[a-z]+_|\bjsonb_\w+|ON CONFLICT",
    re.M,
)
# About a file of SQLite by its nature, whichever engine has the readings: the state of alerts,
# backups, copies that are looked into, what is rescued of a deleted file.
ABOUT_FILES = (
    "alerts/",
    "maintenance/check_database.py",
    "maintenance/copy_check.py",
    "maintenance/datasette.py",
    "maintenance/restore.py",
    "runtime/inspection.py",
    "runtime/rescue.py",
    "web/alert_state.py",
)


def own(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


MODULES = sorted(PACKAGE.rglob("*.py"), key=own)


def without_comments(path: Path) -> str:
    text = re.sub(r'"""(.|\n)*?"""', "", path.read_text(encoding="utf-8"))
    return re.sub(r"(^|\s)#.*", "", text)


def test_only_the_folder_of_an_engine_speaks_its_words() -> None:
    wrong = []
    for path in MODULES:
        text = without_comments(path)
        if not own(path).startswith(("database/sqlite/", *ABOUT_FILES)):
            wrong += [f"{own(path)} has SQLite's {word[0]!r}" for word in SQLITE.finditer(text)]
        if not own(path).startswith("database/postgres/"):
            words = POSTGRESQL.finditer(text)
            wrong += [f"{own(path)} has PostgreSQL's {word[0]!r}" for word in words]
    assert wrong == []


def test_a_service_on_sqlite_loads_no_driver_of_postgresql(settings: Settings) -> None:
    program = (
        "import sys; from flask10x.config import settings; from flask10x.web.app import create_app;"
        " create_app(settings.load()).extensions['flask10x'].close();"
        " print([name for name in sys.modules if name.startswith('psycopg')])"
    )
    environment = {**os.environ, "FLASK10X_DATA_DIR": str(settings.data_dir)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "[]\n"
