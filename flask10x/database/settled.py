"""How far each queue is settled: which of its entries are stored, or kept among the rejected.

A queue has an id and numbers its entries 1, 2, 3, ... in the order in which they are settled. The
transaction that settles some notes the number of the last one, so the note is as true as the rows
are, whatever dies: an entry up to it is never stored again, a later one always is. Two readings
with the same values stay two.

A note is a row of SQLite's own table `sqlite_sequence`, because the INSERT of a reading changes the
page of that table anyway; a table of ours would cost each commit a page more (docs/decisions/0047).
SQLite lets it be changed by ordinary statements, and only ever looks for names of tables in it
(https://www.sqlite.org/autoinc.html).
"""

from collections.abc import Iterable

from sqlalchemy import Connection

# No table has a name like this.
_PREFIX = "queue "


def up_to(connection: Connection, queue: str) -> int:
    """The number of the last entry of this queue that is settled; 0 when none is known to be."""
    query = "SELECT seq FROM sqlite_sequence WHERE name = ?"
    return connection.exec_driver_sql(query, (_PREFIX + queue,)).scalar_one_or_none() or 0


def note(connection: Connection, queue: str, number: int) -> None:
    """Note in the transaction that settles them that the entries up to this one are settled."""
    name = _PREFIX + queue
    update = "UPDATE sqlite_sequence SET seq = ? WHERE name = ?"
    if not connection.exec_driver_sql(update, (number, name)).rowcount:
        insert = "INSERT INTO sqlite_sequence (seq, name) VALUES (?, ?)"
        connection.exec_driver_sql(insert, (number, name))


def noted(connection: Connection) -> set[str]:
    """The queues that there is a note of."""
    query = "SELECT name FROM sqlite_sequence WHERE substr(name, 1, ?) = ?"
    names = connection.exec_driver_sql(query, (len(_PREFIX), _PREFIX)).scalars()
    return {name.removeprefix(_PREFIX) for name in names}


def forget(connection: Connection, queues: Iterable[str]) -> None:
    """Remove the notes of these queues; for those of which nothing can come up again."""
    for queue in queues:
        delete = "DELETE FROM sqlite_sequence WHERE name = ?"
        connection.exec_driver_sql(delete, (_PREFIX + queue,))
