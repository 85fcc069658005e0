"""What the page says to one of its questions."""

from dataclasses import dataclass
from typing import Literal, get_args

# `off`: not used in this house; `unknown`: it can't be told now.
Mood = Literal["good", "off", "unknown", "warn", "wrong"]
# From the best to the worst.
MOODS: tuple[Mood, ...] = get_args(Mood)


@dataclass(frozen=True, kw_only=True, slots=True)
class Remedy:
    """One thing that people can do."""

    text: str
    command: str = ""
    """Lines for a shell; empty: none is needed."""
    url: str = ""
    """A page that helps; empty: none."""
    link: str = ""
    """What the link to it says."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusAnswer:
    """The answer to one question."""

    question: str
    """Its name: the end of its text's key, and its place in the page."""
    mood: Mood
    text: str
    """The answer in one sentence or two."""
    reason: str = ""
    """As the program says it, in English; empty: there is none."""
    details: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()
