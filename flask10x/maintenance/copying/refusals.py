"""Whether one database may be copied into another: only into nothing, or into an earlier copy.

What was written into a copy by others would be lost, or mixed with what is copied.
"""

from collections.abc import Iterable
from gettext import gettext as _
from hashlib import sha256

from sqlalchemy import Connection, select

from flask10x.config.settings import Settings
from flask10x.database import engines
from flask10x.database.counters import copy_note
from flask10x.database.dialects import last_id
from flask10x.database.owner import running
from flask10x.database.paths import url_of
from flask10x.database.retention import removed
from flask10x.database.station_columns import ROLLED_UP
from flask10x.database.tables import (
    accepted_keys,
    counters,
    readings,
    rejected,
    rollup_days,
    rollups,
)
from flask10x.database.tables import removed_hours as removed_hours_table
from flask10x.errors import DatabaseCopyError
from flask10x.maintenance.copying.fill import others, piece, readings_of, sequences

# Tables that only change together with a number of a row, a position or a number of removed rows.
FOLLOWING = (readings, rejected, accepted_keys, rollups, rollup_days, removed_hours_table)
# SQLite's whole numbers have a sign.
STATE_BITS = 63


def check_ends(source: Settings, target: Settings) -> None:
    """Raise DatabaseCopyError when both are one database, or a service has the target."""
    if url_of(source) == url_of(target):
        text = _("{database} can't be copied into itself")
        raise DatabaseCopyError(text.format(database=url_of(source)))
    # A service on this machine that has a file of SQLite; on PostgreSQL its readings tell.
    if engines.of(target).is_file and (service := running(target)):
        text = _("the service (process {pid}) uses {database}; stop it first")
        pid = service.pid or _("unknown")
        raise DatabaseCopyError(text.format(pid=pid, database=url_of(target)))


def check_target(source: Settings, target: Settings, connection: Connection) -> None:
    """Raise DatabaseCopyError when it is neither empty nor left as a copy of the source."""
    note, named = copy_note(connection), {"source": url_of(source), "target": url_of(target)}
    if note is None:
        full = list(_full(connection))
        if full:
            text = _(
                "{target} is in use, it has rows in {tables}: name an empty database, where"
                " {source} goes whole"
            )
            raise DatabaseCopyError(text.format(tables=", ".join(full), **named))
        return
    if note.source != url_of(source):
        text = _(
            "{target} is a copy of {other}: go on with --from {other}, or name an empty database"
        )
        raise DatabaseCopyError(text.format(other=note.source, **named))
    if note.is_finished and note.state != state_of(connection):
        text = _(
            "{target} was written since it became a copy of {source}: a service or a command works"
            " with it; name an empty database, where {source} goes whole"
        )
        raise DatabaseCopyError(text.format(**named))


def check_history(source: Settings, target: Settings, there: Connection, here: Connection) -> None:
    """Raise DatabaseCopyError when the target has readings that the source never had.

    As it is after a backup was restored in the place of the source.
    """
    at = last_id(here)
    after = select(readings.c.id).order_by(readings.c.id.desc()).limit(1)
    newest = here.execute(after).scalar_one_or_none() or 0
    if at <= last_id(there) and _is_same(there, here, newest):
        return
    text = _(
        "{target} has readings up to {id} that {source} does not have like that: that is not the"
        " database which was copied before; name an empty one to copy it whole"
    )
    named = {"source": url_of(source), "target": url_of(target)}
    raise DatabaseCopyError(text.format(id=at, **named))


def state_of(connection: Connection) -> int:
    """A number for what a database holds; another one as soon as anybody has written to it."""
    digest = sha256(repr(sorted(sequences(connection).items())).encode())
    for kept in others():
        if kept.table in FOLLOWING:
            continue
        after = None
        while rows := piece(connection, kept, after):
            digest.update(f"{kept.name} {rows}".encode())
            after = kept.key_of(rows[-1])
    return (int.from_bytes(digest.digest()[:8], "big") >> (64 - STATE_BITS)) or 1


def _full(connection: Connection) -> Iterable[str]:
    """The tables that have a row, and `sequences` when any number is noted."""
    if last_id(connection) or connection.execute(select(readings.c.id).limit(1)).first():
        yield readings.name
    for kept in others():
        rows = select(kept.table).where(kept.rows)
        if kept.table is counters:
            # Made with the tables, for the stations that there are.
            rows = rows.where(counters.c.name != ROLLED_UP)
        if connection.execute(rows.limit(1)).first():
            yield kept.name


def _is_same(there: Connection, here: Connection, number: int) -> bool:
    """Whether both have this reading, or the source has removed it as an old one."""
    kept = readings_of(here)
    one, other = (piece(connection, kept, (number - 1,))[:1] for connection in (there, here))
    if not other:
        return True
    (found,) = other
    if one and one[0][0] == number:
        return one[0] == found
    endpoint = found[kept.names.index("endpoint")]
    return number <= removed.of_station(there, endpoint).last_id
