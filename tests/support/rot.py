"""Where a file of SQLite has a stored value, for tests that flip a bit of it.

A flip by SQL would change the index, too, and a random byte of the file is mostly the structure of
a page. So the b-trees are walked as https://www.sqlite.org/fileformat2.html describes them.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

TABLE_LEAF, TABLE_INTERIOR, INDEX_LEAF, INDEX_INTERIOR = 13, 5, 10, 2
LENGTHS = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)


class StoredValue(NamedTuple):
    """The bytes of one value."""

    row: tuple[object, ...]
    """Its key: the id of a reading, or the columns of the primary key."""
    column: str
    offset: int
    length: int


def stored_values(path: Path, table: str, *, of_keys: bool = False) -> list[StoredValue]:
    """Return where the values of a table or an index are; those of its key, or all others."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        query = "SELECT rootpage, type FROM sqlite_schema WHERE name = ?"
        root, kind = connection.execute(query, (table,)).fetchone()
        if kind == "index":
            query = "SELECT name FROM pragma_index_xinfo(?)"
            indexed = [name or "id" for (name,) in connection.execute(query, (table,))]
        info = connection.execute("SELECT name, pk FROM pragma_table_info(?)", (table,)).fetchall()
    keys = [name for name, place in sorted(info, key=lambda row: row[1]) if place]
    others = [name for name, place in info if not place]
    data = path.read_bytes()
    size = int.from_bytes(data[16:18], "big")
    found = []
    for offset, rowid in _cells(data, root, 65536 if size == 1 else size):
        names = [name for name, _ in info] if rowid else [*keys, *others]
        if kind == "index":
            names, keys = indexed, ["id"]
        values = dict(zip(names, _record(data, offset), strict=False))
        key = (rowid,) if rowid else tuple(_value(data, values[name]) for name in keys)
        for name, (_kind, start, length) in values.items():
            if (name in keys) == of_keys and length:
                found.append(StoredValue(key, name, start, length))
    return found


def flip(path: Path, offset: int, bit: int) -> None:
    """Flip one bit of the file, as a card does: no process writes it."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ (1 << bit)]))


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    value = 0
    for place in range(9):
        byte = data[offset + place]
        if place == 8:
            return value << 8 | byte, offset + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, offset + place + 1
    raise AssertionError


def _cells(data: bytes, number: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield where each record begins, and its rowid; 0 in a table without one."""
    begin = (number - 1) * size
    head = begin + (100 if number == 1 else 0)
    kind = data[head]
    count = int.from_bytes(data[head + 3 : head + 5], "big")
    is_interior = kind in (TABLE_INTERIOR, INDEX_INTERIOR)
    pointers = head + (12 if is_interior else 8)
    for place in range(count):
        at = pointers + 2 * place
        offset = begin + int.from_bytes(data[at : at + 2], "big")
        if is_interior:
            yield from _cells(data, int.from_bytes(data[offset : offset + 4], "big"), size)
            offset += 4
        if kind == TABLE_INTERIOR:
            continue
        _length, offset = _varint(data, offset)
        rowid = 0
        if kind == TABLE_LEAF:
            rowid, offset = _varint(data, offset)
        yield offset, rowid
    if is_interior:
        yield from _cells(data, int.from_bytes(data[head + 8 : head + 12], "big"), size)


def _record(data: bytes, offset: int) -> Iterator[tuple[int, int, int]]:
    length, place = _varint(data, offset)
    end = start = offset + length
    while place < end:
        kind, place = _varint(data, place)
        size = LENGTHS[kind] if kind < len(LENGTHS) else (kind - 12) // 2
        yield kind, start, size
        start += size


def _value(data: bytes, stored: tuple[int, int, int]) -> object:
    kind, start, length = stored
    content = data[start : start + length]
    if kind >= 12:
        return content.decode(errors="replace")
    return kind - 8 if kind in (8, 9) else int.from_bytes(content, "big", signed=True)
