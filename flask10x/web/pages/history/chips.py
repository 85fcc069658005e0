"""What a query is narrowed by, each with the address of the page without it."""

from collections.abc import Callable, Sequence

from flask10x.history.query import Query
from flask10x.readings.labels import station_name
from flask10x.translation import Translation
from flask10x.web.captions import condition
from flask10x.web.pages.history.columns import column
from flask10x.web.pages.history.model import Chip

Pairs = list[tuple[str, str]]


def chips(
    query: Query, given: Sequence[tuple[str, str]], address: Callable[[Pairs], str], t: Translation
) -> list[Chip]:
    """A chip of each parameter that narrows the query or changes its page, in the order given.

    `given` are all parameters that the page keeps; the range of time is no chip, for it has links
    of its own.
    """
    found = []
    for place, (name, value) in enumerate(given):
        if text := _text(query, name, value.strip(), t):
            rest = [*given[:place], *given[place + 1 :]]
            found.append(Chip(text=text, url=address(rest)))
    return found


def _text(query: Query, name: str, value: str, t: Translation) -> str | None:
    if name == "endpoint":
        return station_name(query.known.by_endpoint[value], t)
    if name == "measurement":
        return column(value, query.known, t).label
    if name == "limit":
        return t("{n} rows a page", n=value)
    if name == "incomplete":
        return t("incomplete only")
    if name == "order" and value == "asc":
        return t("oldest first")
    return next((condition(one, query.known, t) for one in query.filters if one.name == name), None)
