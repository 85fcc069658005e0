"""What a query is narrowed by, each with the address of the page without it."""

from collections.abc import Callable, Sequence

from flask10x.history.query import Query
from flask10x.web.pages.history.columns import column
from flask10x.web.pages.history.model import Chip
from flask10x.web.texts.captions import condition
from flask10x.web.texts.catalog import Texts

Pairs = list[tuple[str, str]]


def chips(
    query: Query, given: Sequence[tuple[str, str]], address: Callable[[Pairs], str], t: Texts
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


def _text(query: Query, name: str, value: str, t: Texts) -> str | None:
    if name == "endpoint":
        return t.station(query.known.by_endpoint[value])
    if name == "measurement":
        return column(value, query.known, t).label
    if name == "limit":
        return t("filter.rows", n=value)
    if name == "incomplete":
        return t("caption.incomplete")
    if name == "order" and value == "asc":
        return t("order.asc")
    return next((condition(one, query.known, t) for one in query.filters if one.name == name), None)
