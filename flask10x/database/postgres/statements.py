"""What statements of PostgreSQL know that others don't: `log`, the catalog, savepoints.

At the end is the SQL of the expressions of `database/expressions.py`.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import ARRAY, Connection, Integer, Text, delete, select, text, union_all
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import functions
from sqlalchemy.sql.compiler import SQLCompiler, TypeCompiler

from flask10x.database.error_codes import code_of, reason_of
from flask10x.database.expressions import (
    LATER,
    SPAN_NUMBERS,
    SPAN_TEXTS,
    SPAN_VALUE,
    InOrder,
    define,
    upsert,
)
from flask10x.database.postgres import driver
from flask10x.database.server import Origin
from flask10x.database.tables import (
    INCOMPLETE,
    NUMBER,
    incomplete_hours,
    log,
    readings,
)

LOCAL_TIME = "to_char(to_timestamp(received_at / 1000), 'YYYY-MM-DD HH24:MI:SS')"
# https://www.postgresql.org/docs/17/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS
NAME_BYTES: int | None = 63
# SQLSTATE: a view that is replaced may only get more columns, at its end; and one that others have
# built views upon can't be dropped.
OTHER_COLUMNS = "42P16"
OTHERS_DEPEND = "2BP01"
POSTGRESQL = "postgresql"
# A mark on the dialect of an engine by which SQLAlchemy looks at tables: PostgreSQL's own functions
# take numbers of 4 bytes only.
READS_CATALOG = "flask10x_reads_catalog"
# A greater number is not a double (IEEE 754, binary64), and would be an error. This one is rounded
# to the greatest double, 1.7976931348623157e308.
DOUBLE_MAX = "1.7976931348623158e308"
# A little less than the greatest double, and twice the least one above 0: as far as a product may
# be off by the rounding of a quotient.
NEARLY_MAX, NEARLY_0 = "1.797693134862315e308", "1e-323"

logger = logging.getLogger(__name__)

incomplete_hours.dialect_options["postgresql"]["where"] = INCOMPLETE
quote = PGDialect(paramstyle="named").identifier_preparer.quote  # type: ignore[no-untyped-call]
_views = text(
    "SELECT relname, obj_description(oid, 'pg_class') FROM pg_class"
    " WHERE relnamespace = current_schema()::regnamespace"
)
# The option of a connection that says which host has it (HOST_NAME).
HOST = "flask10x_host"

# Not `pg_control_checkpoint()`: it has the former timeline until the first checkpoint after a
# promotion. The name of a segment of the WAL begins with that of the insertions, in hexadecimal.
_origin = text(
    "SELECT CAST(system_identifier AS TEXT),"
    " CAST(CAST('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS BIT(32)) AS BIGINT)"
    " FROM pg_control_system()"
)


def sequence(connection: Connection, name: str) -> int:
    """Return the number stored under this name, or 0 if there is none."""
    return connection.exec_driver_sql(_NUMBER, {"name": name}).scalar_one_or_none() or 0


# A batch does not write down the highest id of its readings: behind a held snapshot no former
# version of a row can be removed, and each commit would walk past all of them
# (docs/decisions/0032). So it is the highest that is stored, or one that was removed since.
# A person may have inserted a row with an id: SQLite skips those, too.
_LAST_READING = "greatest(log.last_id, (SELECT max(id) FROM readings))"
_LAST_ID = f"CASE WHEN log.name = 'readings' THEN {_LAST_READING} ELSE log.last_id END"
_NUMBER = f"SELECT {_LAST_ID} FROM log WHERE log.name = %(name)s"  # noqa: S608


def set_sequence(connection: Connection, name: str, number: int, host: str | None = None) -> None:
    """Keep this number under the name, as one of this host or of another one."""
    values = {"name": name, "last_id": number, "host": host or host_of(connection)}
    connection.execute(_KEEP_NUMBER, values)


_KEEP_NUMBER = upsert(log).execution_options(**{LATER: True})


def raise_sequence(connection: Connection, name: str, former: int, number: int) -> None:
    """Keep this number, where none above the former one is kept; else the transaction fails.

    A commit is one text, and what was sent to a backend that stands still it may run after the
    batch, or a part of it, was stored by another connection.
    """
    values = {"name": name, "former": former, "number": number, "host": host_of(connection)}
    connection.exec_driver_sql(_RAISE_NUMBER, values, execution_options={LATER: True})


# That no setting has this name is the error. The row `readings` is locked by a statement before
# this one, so it sees what was committed before.
_RAISE_NUMBER = (
    "INSERT INTO log (name, last_id, host) VALUES (%(name)s, %(number)s, %(host)s)"
    " ON CONFLICT (name) DO UPDATE SET host = excluded.host, last_id ="
    " CASE WHEN log.last_id > %(former)s"
    " THEN CAST(current_setting('flask10x.settled_before') AS BIGINT) ELSE excluded.last_id END"
)


def sequences(connection: Connection) -> dict[str, str | None]:
    """By each name under which a number is kept the host whose it is; None of all hosts' own."""
    query = select(log.c.name, log.c.host).order_by(log.c.name)
    return dict(map(tuple, connection.execute(query)))


