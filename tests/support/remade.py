"""A backup as somebody else's program might have made it: other tables, the same rows."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

# What SQLite makes by itself.
OWN = "sqlite_"


def remake(copy: Path, change: Callable[[str], str]) -> None:
    """Make the file again with each statement of its schema changed, and without its sum."""
    old = copy.rename(copy.with_name("former"))
    copy.with_name(f"{copy.name}.sha256").unlink(missing_ok=True)
    with closing(sqlite3.connect(old)) as source, closing(sqlite3.connect(copy)) as target:
        made = source.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        for kind, name, sql in made.fetchall():
            if name.startswith(OWN):
                continue
            target.execute(change(sql))
            if kind == "table":
                rows = source.execute(f"SELECT * FROM {name}").fetchall()
                for row in rows:
                    marks = ", ".join("?" * len(row))
                    target.execute(f"INSERT INTO {name} VALUES ({marks})", row)
        target.commit()
    old.unlink()
