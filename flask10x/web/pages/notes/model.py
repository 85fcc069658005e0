"""What the template of `/notes` shows, and nothing that it would have to work out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask10x.history.annotations import Kind


@dataclass(frozen=True, kw_only=True, slots=True)
class NotedStation:
    """A station, with what can be chosen of it."""

    endpoint: str
    name: str
    columns: Mapping[str, str]
    """The name of each measurement, with its unit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenLine:
    """A note or a correction in the list."""

    kind: Kind
    id: int
    when: str
    about: str
    text: str
    """What a note says; of a correction the reason, which may be empty."""
    change: str
    """What a correction does, in words; empty for a note."""
    written: str
    undone: str
    """When it was taken back; empty while it counts."""
    see_url: str
    """The history at this time; empty where a range has no two ends."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NotesModel:
    """The whole page."""

    said: str
    """What became of a form, where that is not all well; or empty."""
    problems: Mapping[str, Mapping[str, str | None]]
    """What is wrong with the form that was sent."""
    fields: Mapping[str, str]
    """What the forms begin with."""
    what: str
    """Which form is open."""
    choices: Sequence[NotedStation]
    notes: Sequence[WrittenLine]
    corrections: Sequence[WrittenLine]
    undone: Sequence[WrittenLine]
