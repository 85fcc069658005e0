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
    r"^\s*(import psycopg|from psycopg)|dialects\.postgresql|\bpg_[a-z]+_|\bjsonb_\w+",
    re.M,
)
# About a file of SQLite by its nature, whichever engine has the readings: the state of alerts,
# backups, copies that are looked into, what is rescued of a deleted file.
ABOUT_FILES = (
    "alerts/",
    "maintenance/backup.py",
    "maintenance/check_database.py",
    "maintenance/copy_check.py",
    "maintenance/datasette.py",
    "maintenance/earlier_backups.py",
    "maintenance/new_database.py",
    "maintenance/older_backup.py",
    "maintenance/restore.py",
    "runtime/database_file.py",
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


def test_only_what_chooses_an_engine_imports_the_folder_of_postgresql() -> None:
    importing = re.compile(r"^\s*(from|import) flask10x\.database(\.| import )postgres\b", re.M)
    found = {own(path) for path in MODULES if importing.search(without_comments(path))}
    assert {name for name in found if not name.startswith("database/postgres/")} == {
        "database/engines.py"
    }


def test_an_engine_imports_only_what_is_below_both() -> None:
    """Not the other engine, and not what chooses one of them or is built upon that."""
    below = {"damage", "engine", "error_codes", "expressions", "paths", "server", "tables"}
    importing = re.compile(r"^\s*from flask10x\.database(?:\.(\w+)\S* import| import (\w+))", re.M)
    for engine in ("sqlite", "postgres"):
        for path in (PACKAGE / "database" / engine).glob("*.py"):
            names = importing.findall(without_comments(path))
            modules = {name or imported for name, imported in names}
            assert modules <= {engine, *below}, own(path)


def test_a_service_on_sqlite_loads_nothing_of_postgresql(settings: Settings) -> None:
    program = (
        "import sys; from flask10x.config import settings; from flask10x.web.app import create_app;"
        " create_app(settings.load()).extensions['flask10x'].close();"
        " print([name for name in sys.modules if 'postgres' in name and 'flask10x' in name"
        " or name.startswith('psycopg')])"
    )
    environment = {**os.environ, "FLASK10X_DATA_DIR": str(settings.data_dir)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "[]\n"
