"""The link to the page of alerts on every page: with how many are active."""

from flask import Flask

from flask10x.alerts.state_file import path_of
from flask10x.config.settings import Settings
from flask10x.web.access import Access
from flask10x.web.alert_state import EXTENSION, AlertState, state


def init_app(app: Flask, settings: Settings, access: Access) -> None:
    """Let the views ask for the alerts of these settings, and each page for their number."""
    app.extensions[EXTENSION] = AlertState(path_of(settings))

    def count() -> int:
        # The page `/` is open to all.
        return len(state().known().active) if access.lets_read() else 0

    app.context_processor(lambda: {"active_alerts": count})