def host_of(connection: Connection) -> str:
    """Return the name of the host that has the connection."""
    host: str = connection.get_execution_options()[HOST]
    return host


def forget_sequence(connection: Connection, name: str) -> None:
    """Delete the number stored under this name."""
    connection.execute(delete(log).where(log.c.name == name), execution_options={LATER: True})


def origin(connection: Connection) -> Origin:
    """Return the present history of the database."""
    return Origin(*connection.execute(_origin).one())


def views(connection: Connection) -> dict[str, str]:
    """By the name of each table, view and index the text by which we have made it.

    PostgreSQL keeps no text, but what it has made of it. So ours is in the comment on the view.
    """
    return {name: text or "" for name, text in connection.execute(_views)}


def make_view(connection: Connection, name: str, statement: str, *, replaces: bool) -> None:
    """Make the view by this statement; `replaces` says that there is another one of ours.

    One that others have built views of their own upon gets new columns at its end, and stays as it
    is where that is not enough.
    """
    if not replaces:
        _make_view(connection, name, statement, statement)
        return
    try:
        with attempt(connection):
            # This keeps the rights to read it.
            replacing = statement.replace("CREATE", "CREATE OR REPLACE", 1)
            _make_view(connection, name, replacing, statement)
    except DBAPIError as error:
        if code_of(error) != OTHER_COLUMNS:
            raise
        try:
            with attempt(connection):
                connection.exec_driver_sql(f"DROP VIEW {quote(name)}")
                _make_view(connection, name, statement, statement)
        except DBAPIError as dropping:
            if code_of(dropping) != OTHERS_DEPEND:
                raise
            logger.warning("The view %s stays as it is: %s", name, reason_of(dropping))


def _make_view(connection: Connection, name: str, statement: str, comment: str) -> None:
    quoted = comment.replace("'", "''")
    for sql in (statement, f"COMMENT ON VIEW {quote(name)} IS '{quoted}'"):
        # What follows a single one would be taken for the name of a parameter.
        connection.exec_driver_sql(sql.replace("%", "%%"))


