"""A new database with the rows of a file that may come from anywhere.

Whatever tables, constraints and triggers the file has, they are not taken: they would work on each
reading that the service stores. Our migrations make the tables, at the version of the file, and
each row is put into them as `flask10x copy` does, its values checked before. Then the migrations
that are newer than the file do what they do with any database of ours. What can't be taken is named
in a file of rejected rows.
"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, column, func, null, or_, select, table
from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.config.station_keys import COLUMN, RESERVED_COLUMNS
from flask10x.database import dialects, schema, station_columns
from flask10x.database.database import Database
from flask10x.database.dialects import last_id
from flask10x.database.error_codes import DAMAGE_ERRORS, code_of, kind_of, reason_of
from flask10x.database.insert import existing_columns
from flask10x.database.sqlite.driver import escape_undecodable
from flask10x.database.sqlite.file import make_single_file, open_read_only
from flask10x.database.tables import readings
from flask10x.errors import CopyError
from flask10x.maintenance import copy_check, house_copy
from flask10x.maintenance.copying import CopiedRow, CopiedTable, of_new_file, put, tables_in
from flask10x.maintenance.row_check import RowCheck, wrong_sequence
from flask10x.system.progress import Bar
from flask10x.system.rejected_rows import RejectedRows

HEADER = ("table", "reason", "row")
# Errors of tables that are not ours. Of ours there are others: that the disk is full, say.
OF_SOURCE = (*DAMAGE_ERRORS, "SQLITE_ERROR")
# Beside the tables of the program: those of its tools, and what SQLite and Litestream make.
OTHER_TABLES = {
    *("alembic_version", "sqlite_sequence", "sqlite_stat1", "sqlite_stat4"),
    *("_litestream_seq", "_litestream_lock"),
    # It is read by itself (`house_copy.py`).
    house_copy.TABLE.name,
}
# A view of a station: columns of the readings of one endpoint, and nothing that is called.
_VIEW = re.compile(
    r'CREATE VIEW "?(v|epoch)_[a-z0-9_-]+"? AS SELECT id, '
    r"(datetime\(received_at / 1000, 'unixepoch', 'localtime'\) AS time|received_at / 1000 AS time)"
    r", [^();]* FROM readings WHERE endpoint = '[a-z0-9_-]+'"
)


@dataclass(frozen=True, slots=True)
class NewDatabase:
    """What a new database holds, and what could not be taken into it."""

    rows: int
    """How many readings."""
    last_id: int
    """The highest id of a reading that was ever used."""
    rejected: int = 0
    """How many rows and other things of the file could not be taken."""
    rejected_path: Path | None = None
    """The file that names them; None where all was taken."""


def fill(settings: Settings, source: Path, target: Path, bar: Bar) -> NewDatabase:
    """Make a new database of what `source` holds, in a file of its own that is not yet on the disk.

    What can't be taken is in a file beside the new one. Raises CopyError when the source is damaged
    or none that this program can migrate, and OSError or sqlalchemy.exc.DBAPIError when the new one
    can't be written.
    """
    contents = copy_check.verify(source, bar)
    copy, newest = of_new_file(settings, target), schema.all_revisions()[-1]
    schema.make(copy, contents.revision)
    named = target.with_name(source.name)
    with closing(Database(copy)) as database, RejectedRows(named, named.parent, HEADER) as rejected:
        try:
            with open_read_only(source, immutable=True).connect() as connection:
                _Filling(connection, database, rejected).fill(bar, contents.rows)
        except DBAPIError as error:
            if not code_of(error).startswith(OF_SOURCE):
                raise
            text = _("{path} cannot be read: {reason}")
            raise CopyError(text.format(path=source, reason=reason_of(error))) from error
    if contents.revision != newest:
        schema.make(copy, newest)
    make_single_file(target)
    return contents_of(target, rejected.count, rejected.path if rejected.count else None)


def contents_of(path: Path, rejected: int = 0, rejected_path: Path | None = None) -> NewDatabase:
    """Return what a database holds that was made by `fill`; raises CopyError."""
    try:
        with open_read_only(path, immutable=True).connect() as connection:
            rows = connection.execute(select(func.count()).select_from(readings)).scalar_one()
            return NewDatabase(rows, last_id(connection), rejected, rejected_path)
    except DBAPIError as error:
        text = _("{path} cannot be read: {reason}").format(path=path, reason=reason_of(error))
        raise CopyError(text) from None


class _Filling:
    def __init__(self, source: Connection, target: Database, rejected: RejectedRows) -> None:
        self._source, self._target, self._rejected = source, target, rejected
        # An undecodable text is then known by its lone surrogates.
        driver: Any = source.connection.driver_connection
        driver.text_factory = escape_undecodable

    def fill(self, bar: Bar, rows: int) -> None:
        present = self._present_tables()
        with self._target.reader.begin() as connection:
            missing = self._columns_of(readings.name) - existing_columns(connection)
        # Those of all stations that the file has, also of former ones.
        fitting = {n for n in missing if COLUMN.fullmatch(n) and n not in RESERVED_COLUMNS}
        station_columns.add(self._target, sorted(fitting))
        with self._target.reader.begin() as connection:
            tables = [each for each in tables_in(connection) if each.name in present]
        with bar(_("readings"), rows) as advance:
            for each in tables:
                check = RowCheck(each)
                for piece in self._pieces(each):
                    self._put(each, check, piece)
                    advance(len(piece) if each.name == readings.name else 0)
        if "sqlite_sequence" in present:
            self._raise_sequences()

    def _present_tables(self) -> set[str]:
        """Return the names of the file's tables that are ours; make its views, name the rest."""
        columns: list[ColumnElement[Any]] = [column("type"), column("name"), column("sql")]
        with self._target.reader.begin() as connection:
            ours = {*dialects.statements_of(connection).views(connection), *OTHER_TABLES}
        present = set()
        for kind, name, sql in self._source.execute(
            select(*columns).select_from(table("sqlite_master"))
        ).all():
            is_virtual = re.match(r"\s*CREATE\s+VIRTUAL\b", sql or "", re.IGNORECASE)
            if kind == "table" and not is_virtual and name in ours:
                present.add(name)
            elif kind == "view" and _VIEW.fullmatch(sql or ""):
                # Also of a former station, whose views no start makes.
                with self._target.commit() as connection:
                    if name.lower() not in dialects.statements_of(connection).views(connection):
                        connection.exec_driver_sql(sql)
            elif kind != "index" or (sql and name not in ours):
                self._reject(kind, _("{name}: not Flask10X's").format(name=name), sql)
        return present

    def _columns_of(self, name: str) -> set[str]:
        names = self._source.exec_driver_sql("SELECT name FROM pragma_table_info(?)", (name,))
        return set(names.scalars())

    def _pieces(self, each: CopiedTable) -> Iterator[list[CopiedRow]]:
        """Yield the rows of a table in its order, whatever keys and constraints the file has."""
        present = self._columns_of(each.name)
        there = table(each.name, *map(column, sorted(present)))
        key = [there.c[name] for name in each.key if name in present]
        others = [there.c[name] for name in sorted(present.difference(each.names))]
        columns = (there.c[name] if name in present else null().label(name) for name in each.names)
        query = select(*columns).select_from(there).order_by(*key)
        for rows in self._source.execute(query).partitions(each.piece_rows):
            yield list(map(tuple, rows))
        if others:
            given = select(*key, *others).where(or_(*(other.is_not(None) for other in others)))
            for row in self._source.execute(given).mappings():
                self._reject(each.name, _("columns that are not Flask10X's"), dict(row))

    def _put(self, each: CopiedTable, check: RowCheck, rows: list[CopiedRow]) -> None:
        wrong = check.wrong(rows)
        self._reject_rows(each, wrong.items())
        sound = [row for row in rows if row not in wrong]
        try:
            with self._target.commit() as connection:
                put(connection, each, sound)
        except DBAPIError as error:
            if kind_of(error) != "row":
                raise
            self._put_singly(each, sound)

    def _put_singly(self, each: CopiedTable, rows: Iterable[CopiedRow]) -> None:
        """Put those rows that the table takes, and name the others with the reasons."""
        refused = []
        with self._target.commit() as connection:
            for row in rows:
                try:
                    put(connection, each, [row])
                except DBAPIError as error:
                    if kind_of(error) != "row":
                        raise
                    refused.append((row, reason_of(error)))
        self._reject_rows(each, refused)

    def _raise_sequences(self) -> None:
        """Let ids go on behind the highest one of the file, also where that row is gone."""
        columns: list[ColumnElement[Any]] = [column("name"), column("seq")]
        query = select(*columns).select_from(table("sqlite_sequence"))
        with self._target.commit() as connection:
            statements = dialects.statements_of(connection)
            for name, number in self._source.execute(query):
                if reason := wrong_sequence(number):
                    self._reject("sqlite_sequence", reason, {"name": name, "seq": number})
                elif number > statements.sequence(connection, name):
                    statements.set_sequence(connection, name, number)

    def _reject_rows(self, each: CopiedTable, rows: Iterable[tuple[CopiedRow, str]]) -> None:
        for row, reason in rows:
            self._reject(each.name, reason, dict(zip(each.names, row, strict=True)))

    def _reject(self, name: str, reason: str, what: object) -> None:
        if isinstance(what, dict):
            what = json.dumps(what, ensure_ascii=False, default=bytes.hex)
        self._rejected.write([(name, reason, what)])
