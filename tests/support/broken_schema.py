"""A database whose schema holds bytes that are no UTF-8, which SQLite quotes in its messages."""

import random
from pathlib import Path

from flask10x.database.sqlite.connections import PAGE_BYTES

# The schema of a new database lies in its first pages.
SCHEMA_BYTES = 16_000
# What a bad card changes: some bytes, a sector, eight.
LENGTHS = (8, 64, PAGE_BYTES, 8 * PAGE_BYTES)


def break_schema(database: Path) -> None:
    """Put bytes that are no UTF-8 where a view's statement has a word."""
    content = database.read_bytes()
    at = content.index(b" AS SELECT ")
    with database.open("r+b") as file:
        file.seek(at + len(b" AS "))
        file.write(b"SEL\xff\xfe\xfd")


def overwrite_schema(database: Path, seed: int) -> None:
    """Overwrite a place in the schema with random bytes."""
    choice = random.Random(seed)
    with database.open("r+b") as file:
        file.seek(choice.randrange(100, SCHEMA_BYTES))
        file.write(choice.randbytes(choice.choice(LENGTHS)))