def insert_rows(
    connection: Connection, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert these readings in their order, each the values of these columns.

    By one statement that goes to the server as a whole, also its rows. A COPY is quicker, but while
    the server waits for its rows no limit of time ends it: a host that hangs then would keep
    all others from committing (docs/decisions/0032).
    """
    # Of most columns no reading of a batch has a value, and each takes time while others wait.
    columns = zip(names, zip(*rows, strict=True), strict=True)
    # As PostgreSQL reads arrays; psycopg takes ten times as long
    # (https://www.postgresql.org/docs/17/arrays.html#ARRAYS-IO).
    filled = {
        name: f"{{{','.join(map(_element, values))}}}"
        for name, values in columns
        if any(v is not None for v in values)
    }
    connection.exec_driver_sql(
        _statement_of_arrays(tuple(filled)),
        tuple(filled.values()),
        execution_options={LATER: True},
    )


def put_rows(
    connection: Connection, into: str, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Put whole rows into this table, ids and all, by COPY; of a database that no service has yet.

    (https://www.psycopg.org/psycopg3/docs/basic/copy.html)
    """
    statement = f"COPY {quote(into)} ({', '.join(map(quote, names))}) FROM STDIN"
    driver.send(connection)
    errors = connection.dialect.loaded_dbapi.Error
    try:
        with driver.connection_of(connection).cursor().copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except errors as error:
        raise DBAPIError.instance(
            statement, None, error, errors, dialect=connection.dialect
        ) from error


@contextmanager
def waits_briefly(connection: Connection, wait_ms: int) -> Iterator[None]:
    """In the transaction nothing waits for longer than that for a lock: of a migration, say."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {wait_ms}")
    yield


def file_bytes(_connection: Connection, _path: Path) -> int:
    """None of it is on a disk of this machine, as far as this machine knows."""
    return 0


@contextmanager
def attempt(connection: Connection) -> Iterator[None]:
    """A statement of the block that fails leaves the transaction as it was before.

    PostgreSQL would refuse every further one (https://www.postgresql.org/docs/17/sql-savepoint.html).
    """
    with connection.begin_nested():
        yield


def begin_again(_connection: Connection) -> bool:
    """PostgreSQL undoes no transaction because of an error in a savepoint."""
    return False


# The place of a row among its mates, from 1: no column of a station has such a name.
_PLACE = '"#"'


@lru_cache(maxsize=64)
def _statement_of_arrays(names: tuple[str, ...]) -> str:
    """For `exec_driver_sql` with an array for each column."""
    columns = ", ".join(map(quote, names)).replace("%", "%%")
    arrays = ", ".join(f"CAST(%s AS {_arrays_of(name)})" for name in names)
    given = ", ".join(f"given.{quote(name)}" for name in names).replace("%", "%%")
    return (
        f"INSERT INTO readings (id, {columns})"  # noqa: S608
        f" SELECT (SELECT {_LAST_READING} FROM log WHERE log.name = 'readings') + {_PLACE}, {given}"
        f" FROM unnest({arrays}) WITH ORDINALITY AS given ({columns}, {_PLACE})"
    )


def _arrays_of(name: str) -> str:
    """The type of arrays with values of this column; what stations.toml adds are measurements."""
    type_ = readings.c[name].type if name in readings.c else NUMBER
    dialect = PGDialect()  # type: ignore[no-untyped-call]
    # An array has the collation of its elements, which only a column's definition may name.
    return ARRAY(Text() if isinstance(type_, Text) else type_).compile(dialect=dialect)


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)


@compiles(Integer, POSTGRESQL)
def _whole(_type: Integer, compiler: TypeCompiler, **_kw: Any) -> str:
    """A parameter is said to be of this type, and times in milliseconds need 41 bits."""
    return "INTEGER" if hasattr(compiler.dialect, READS_CATALOG) else "BIGINT"


@compiles(InOrder, POSTGRESQL)
def _in_order(element: InOrder, compiler: SQLCompiler, **kw: Any) -> str:
    """PostgreSQL merges what is in order, but does not put it in order for that by itself."""
    order, most = element._order_by_clauses, element._limit_clause
    selects: Sequence[Any] = element.selects
    branches = [branch.order_by(*order).limit(most) for branch in selects]
    return compiler.process(union_all(*branches).order_by(*order).limit(most), **kw)


@compiles(functions.sum, POSTGRESQL)
def _sum(element: functions.sum[Any], compiler: SQLCompiler, **kw: Any) -> str:
    inner = f"sum({compiler.process(element.clause_expr.element, **kw)})"
    # A sum of BIGINT is a decimal, for which psycopg gives Python's Decimal.
    return f"CAST({inner} AS BIGINT)" if isinstance(element.type, Integer) else inner


def _decimal(double: str) -> str:
    """The shortest decimal that is this double and no other one, as everything else shows it.

    Cast at once it would have 15 digits, and take twice as long
    (https://www.postgresql.org/docs/17/datatype-numeric.html#DATATYPE-FLOAT).
    """
    return f"CAST(CAST({double} AS TEXT) AS NUMERIC)"


def _double(text: str) -> str:
    return f"CAST('{text}' AS DOUBLE PRECISION)"


def _total(column: str) -> str:
    # Added up as decimals, which is exact: the same in whatever order the rows are read
    # (https://www.postgresql.org/docs/17/datatype-numeric.html).
    exact = f"coalesce(sum({_decimal(column)}), 0)"
    return f"CASE WHEN abs({exact}) <= {DOUBLE_MAX} THEN CAST({exact} AS DOUBLE PRECISION) END"


def _adjusted(value: str, gain: str, offset: str) -> str:
    """What would be infinite, or too small to be other than 0, is an error of PostgreSQL's.

    The bounds are of numbers that can't be beyond a double themselves: constants are computed
    before it is known which arm they are needed for
    (https://www.postgresql.org/docs/17/functions-conditional.html#FUNCTIONS-CASE).
    """
    beyond = f"({_double(NEARLY_MAX)} - abs({offset})) / greatest({gain}, 1)"
    nothing = f"{_double(NEARLY_0)} / least({gain}, 1)"
    return (
        f"CASE WHEN abs({value}) > {beyond} THEN sign({value}) * {_double('Infinity')}"
        f" WHEN {gain} < 1 AND abs({value}) <= {nothing} THEN {offset}"
        f" ELSE {gain} * {value} + {offset} END"
    )


_SPAN = ", ".join(
    (
        *(f"each ->> {position} AS {name}" for position, name in enumerate(SPAN_TEXTS)),
        *(
            f"CAST(each -> {position} AS BIGINT) AS {name}"
            for position, name in enumerate(SPAN_NUMBERS, len(SPAN_TEXTS))
        ),
        f"CAST(each -> {len(SPAN_TEXTS) + len(SPAN_NUMBERS)} AS DOUBLE PRECISION) AS {SPAN_VALUE}",
    )
)
_ELEMENTS = "jsonb_array_elements(CAST({} AS JSONB))"
define(
    POSTGRESQL,
    {
        "unindexed": "+{}",
        "unindexed_text": "({} || '')",
        "total": _total,
        "greatest": "greatest({}, {})",
        "adjusted": _adjusted,
        # Only decimals are rounded to a number of places.
        "rounded": f"CAST(round({_decimal('{}')}, {{}}) AS DOUBLE PRECISION)",
        "json_numbers": f"(SELECT CAST(each AS BIGINT) AS value FROM {_ELEMENTS} AS one (each))",  # noqa: S608
        "json_spans": f"(SELECT number - 1 AS place, {_SPAN}"  # noqa: S608
        f" FROM {_ELEMENTS} WITH ORDINALITY AS one (each, number))",
        "last_id": f"(SELECT {_LAST_ID} FROM log WHERE log.name = {{}})",  # noqa: S608
    },
)
