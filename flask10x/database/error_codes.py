"""What the errors of a database mean: the codes of an engine, for a commit, and its time limit.

SQLite's are names (https://www.sqlite.org/rescode.html), PostgreSQL's are five characters, the
first two of which are a class (https://www.postgresql.org/docs/17/errcodes-appendix.html).
"""

from typing import Literal

from sqlalchemy.exc import DBAPIError, StatementError

from flask10x.errors import LockTimeout, QueryError, UnknownColumn
from flask10x.readings.reasons import Reason

# How long a commit waits for another process (a person in the sqlite3 shell, an import) before
# the writer counts a failure and backs off; ingest goes on meanwhile, it only queues.
WRITE_BUSY_TIMEOUT_MS = 1000

# Codes that speak of one row; every other code speaks of the store, and the batch is kept.
# Of PostgreSQL: data exceptions and violated constraints, among them those that a trigger raises,
# and a row or what an index has of it that is too large.
ROW_ERRORS = (
    *("SQLITE_CONSTRAINT", "SQLITE_MISMATCH", "SQLITE_TOOBIG", "SQLITE_RANGE"),
    *("22", "23", "54000", "P0001"),
    # Of psycopg, which has not asked PostgreSQL about a text with a NUL in it.
    "DataError",
)

# Codes that say that the file itself is broken; every other one may pass.
DAMAGE_ERRORS = ("SQLITE_CORRUPT", "SQLITE_NOTADB")

# Codes that say that another session is writing: SQLite's, a lock that was not to be had in time, a
# deadlock, two transactions of which one has to be made again; and a transaction that the server
# has ended because this host stood still in it.
BUSY_ERRORS = ("SQLITE_BUSY", "55P03", "40P01", "40001", "25P03")


class QueryTooLong(QueryError):
    """A query looked at more rows than it could in the time that a page gets."""

    def __init__(self, timeout_sec: float) -> None:
        super().__init__({"query": Reason("took_too_long", sec=f"{timeout_sec:g}")})


def kind_of(error: BaseException) -> Literal["row", "store"]:
    """Whether an error of a commit speaks of one row or of the store as a whole.

    Values that Python can't hand to the engine (too large, lone surrogates) carry no code and speak
    of a row, as does a column that the table lacks.
    """
    origin = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(origin, OverflowError | UnicodeEncodeError | UnknownColumn):
        return "row"
    return "row" if code_of(error).startswith(ROW_ERRORS) else "store"


def code_of(error: BaseException) -> str:
    """The engine's code, `SQLITE_BUSY` or `55P03` or the like, else the error's class."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(origin, "sqlite_errorname", None) or getattr(origin, "sqlstate", None)
    return code or type(origin).__name__


def reason_of(error: BaseException) -> str:
    """A text for people, in one line: the code, the engine's own words, and what is known besides.

    What an engine's module has found out of an error is a detail of it (`add_detail`).
    """
    origin = error.orig if isinstance(error, DBAPIError) else error
    # PostgreSQL's text goes on with where in the statement it was; it has a line for each server
    # that was tried when none answers.
    message = getattr(getattr(origin, "diag", None), "message_primary", None) or str(origin)
    details = error.detail if isinstance(error, StatementError) else ()
    return "; ".join((f"{code_of(error)}: {' '.join(message.split())}", *details))


def is_busy(error: BaseException) -> bool:
    """Whether another session is writing at the moment, so that a later try may succeed."""
    return isinstance(error, LockTimeout) or code_of(error).startswith(BUSY_ERRORS)
