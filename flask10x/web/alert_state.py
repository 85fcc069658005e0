"""The active alerts, as the application that answers has read them."""

from flask import current_app

from flask10x.alerts.active import AlertState

EXTENSION = "flask10x.alerts"


def state() -> AlertState:
    """That of the application that answers."""
    alert_state: AlertState = current_app.extensions[EXTENSION]
    return alert_state
