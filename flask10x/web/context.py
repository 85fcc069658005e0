"""What a request needs of the service: its store, its view of the database, its alerts."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import current_app
from sqlalchemy import Connection

from flask10x.alerts.active import AlertState
from flask10x.history.view import View
from flask10x.runtime.store import Store
from flask10x.runtime.waiting import Waiting
from flask10x.system import clock

# The names of what the application has, among its extensions.
STORE, ALERTS = "flask10x", "flask10x.alerts"


def store() -> Store:
    """The store of the application that answers; it was made with the application."""
    opened: Store = current_app.extensions[STORE]
    return opened


def store_or_waiting() -> Store | Waiting:
    """The same for a view that answers while the database is missing, too."""
    opened: Store | Waiting = current_app.extensions[STORE]
    return opened


def alert_state() -> AlertState:
    """Return the active alerts, as the application that answers has read them."""
    alerts: AlertState = current_app.extensions[ALERTS]
    return alerts


@contextmanager
def view() -> Iterator[View]:
    """The view of the database for this request: one snapshot, read within QUERY_TIMEOUT_SEC.

    Raises QueryTooLong, or what reading raises: `read_errors.UNREADABLE`.
    """
    with store().database.query() as connection:
        yield view_of(connection)


def view_of(connection: Connection) -> View:
    """The view of a connection that is waited for in another way."""
    settings = store().settings
    return View(connection, settings.stations, settings.zone, clock.now_ms())
