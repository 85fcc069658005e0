"""The plans of the statements that the program runs, each as it is run."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import Connection, CursorResult, Engine, event

from flask10x.database.expressions import LATER
from flask10x.database.postgres import driver

READS = ("SELECT", "(SELECT", "WITH")
Explain = Callable[[str], CursorResult[Any]]
Ask = Callable[[Connection, str, Explain], None]


@contextmanager
def asked_beside(target: Engine | type[Engine], ask: Ask) -> Iterator[None]:
    """In the block `ask` is called for each statement, with what explains it by these options.

    What is asked sends what waits: rows that are to come with the next statement would come with
    it. So of those that read it is asked once they were sent, and of one that changes something and
    waits before that, for nothing else may follow. What other connections do meanwhile, those of
    other threads, sends nothing of it.
    """
    waiting: defaultdict[Connection, list[tuple[Any, ...]]] = defaultdict(list)

    def before(*arguments: Any) -> None:
        if not _waits(arguments):
            return
        if arguments[2].startswith(READS):
            waiting[arguments[0]].append(arguments)
        else:
            ask(arguments[0], arguments[2], partial(_explain, arguments))

    def after(*arguments: Any) -> None:
        if _waits(arguments):
            return
        for each in (*waiting.pop(arguments[0], ()), arguments):
            ask(each[0], each[2], partial(_explain, each))

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
    _, _, statement, values, context, _ = arguments
    if context.execution_options.get(driver.PREPARE):
        statement, values = driver.connection_of(connection).prepared(statement, values)
    one = values[0] if isinstance(values, list) else values
    return connection.exec_driver_sql(f"EXPLAIN ({options}) {statement}", one)
