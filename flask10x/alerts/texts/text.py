"""A message in words."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """What a person reads."""

    title: str
    body: str
    """Lines, each a sentence or two."""
    url: str = ""
    """Where to see more; empty where nobody has said where the pages are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wording:
    """How one kind of alert is told. A line that lacks a fact in its braces is left out.

    `{name}` is what it is about; the facts are those of `alerts/alert.py`, with their units.
    """

    title: str
    later: str = ""
    """The title of what comes after the entry, for values are of its time; empty: the same."""
    what: tuple[str, ...]
    """The first one that can be filled in, then what is known beside it, a line each."""
    known: tuple[str, ...] = ()
    do: str
    """What a person at home can do."""
    over: str
    """That it is over."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """All words of one language."""

    wordings: dict[str, Wording]
    frame: dict[str, str]
    """What stands around them."""
    stations: dict[str, str]
    """The built-in stations by endpoint, as the pages call them."""
    columns: dict[str, str]
    """The built-in measurements by column, likewise."""
    weekdays: str
    """From Monday on, a word each."""
    months: str
    """From January on, a word each."""
