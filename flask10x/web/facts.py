"""The facts of the checks, as a page reads them: all that can be read now, without a long wait."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flask10x.database import dialects
from flask10x.health import copies
from flask10x.health.checks import Facts, Heard
from flask10x.health.database import Obstacle, obstacles_met, server_state
from flask10x.history.view import View
from flask10x.runtime import periodic_tasks
from flask10x.runtime.retention import Outlook, outlooks
from flask10x.runtime.store import Store
from flask10x.runtime.waiting import Waiting
from flask10x.web import context
from flask10x.web.cards import Latest, latest
from flask10x.web.context import alert_state

# A database that is locked for reading is so for hours or for milliseconds. On PostgreSQL a server
# that is waited for longer counts as one that does not answer.
BUSY_MS = 250
Beside = Callable[[View, Sequence[Latest]], None]


@dataclass(kw_only=True, slots=True)
class HouseFacts(Facts):
    """The facts of the checks, and those that only pages show."""

    retention: Sequence[Outlook] = ()
    """Of the stations whose old readings are removed."""


def gathered(store: Store | Waiting, now_ms: int, beside: Beside | None = None) -> HouseFacts:
    """Return all facts that can be read now; raises nothing.

    `beside` reads what only one page needs, in the same view of the database.
    """
    settings = store.settings
    facts = HouseFacts(has_database=isinstance(store, Store), alerts=alert_state().current().active)
    facts.read_files(settings, now_ms)
    if isinstance(store, Waiting):
        facts.obstacles = [
            Obstacle("missing", store.reason)
            if store.is_file
            else Obstacle("unreachable", store.reason, store.reason)
        ]
        return facts
    database = store.database
    with (
        facts.part("database"),
        database.promptly(),
        database.query() as connection,
        dialects.statements_of(connection).waits_briefly(connection, BUSY_MS),
    ):
        view = context.view_of(connection)
        facts.read_database(settings, view)
        with facts.part("stations"):
            found = latest(view, store, view.stations.all)
            facts.stations = [
                Heard(
                    station=newest.station,
                    silence=newest.silence,
                    measured_at=newest.row.received_at if newest.row else None,
                )
                for newest in found
            ]
            if beside is not None:
                with facts.part("rows"):
                    beside(view, found)
        with facts.part("retention"):
            facts.retention = outlooks(settings, database, view)
    with facts.part("lost"):
        facts.lost = copies.lost_files(facts.only_copies, facts.copies)
    facts.obstacles = obstacles_met(database, store.writer, store.gauges)
    facts.rescued, facts.is_taken_away = store.gauges.rescued, bool(store.gauges.taken_away)
    facts.waiting, facts.failing = store.queues.length(), periodic_tasks.failing(store.gauges)
    # After the database, by which it is known whether the server answers.
    facts.server = server_state(settings, database)
    facts.read_room(settings)
    return facts
