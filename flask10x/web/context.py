"""What a request needs to know of the service: its store, and the time."""

import time

from flask import current_app

from flask10x.runtime.store import Store


def store() -> Store:
    """The store of the application that answers; it was made with the application."""
    found: Store = current_app.extensions["flask10x"]
    return found


def now_ms() -> int:
    """The time by the wall clock, in UTC epoch milliseconds."""
    return time.time_ns() // 1_000_000
