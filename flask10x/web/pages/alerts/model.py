"""What the template of the page of alerts shows, and nothing that it would have to work out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask10x.web.pages.alerts.durations import Duration


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownTime:
    """A time of the page."""

    text: str
    """Local, to the minute."""
    iso: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ToldMessage:
    """What became of one message."""

    about: str
    """The title of its alert, where the message does not stand at it; else empty."""
    text: str
    trouble: str
    """Why the last try failed; empty where none has."""
    is_bad: bool
    """Whether it has not arrived and somebody should look."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownAlert:
    """One alert, active or over."""

    id: int
    rule: str
    subject: str
    title: str
    lines: Sequence[str]
    """Since when, the last value, what to do."""
    since: ShownTime
    ended: ShownTime | None
    lasting: str
    is_recovered: bool
    """Whether it is over because nothing is wrong any more."""
    muted_until: ShownTime | None
    told: Sequence[ToldMessage]
    ways: str
    """The names of the ways that have told of it; empty: none has."""
    next_reminder: ShownTime | None
    see_url: str
    """Where to see more of it."""
    see: str
    """What that is called."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownMute:
    """A rule and a subject of which nothing is sent for a while."""

    rule: str
    subject: str
    title: str
    until: ShownTime


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchedSubject:
    """A subject of a rule, to be chosen."""

    subject: str
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchedRule:
    """One rule that is on."""

    name: str
    sentence: str
    ways: str
    """The names of the ways, where it has ways of its own; empty: all."""
    state: str
    is_wrong: bool
    """Whether an alert of it is active."""
    subjects: Sequence[WatchedSubject]


@dataclass(frozen=True, kw_only=True, slots=True)
class PastPage:
    """A page of the alerts that are over, the newest first."""

    alerts: Sequence[ShownAlert]
    older_url: str | None
    newest_url: str | None
    """None on the first page."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertsModel:
    """The whole page."""

    trouble: str
    """Why the state file can't be read; empty when it was."""
    problems: Mapping[str, Mapping[str, str | None]]
    """What is wrong with the query string."""
    ways: str
    """The names of the ways by which messages go; empty: nobody is told."""
    commands: Sequence[str]
    """What sets a way, as it is typed on this machine; empty where there is one."""
    active: Sequence[ShownAlert]
    troubled: Sequence[ToldMessage]
    """Messages that have not arrived and stand at no active alert."""
    muted: Sequence[ShownMute]
    past: PastPage
    rules: Sequence[WatchedRule]
    durations: Mapping[Duration, str]
    """For how long something can be muted, in words."""
    json_url: str
