"""What a page, or a part of the API, declares of itself where it is written.

Its routes say who may use them, and whether they need the database; a page also has its words in
the navigation. Application, navigation, access check, the security and the refusals in the
specification, and the answers while there is no database follow from that.
"""

from dataclasses import dataclass
from typing import Any, Literal

from flask import Blueprint, current_app, request, url_for
from flask.typing import RouteCallable

Guard = Literal[
    "always", "open", "read", "station", "stations", "lines", "key", "mute", "notes", "setup"
]
"""Which token a request needs where there are tokens.

| guard | token |
|---|---|
| `always` | none, under any name of the host |
| `open` | none |
| `read` | one for reading |
| `station` | one for posting to the station whose endpoint is the name of the view |
| `stations` | any for posting; the view checks it for each reading |
| `lines` | the same, also from the query |
| `key` | one for posting, in the body, where the view checks it |
| `mute` | one for reading; without such tokens, one for posting to all stations |
| `notes` | one for notes; without such tokens, as `mute` |
| `setup` | one for reading; the view also wants a link, or a form of an administrator's browser |
"""
OPEN: frozenset[Guard] = frozenset({"always", "open"})
POSTING: frozenset[Guard] = frozenset({"station", "stations", "lines", "key"})
Place = Literal["head", "menu", "inside"]
"""Where one finds a page: in the head of each, on a phone in its menu instead, or from a page."""
# Flask's own route; its files are public anyway.
STATIC = "static"
PAGE_VIEW = "as_page"


@dataclass(frozen=True, slots=True)
class Route:
    """What a route declares of itself."""

    rule: str
    """Its address as Flask writes it: `/api/v2/channels/<channel>/data`."""
    guard: Guard
    without_store: bool
    """Whether its view answers also while the database is missing."""
    is_page: bool
    """Whether it answers people with the page of its folder."""


class Routes(Blueprint):
    """Routes, and what each of them declares."""

    def __init__(self, name: str, module: str, *, url_prefix: str = "") -> None:
        super().__init__(name, module, url_prefix=url_prefix or None)
        self.routes: dict[str, Route] = {}
        """By endpoint."""

    def add_url_rule(
        self,
        rule: str,
        endpoint: str | None = None,
        view_func: RouteCallable | None = None,
        provide_automatic_options: bool | None = None,
        *,
        guard: Guard = "read",
        without_store: bool = False,
        **options: Any,
    ) -> None:
        """Add a route as Flask does, and note who may use it: by default, who may read."""
        view = endpoint or getattr(view_func, "__name__", "")
        path = f"{self.url_prefix or ''}{rule}"
        route = Route(path, guard, without_store, is_page=view == PAGE_VIEW)
        self.routes[f"{self.name}.{view}"] = route
        super().add_url_rule(rule, endpoint, view_func, provide_automatic_options, **options)


class Page(Routes):
    """A page for people, whose view is `as_page`."""

    def __init__(
        self,
        name: str,
        module: str,
        *,
        text: str,
        place: Place,
        icon: str = "",
        since: str = "",
    ) -> None:
        """`text` is its name in the navigation, in English, `place` where one finds it.

        `icon` is what the menu has beside the name, as the path of an SVG of 24 by 24. `since` is
        the beginning of the range with which it opens, where it is a page of readings.
        """
        super().__init__(name, module)
        self.text, self.place, self.icon, self._since = text, place, icon, since
        self.view = f"{name}.{PAGE_VIEW}"

    @property
    def url(self) -> str:
        """The address of the link to it; only within a request."""
        url = url_for(self.view)
        return f"{url}?from={self._since}" if self._since else url

    @property
    def current(self) -> str:
        """The `aria-current` of the link to it: `page`, on a page below it `true`, else empty."""
        if request.endpoint == self.view:
            return "page"
        return "true" if request.blueprint == self.name else ""


def declared() -> tuple[Routes, ...]:
    """Return all routes of the application, in the order in which it registered them."""
    return tuple(each for each in current_app.blueprints.values() if isinstance(each, Routes))


def all_pages() -> list[Page]:
    """Return all pages, in the order of the navigation."""
    return [page for page in declared() if isinstance(page, Page)]


def route_of_request() -> Route | None:
    """Return the declaration of the route of the request, None for Flask's own or without one."""
    routes = current_app.blueprints.get(request.blueprint or "")
    return routes.routes.get(request.endpoint or "") if isinstance(routes, Routes) else None


def guard_of_request() -> Guard | None:
    """Return the guard of the request at hand, or None when its address does not exist."""
    route = route_of_request()
    if route is not None:
        return route.guard
    if request.endpoint is None:
        return None
    return "open" if request.endpoint == STATIC else "read"
