"""The links at the top of every page: the few that a family opens, the others behind "More"."""

from flask import Flask

from flask10x.alerts.active import AlertState
from flask10x.alerts.state_file import path_of
from flask10x.config.settings import Settings
from flask10x.web.access import Access
from flask10x.web.alert_state import EXTENSION, state
from flask10x.web.page import pages_of


def init_app(app: Flask, settings: Settings, access: Access) -> None:
    """Let each page have the links, and beside that of the alerts how many are active."""
    app.extensions[EXTENSION] = AlertState(path_of(settings))

    def count() -> int:
        # The page `/` is open to all.
        return len(state().current().active) if access.lets_read() else 0

    app.context_processor(
        lambda: {
            "main_pages": pages_of("main"),
            "more_pages": pages_of("more"),
            "active_alerts": count,
        }
    )
