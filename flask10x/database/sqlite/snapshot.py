"""The pages of a database file at one moment, while others write."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

# Where the head of a database has the bytes of a page (https://www.sqlite.org/fileformat.html).
PAGE_BYTES_AT, LARGEST_PAGE_BYTES = slice(16, 18), 65_536
# Where it says whether a WAL belongs to it: 1 for none. A backup has none.
VERSIONS_AT, WITHOUT_WAL = slice(18, 20), b"\1\1"
# SQLite stores nothing in the page with this byte, where Windows locks files.
LOCK_BYTE = 0x40000000
# So many are compared at once: 64 KiB of the usual pages.
BLOCK_PAGES = 128


class Snapshot:
    """The pages of a database at one moment, by a connection within a transaction."""

    def __init__(self, connection: Connection) -> None:
        """The transaction has begun; nothing needs to have been read."""
        self._driver: Any = connection.connection.cursor()
        self._driver.execute("SELECT count(*) FROM sqlite_master").fetchone()
        self.page_bytes: int = self._driver.execute("PRAGMA page_size").fetchone()[0]
        self.count: int = self._driver.execute("PRAGMA page_count").fetchone()[0]
        self._lock_page = LOCK_BYTE // self.page_bytes + 1

    def end(self) -> None:
        """End the transaction; until then the WAL of the database grows."""
        self._driver.execute("ROLLBACK")

    @staticmethod
    def is_possible(connection: Connection) -> bool:
        """Whether this SQLite shows pages (https://www.sqlite.org/dbpage.html)."""
        query = "SELECT count(*) FROM pragma_module_list WHERE name = 'sqlite_dbpage'"
        return bool(connection.exec_driver_sql(query).scalar_one())

    def blocks(self) -> Iterator[bytes]:
        """Yield BLOCK_PAGES pages at a time, as a backup has them."""
        query = "SELECT pgno, CASE pgno WHEN ? THEN NULL ELSE data END FROM sqlite_dbpage"
        self._driver.execute(query, (self._lock_page,))
        while rows := self._driver.fetchmany(BLOCK_PAGES):
            yield b"".join(self._of_backup(*row) for row in rows)

    def page(self, number: int) -> bytes:
        """Return one page; the first has the number 1."""
        if number == self._lock_page:
            return bytes(self.page_bytes)
        query = "SELECT pgno, data FROM sqlite_dbpage WHERE pgno = ?"
        return self._of_backup(*self._driver.execute(query, (number,)).fetchone())

    def _of_backup(self, number: int, data: bytes | None) -> bytes:
        if data is None:
            return bytes(self.page_bytes)
        if number == 1:
            return data[: VERSIONS_AT.start] + WITHOUT_WAL + data[VERSIONS_AT.stop :]
        return data


def page_bytes_of(path: Path) -> int:
    """Return the bytes of a page of a plain file; raises OSError."""
    with open(path, "rb") as file:
        head = file.read(VERSIONS_AT.stop)
    value = int.from_bytes(head[PAGE_BYTES_AT])
    return LARGEST_PAGE_BYTES if value == 1 else value or LARGEST_PAGE_BYTES
