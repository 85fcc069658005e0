"""The plans of the statements that the program runs, each as it is run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import Connection, CursorResult, Engine, event

from flask10x.database.expressions import LATER

Explain = Callable[[str], CursorResult[Any]]
Ask = Callable[[Connection, str, Explain], None]


@contextmanager
def asked_beside(target: Engine | type[Engine], ask: Ask) -> Iterator[None]:
    """In the block `ask` is called for each statement, with what explains it by these options.

    Of one that changes something and waits it is asked before, for nothing else may follow.
    """

    def before(*arguments: Any) -> None:
        if _waits(arguments):
            ask(arguments[0], arguments[2], partial(_explain, arguments))

    def after(*arguments: Any) -> None:
        if not _waits(arguments):
            ask(arguments[0], arguments[2], partial(_explain, arguments))

    listeners = (("before_cursor_execute", before), ("after_cursor_execute", after))
    for name, listener in listeners:
        event.listen(target, name, listener)
    try:
        yield
    finally:
        for name, listener in listeners:
            event.remove(target, name, listener)


def _waits(arguments: tuple[Any, ...]) -> bool:
    return bool(arguments[4].execution_options.get(LATER))


def _explain(arguments: tuple[Any, ...], options: str) -> CursorResult[Any]:
    connection: Connection = arguments[0]
    _, _, statement, values, _, _ = arguments
    one = values[0] if isinstance(values, list) else values
    return connection.exec_driver_sql(f"EXPLAIN ({options}) {statement}", one)
