"""The head of every page: the pages, and how many alerts are active."""

from flask import Flask

from flask10x.alerts.active import AlertState
from flask10x.alerts.state_file import path_of
from flask10x.config.settings import Settings
from flask10x.web.access import Access
from flask10x.web.context import ALERTS, alert_state
from flask10x.web.page import all_pages


def init_app(app: Flask, settings: Settings, access: Access) -> None:
    """Let each page have the links, and beside that of the alerts how many are active."""
    app.extensions[ALERTS] = AlertState(path_of(settings))

    def count() -> int:
        # The page `/` is open to all.
        return len(alert_state().current().active) if access.lets_read() else 0

    app.context_processor(
        lambda: {
            "all_pages": all_pages(),
            "active_alerts": count,
        }
    )
