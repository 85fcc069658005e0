"""What a request needs to know of the service: its store."""

from flask import current_app

from flask10x.runtime.store import Store
from flask10x.runtime.waiting import Waiting


def store() -> Store:
    """The store of the application that answers; it was made with the application."""
    found: Store = current_app.extensions["flask10x"]
    return found


def store_or_waiting() -> Store | Waiting:
    """The same for a view that answers while the database is missing, too."""
    found: Store | Waiting = current_app.extensions["flask10x"]
    return found
