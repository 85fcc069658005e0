"""Which table of `/records` is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from werkzeug.datastructures import MultiDict

from flask10x.errors import QueryError
from flask10x.history import periods
from flask10x.history.parameters import unknown_name
from flask10x.history.period_tables import Limit
from flask10x.history.query import number
from flask10x.readings.reasons import Reason, WrongValue
from flask10x.readings.stations import Measurement, Station, Stations

T = TypeVar("T")

NAMES = ("endpoint", "measurement", "period", "above", "below", "raw")


@dataclass(frozen=True, kw_only=True, slots=True)
class AskedRecords:
    """A measurement of a station over a period, and the limit whose hours are counted."""

    station: Station
    measurement: Measurement
    period: str
    """`2025-08`, `2025` or `all`."""
    limit: Limit | None
    is_raw: bool
    """Whether values are those that were stored, without corrections."""


class _Asked:
    """Reads the parameters and collects what is wrong with them."""

    def __init__(self, args: MultiDict[str, str], *, blank_is_absent: bool) -> None:
        self._args = {name: value for name, value in args.items() if value.strip()}
        self.errors: dict[str, Reason] = {}
        if not blank_is_absent:
            self.errors = {name: Reason("blank") for name in args if name not in self._args}
        for name in args:
            if name not in NAMES:
                self.errors[name] = unknown_name("unknown_parameter", name, NAMES)
            elif len(args.getlist(name)) > 1:
                self.errors[name] = Reason("given_times", n=len(args.getlist(name)))

    def given(self, name: str) -> str | None:
        """The text of a parameter; None when it is absent, empty or wrong already."""
        return None if name in self.errors else self._args.get(name)

    def chosen(self, name: str, code: str, known: tuple[str, ...], default: str) -> str:
        """One of the known names; the default when none is given, or a wrong one."""
        text = self.given(name)
        if text is None or text in known:
            return text or default
        self.errors[name] = unknown_name(code, text, known, known=", ".join(known))
        return default

    def read(self, name: str, parse: Callable[[str], T]) -> T | None:
        """The parsed value; None when it is absent, or wrong and now among the errors."""
        text = self.given(name)
        if text is None:
            return None
        try:
            return parse(text)
        except WrongValue as error:
            self.errors[name] = error.reason
            return None


def asked(
    args: MultiDict[str, str],
    stations: Stations,
    first: Station,
    this_month: str,
    *,
    blank_is_absent: bool,
) -> AskedRecords:
    """What the query string asks for, of the station `first` where it names none.

    `blank_is_absent` is for a page: a browser sends the empty fields of a form. Raises QueryError
    that names every wrong parameter.
    """
    given = _Asked(args, blank_is_absent=blank_is_absent)
    known = tuple(stations.by_endpoint)
    station = stations.by_endpoint[
        given.chosen("endpoint", "unknown_station", known, first.endpoint)
    ]
    column = given.chosen("measurement", "unknown_measurement", station.columns, station.columns[0])
    period = given.read("period", periods.checked) or this_month
    above, below = given.read("above", number), given.read("below", number)
    if above is not None and below is not None:
        given.errors["below"] = Reason("above_or_below")
    if (raw := given.given("raw")) not in (None, "1"):
        given.errors["raw"] = Reason("yes_needed")
    if given.errors:
        raise QueryError(given.errors)
    return AskedRecords(
        station=station,
        measurement=station.measurements[station.columns.index(column)],
        period=period,
        limit=_limit(above, below),
        is_raw=raw is not None,
    )


def _limit(above: float | None, below: float | None) -> Limit | None:
    if above is not None:
        return Limit(value=above, above=True)
    return None if below is None else Limit(value=below, above=False)
