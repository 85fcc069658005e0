"""The head of every page: the few pages that a family opens, and the menu with the others."""

from flask import Flask

from flask10x.alerts.active import AlertState
from flask10x.alerts.state_file import path_of
from flask10x.config.settings import Settings
from flask10x.translation import N_
from flask10x.web.access import Access
from flask10x.web.context import ALERTS, alert_state
from flask10x.web.page import Group, Page, pages_of

# In their order.
MENU: dict[Group, str] = {
    "house": N_("House"),
    "setup": N_("Setup"),
    "programs": N_("For programs"),
}
PLACES: tuple[Group, ...] = ("main", *MENU)


def init_app(app: Flask, settings: Settings, access: Access) -> None:
    """Let each page have the links, and beside that of the alerts how many are active."""
    app.extensions[ALERTS] = AlertState(path_of(settings))

    def count() -> int:
        # The page `/` is open to all.
        return len(alert_state().current().active) if access.lets_read() else 0

    app.context_processor(
        lambda: {
            "main_pages": pages_of("main"),
            "menu": [(text, pages_of(group)) for group, text in MENU.items()],
            "all_pages": all_pages(),
            "active_alerts": count,
        }
    )


def all_pages() -> list[Page]:
    """All pages, in the order of the navigation."""
    return [page for group in PLACES for page in pages_of(group)]
