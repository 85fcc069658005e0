"""The messages of the state file as whoever delivers sees them: begun, sent, failed, never sent."""

from collections.abc import Collection
from typing import Literal

from sqlalchemy import Connection, delete, func, insert, select, update

from flask10x.alerts import due, tables
from flask10x.alerts.due import WaitingMessage

NeverSent = Literal["given_up", "muted", "over_limit", "dropped"]
_m = tables.messages.c


def begin(connection: Connection, message: WaitingMessage, now_ms: int) -> bool:
    """Note that it is tried now, before it is: who is killed meanwhile has tried it.

    False when it waits no more.
    """
    tries = message.tries + 1
    changed = connection.execute(
        update(tables.messages)
        .where(_m.id == message.id, _m.state == "waiting", _m.tries == message.tries)
        .values(tries=tries, due_ms=now_ms + due.pause_ms(tries))
    )
    return changed.rowcount == 1


def settle_sent(connection: Connection, number: int, now_ms: int) -> None:
    """It was taken, whatever has become of it meanwhile."""
    _settle(connection, number, "sent", "", now_ms)


def settle_unsent(
    connection: Connection, number: int, state: NeverSent, trouble: str, now_ms: int
) -> None:
    """It is not sent, or tried no more."""
    _settle(connection, number, state, trouble, now_ms)


def fail(connection: Connection, number: int, trouble: str, received_by: Collection[str]) -> None:
    """A try failed with this code; those receivers have it all the same."""
    connection.execute(
        update(tables.messages)
        .where(_m.id == number, _m.state == "waiting")
        .values(trouble=trouble)
    )
    for receiver in received_by:
        row = insert(tables.taken).prefix_with("OR IGNORE")
        connection.execute(row.values(message_id=number, receiver=receiver))


def received_by(connection: Connection, number: int) -> set[str]:
    """Which receivers of its way have it from an earlier try."""
    query = select(tables.taken.c.receiver).where(tables.taken.c.message_id == number)
    return set(connection.execute(query).scalars())


def states_of_others(connection: Connection, message: WaitingMessage) -> dict[str, set[str]]:
    """Of the same alert and way: occasion -> the states of its other messages."""
    query = select(_m.occasion, _m.state).where(
        _m.alert_id == message.alert_id, _m.way == message.way, _m.id != message.id
    )
    found: dict[str, set[str]] = {}
    for occasion, state in connection.execute(query):
        found.setdefault(occasion, set()).add(state)
    return found


def has_newer(connection: Connection, message: WaitingMessage) -> bool:
    """Whether another one of the same alert and way was made after it."""
    query = select(func.count()).where(
        _m.alert_id == message.alert_id, _m.way == message.way, _m.id > message.id
    )
    return bool(connection.execute(query).scalar_one())


def sent_since(connection: Connection, way: str, start_ms: int) -> int:
    """How many messages of alerts the way has had since then; tests do not count."""
    query = select(func.count()).where(
        _m.way == way, _m.state == "sent", _m.settled_ms >= start_ms, _m.occasion != "test"
    )
    return int(connection.execute(query).scalar_one())


def is_limit_said(connection: Connection, way: str, start_ms: int) -> bool:
    """Whether the way was told since then, or is to be, that the limit is reached."""
    query = select(func.count()).where(
        _m.way == way, _m.occasion == "limit", _m.created_ms >= start_ms
    )
    return bool(connection.execute(query).scalar_one())


def say_limit(connection: Connection, way: str, now_ms: int) -> None:
    """Make the message that says so."""
    connection.execute(
        insert(tables.messages).values(
            occasion="limit", way=way, created_ms=now_ms, due_ms=now_ms, state="waiting"
        )
    )


def _settle(connection: Connection, number: int, state: str, trouble: str, now_ms: int) -> None:
    values: dict[str, str | int] = {"state": state, "settled_ms": now_ms}
    # What is never sent keeps why the tries failed, where nothing newer is to be said.
    if trouble or state == "sent":
        values["trouble"] = trouble
    connection.execute(delete(tables.taken).where(tables.taken.c.message_id == number))
    connection.execute(update(tables.messages).where(_m.id == number).values(values))
