"""What is asked of the service for the page; each part by itself, and none for long."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, TimeoutError

from flask10x.alerts.alert import Alert
from flask10x.database import dialects
from flask10x.database.engine import Database
from flask10x.database.error_codes import QueryTooLong, reason_of
from flask10x.export import owner
from flask10x.history.view import View
from flask10x.recording import rejected
from flask10x.recording.rejected import Kept, Selection
from flask10x.runtime.facts import backups, card, export_lag
from flask10x.runtime.facts.backups import NewestBackup
from flask10x.runtime.facts.beginning import beginning
from flask10x.runtime.facts.card import CardRoom
from flask10x.runtime.facts.disk import room
from flask10x.runtime.facts.export_lag import ExportLag
from flask10x.runtime.facts.server import ServerState, server_state
from flask10x.runtime.retention.outlook import Outlook, outlooks
from flask10x.runtime.store import Store
from flask10x.runtime.waiting import Waiting
from flask10x.web import context
from flask10x.web.alert_state import state
from flask10x.web.newest import Latest, latest

log = logging.getLogger(__name__)

# A database that is locked for reading is so for hours or for milliseconds.
BUSY_MS = 250
DAY_MS = 24 * 3_600_000
# What reading a database, a folder or a disk raises when it can't be read.
FAILURES = (DBAPIError, TimeoutError, QueryTooLong, OSError)


@dataclass(kw_only=True, slots=True)
class Known:
    """What could be told; None stands for what could not, and `reasons` says why."""

    stations: list[Latest] | None = None
    refused: Kept | None = None
    """The newest reading that was refused in the last day; None when none was."""
    stored: int | None = None
    """How many readings were ever stored."""
    began_at: int | None = None
    """Since when the service has the database, as the rule `backup` counts; None: it is empty."""
    exports: list[ExportLag] | None = None
    csv_host: str | None = None
    """Which of several hosts has the CSV files; None before the first export, and on SQLite."""
    kept: list[Outlook] | None = None
    """Of the stations whose old readings are removed."""
    card: CardRoom | None = None
    backup: NewestBackup | None = None
    """None when there is none, too."""
    server: ServerState | None = None
    """Of a database on PostgreSQL."""
    alerts: Sequence[Alert] = ()
    """Those that are active."""
    is_there: bool = False
    """Whether there is a database, sound or not: without one its disk may be away, and with that
    the backups."""
    reasons: dict[str, str] = field(default_factory=dict)
    """By the name of the part."""

    def alert_of(self, rule: str) -> Alert | None:
        """The active alert of this rule on the service as a whole."""
        return next((one for one in self.alerts if (one.rule, one.subject) == (rule, "")), None)


def known(store: Store | Waiting, now_ms: int) -> Known:
    """All that can be told now; raises nothing."""
    found = Known(is_there=isinstance(store, Store), alerts=state().known().active)
    with _part(found, "backup"):
        found.backup = backups.newest(store.settings.backup_dir, store.settings.zone, now_ms)
    if isinstance(store, Store):
        with _part(found, "database"), _patient(store.database) as connection:
            _of_database(found, store, context.view_of(connection), now_ms)
        # After that, by which it is known whether the server answers.
        found.server = server_state(store.settings, store.database)
        if found.card is None:
            with _part(found, "card"):
                found.card = _room_only(store)
    return found


def _of_database(found: Known, store: Store, view: View, now_ms: int) -> None:
    stations, connection = view.stations, view.connection
    # Not a part: where the first statement meets a lock, so would each of the others.
    began = beginning(connection)
    found.began_at = began.at
    found.stored = view.last_id
    with _part(found, "stations"):
        found.stations = latest(view, store, stations.all)
    with _part(found, "refused"):
        since = Selection(since_ms=now_ms - DAY_MS)
        found.refused = next(iter(rejected.page(connection, since, None, 1).rows), None)
    with _part(found, "exports"):
        found.exports = export_lag.export_lags(connection, stations)
        found.csv_host = owner.of_files(connection)
    with _part(found, "kept"):
        found.kept = outlooks(store.settings, store.database, view)
    with _part(found, "card"):
        found.card = card.card(store.settings, view, began)


def _room_only(store: Store) -> CardRoom:
    """How full the disk is; how it fills only the database can tell."""
    return CardRoom(room=room(store.database.path.parent), rows_a_day=None, bytes_a_day=None)


@contextmanager
def _part(found: Known, name: str) -> Iterator[None]:
    """An error of this part hinders no other; the reason is kept under its name."""
    try:
        yield
    except FAILURES as error:
        found.reasons[name] = reason_of(error)
    except Exception as error:
        # People look at this page because something is wrong: the rest of it is worth more to them
        # than a 500.
        log.exception("The page of the status cannot tell of: %s", name)
        found.reasons[name] = reason_of(error)


@contextmanager
def _patient(database: Database) -> Iterator[Connection]:
    """A read transaction in which nothing waits for long; raises what `Database.query` raises."""
    with (
        database.promptly(),
        database.query() as connection,
        dialects.of(connection).waits_briefly(connection, BUSY_MS),
    ):
        yield connection
