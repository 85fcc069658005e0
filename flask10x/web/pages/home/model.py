"""What the template of the home shows, and nothing that it would have to work out."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask10x.history.silence import State
from flask10x.web.cards import Value
from flask10x.web.pages.alerts.marks import CardMark


@dataclass(frozen=True, kw_only=True, slots=True)
class Extreme:
    """The least or greatest value of today, and the local time of it, `05:40`."""

    text: str
    time: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Trend:
    """By how much a value is another one than an hour ago."""

    direction: str
    """`up`, `down` or `level`."""
    text: str
    """In words, with sign and unit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AxisMark:
    """A full hour below the line of the day."""

    x: float
    text: str
    is_midnight: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Sparkline:
    """The line of the last day as SVG, in the units of its own view box."""

    line: str
    """Path data of the averages; broken where readings are missing."""
    area: str
    """The same, closed at the bottom."""
    last: tuple[float, float]
    """Where it ends."""
    marks: Sequence[AxisMark]
    said: str
    """What it shows, for those who don't see it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TileAge:
    """How long ago a station sent, or a value came in."""

    kind: str
    """What it is of: `age`, `awaited` or `silent`."""
    seconds: int
    text: str
    time: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TileValue:
    """A measurement of a tile."""

    name: str
    value: Value
    age: TileAge | None
    """Of the value, where the newest reading lacks it and an older one is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MainValue(TileValue):
    """What a tile shows large."""

    trend: Trend | None
    lowest: Extreme | None
    highest: Extreme | None
    sparkline: Sparkline | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """A station."""

    endpoint: str
    name: str
    url: str
    """Its last day, with charts."""
    state: State
    after_sec: int
    """After how many seconds without a reading it is silent."""
    age: TileAge | None
    main: MainValue | None
    """None where it is silent for so long that nothing is known of it any more."""
    others: Sequence[TileValue]
    alerts: Sequence[CardMark]


@dataclass(frozen=True, kw_only=True, slots=True)
class Home:
    """The tiles, and how the house is as a whole."""

    tiles: Sequence[Tile]
    unheard: Sequence[str]
    """The names of stations that have never sent."""
    is_well: bool
    """Whether all that have ever sent do so now, and nothing is wrong."""
    trial: str
    """The command that sends a first reading, where none has ever come in; else empty."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HomeModel:
    """The whole page."""

    date: str
    """Today, in words."""
    time: str
    """The local time of the values, `21:05`."""
    now_ms: int
    zone: str
    is_kiosk: bool
    home: Home | None
    """None where the reader may not see readings, or they can't be read."""
    obstacle: str
    """Why there are no tiles: `token`, `missing` or `unreadable`; empty when there are."""
