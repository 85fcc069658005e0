"""What a page, or a part of the API, declares of itself where it is written.

Its routes say who may use them; a page also has its words in the navigation, and both have what the
specification says of them. Application, navigation, access check, specification and the answers
while there is no database follow from that.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from flask import Blueprint, current_app, request, url_for
from flask.typing import RouteCallable

from flask10x.config.settings import Settings

if TYPE_CHECKING:
    from flask10x.web.specification.operation import Operation

Guard = Literal["always", "open", "read", "station", "stations", "lines", "key", "mute", "notes"]
"""Which token a request needs where there are any.

`open` needs none, and `always` answers under any name of the host, too. `station` is the token for
posting to the station that the view is named like. With `stations` and `lines` any token for
posting lets the request in, and the view asks for each reading; `lines` also takes it from the
query. `key` is one in the body, so the view asks for it. `mute` is the token for reading or, where
there is none, the one for posting to all stations; `notes` the one for notes or, where there is
none, that for muting."""
OPEN: frozenset[Guard] = frozenset({"always", "open"})
POSTING: frozenset[Guard] = frozenset({"station", "stations", "lines", "key"})
Group = Literal["main", "more", "none"]
Operations = Callable[[Settings], "Iterator[Operation]"]
# Flask's own route; its files are public anyway.
STATIC = "static"


def _no_operations(_settings: Settings) -> "Iterator[Operation]":
    return iter(())


class Routes(Blueprint):
    """Routes, who may use each of them, and what the specification says of them."""

    def __init__(
        self,
        name: str,
        module: str,
        *,
        operations: Operations = _no_operations,
        url_prefix: str | None = None,
    ) -> None:
        super().__init__(name, module, url_prefix=url_prefix)
        self.operations = operations
        self.guards: dict[str, Guard] = {}
        """What a request needs, by endpoint."""
        self.without_store: set[str] = set()
        """The endpoints that answer also while the database is missing."""

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
        """As Flask's, and who may use it: unless it says so, who may read."""
        view = endpoint or getattr(view_func, "__name__", "")
        self.guards[f"{self.name}.{view}"] = guard
        if without_store:
            self.without_store.add(f"{self.name}.{view}")
        super().add_url_rule(rule, endpoint, view_func, provide_automatic_options, **options)


class Page(Routes):
    """A page for people; its view is called `as_page`."""

    def __init__(
        self,
        name: str,
        module: str,
        *,
        text: str,
        group: Group,
        since: str = "",
        operations: Operations = _no_operations,
    ) -> None:
        """`text` is its name in the navigation, in English, `group` its place there.

        `since` is the beginning of the range with which it opens, where it is a page of readings.
        """
        super().__init__(name, module, operations=operations)
        self.text, self.group, self._since = text, group, since
        self.view = f"{name}.as_page"

    @property
    def url(self) -> str:
        """Where it leads; only within a request."""
        url = url_for(self.view)
        return f"{url}?from={self._since}" if self._since else url

    @property
    def is_current(self) -> bool:
        """Whether it is the page that is shown."""
        return request.endpoint == self.view


def declared() -> tuple[Routes, ...]:
    """All routes of the application, in the order in which it lists them."""
    return tuple(one for one in current_app.blueprints.values() if isinstance(one, Routes))


def pages_of(group: Group) -> list[Page]:
    """The pages that have this place in the navigation."""
    return [page for page in declared() if isinstance(page, Page) and page.group == group]


def routes_of_request() -> Routes | None:
    """The declaration of the view that is asked; None: Flask's own, or there is no such address."""
    routes = current_app.blueprints.get(request.blueprint or "")
    return routes if isinstance(routes, Routes) else None


def guard_of_request() -> Guard | None:
    """What the request at hand needs; None when there is no such address."""
    if request.endpoint is None:
        return None
    if request.endpoint == STATIC:
        return "open"
    routes = routes_of_request()
    return routes.guards.get(request.endpoint, "read") if routes else "read"
