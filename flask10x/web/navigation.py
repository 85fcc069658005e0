"""The links at the top of every page: the few that a family opens, and the others behind "More"."""

from dataclasses import dataclass

from flask import Flask, request, url_for


@dataclass(frozen=True, kw_only=True, slots=True)
class PageLink:
    """A page of the navigation."""

    endpoint: str
    text: str
    """The key of its name."""
    since: str = ""
    """The beginning of the range it opens with, where it is a page of readings."""

    @property
    def url(self) -> str:
        """Where it leads; only within a request."""
        return (
            f"{url_for(self.endpoint)}?from={self.since}" if self.since else url_for(self.endpoint)
        )

    @property
    def is_current(self) -> bool:
        """Whether it is the page that is shown."""
        return request.endpoint == self.endpoint


# A phone has room for five short names beside "More".
MAIN = (
    PageLink(endpoint="home.as_page", text="nav.home"),
    PageLink(endpoint="history_page.as_page", text="nav.history", since="-24h"),
    PageLink(endpoint="records.as_page", text="nav.records"),
    PageLink(endpoint="alerts.as_page", text="nav.alerts"),
)
MORE = (
    PageLink(endpoint="notes.as_page", text="nav.notes"),
    PageLink(endpoint="rejected.as_page", text="nav.rejected"),
    PageLink(endpoint="devices.as_page", text="nav.devices"),
    PageLink(endpoint="status_page.as_page", text="nav.status"),
    PageLink(endpoint="api.as_page", text="nav.api"),
)


def init_app(app: Flask) -> None:
    """Let each page have its links."""
    app.context_processor(lambda: {"main_pages": MAIN, "more_pages": MORE})
