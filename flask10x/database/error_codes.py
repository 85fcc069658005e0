"""What SQLite's result codes mean for a commit (https://www.sqlite.org/rescode.html)."""

from typing import Literal

from sqlalchemy.exc import DBAPIError

from flask10x.errors import LockTimeout, UnknownColumn

# Codes that speak of one row; every other code speaks of the store, and the batch is kept.
ROW_ERRORS = ("SQLITE_CONSTRAINT", "SQLITE_MISMATCH", "SQLITE_TOOBIG", "SQLITE_RANGE")

# Codes that say that the file itself is broken; every other one may pass.
DAMAGE_ERRORS = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


def kind_of(error: BaseException) -> Literal["row", "store"]:
    """Whether an error of a commit speaks of one row or of the store as a whole.

    Decided by `sqlite_errorname` (https://www.sqlite.org/rescode.html). Values that Python can't
    hand to SQLite (too large, lone surrogates) carry no code and speak of a row, as does a column
    that the table lacks.
    """
    origin = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(origin, OverflowError | UnicodeEncodeError | UnknownColumn):
        return "row"
    return "row" if code_of(error).startswith(ROW_ERRORS) else "store"


def code_of(error: BaseException) -> str:
    """The name of SQLite's result code, `SQLITE_BUSY` or the like, else the error's class."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    return getattr(origin, "sqlite_errorname", None) or type(origin).__name__


def reason_of(error: BaseException) -> str:
    """A short text for people: the code and SQLite's own words."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    return f"{code_of(error)}: {origin}"


def is_busy(error: BaseException) -> bool:
    """Whether somebody else is writing at the moment, so that a later try may succeed."""
    return isinstance(error, LockTimeout) or code_of(error).startswith("SQLITE_BUSY")
