"""What else is asked about each statement of the program: its plan, say."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event

from flask10x.database.expressions import LATER

READS = ("SELECT", "(SELECT", "WITH")
Ask = Callable[[Connection, str, Any], None]


@contextmanager
def asked_beside(target: Engine | type[Engine], ask: Ask) -> Iterator[None]:
    """In the block `ask` is called for each statement, with its parameters.

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
            ask(arguments[0], *arguments[2:4])

    def after(*arguments: Any) -> None:
        if _waits(arguments):
            return
        for each in (*waiting.pop(arguments[0], ()), arguments):
            ask(each[0], *each[2:4])

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
