"""How far each queue is settled: which of its entries are stored, or kept among the rejected.

A queue has an id and numbers its entries 1, 2, 3, ... in the order in which they are settled. The
transaction that settles some notes the number of the last one, so the note is as true as the rows
are, whatever dies: an entry up to it is never stored again, a later one always is. Two readings
with the same values stay two.

A note is a row where the engine keeps the last id of a table (`dialects.py`), because the INSERT of
a reading changes that page anyway; a table of ours would cost each commit of SQLite a page more
(docs/decisions/0007). After a commit with an unknown outcome the note shows whether it was made.
"""

from collections.abc import Iterable

from sqlalchemy import Connection

from flask10x.database import dialects

# No table has a name like this.
_PREFIX = "queue "
# Of the rejected readings of the worker that has the queue.
_OF_REJECTED = " rejected"


def of_rejected(queue: str) -> str:
    """Return the queue of rejected readings that belongs to this one, and goes with it."""
    return queue + _OF_REJECTED


def up_to(connection: Connection, queue: str) -> int:
    """Return the number of the last settled entry of this queue; 0 if none is known."""
    return dialects.statements_of(connection).sequence(connection, _PREFIX + queue)


def note(connection: Connection, queue: str, done: int, number: int) -> None:
    """Note in the transaction that settles them that the entries up to this one are settled.

    Those up to `done` were so before. Where more is noted than that the commit may fail.
    """
    dialects.statements_of(connection).raise_sequence(connection, _PREFIX + queue, done, number)


def queues(connection: Connection) -> set[str]:
    """Return the queues of this host that have a note."""
    engine = dialects.statements_of(connection)
    own = engine.host_of(connection)
    return {
        name.removeprefix(_PREFIX).removesuffix(_OF_REJECTED)
        for name, host in engine.sequences(connection).items()
        if name.startswith(_PREFIX) and host == own
    }


def forget(connection: Connection, queues: Iterable[str]) -> None:
    """Remove the notes of these queues; for those of which nothing can come up again."""
    for queue in queues:
        for name in (queue, of_rejected(queue)):
            dialects.statements_of(connection).forget_sequence(connection, _PREFIX + name)
