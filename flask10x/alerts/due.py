"""When messages are due.

A Pi's clock may have been wrong when a message was made, and was set right since. Nothing is put
off for longer than a day, so what seems to be due later than that is due now.
"""

from sqlalchemy import ColumnElement, Connection, func, or_, select

from flask10x.alerts import tables
from flask10x.readings.times import DAY_MS

_c = tables.messages.c


def is_due(now_ms: int) -> ColumnElement[bool]:
    """Whether a message that waits may go out at this time, UTC epoch milliseconds."""
    return or_(_c.due_ms <= now_ms, _c.due_ms > now_ms + DAY_MS)


def next_due_ms(connection: Connection, now_ms: int) -> int | None:
    """When the next message that waits is due: `now_ms` at the earliest; None when none waits."""
    waiting = select(func.min(_c.due_ms)).where(_c.state == "waiting")
    if connection.execute(waiting.where(is_due(now_ms))).scalar_one() is not None:
        return now_ms
    found: int | None = connection.execute(waiting).scalar_one()
    return found
