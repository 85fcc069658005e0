"""What a request needs to know of the service: its store."""

from flask import current_app

from flask10x.runtime.store import Store


def store() -> Store:
    """The store of the application that answers; it was made with the application."""
    found: Store = current_app.extensions["flask10x"]
    return found
