"""What else is asked about each statement of the program: its plan, say."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event

from flask10x.database.expressions import LATER

Ask = Callable[[Connection, str, Any], None]


@contextmanager
def asked_beside(target: Engine | type[Engine], ask: Ask) -> Iterator[None]:
    """In the block `ask` is called for each statement, with its parameters.

    Before one that waits for the next, and after any other: what is asked in between sends what
    waits, and its rows do not come with the next.
    """

    def before(*arguments: Any) -> None:
        if _waits(arguments):
            ask(arguments[0], *arguments[2:4])

    def after(*arguments: Any) -> None:
        if not _waits(arguments):
            ask(arguments[0], *arguments[2:4])

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
