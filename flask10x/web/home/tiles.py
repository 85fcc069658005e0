"""The tiles of the home: from the newest reading of each station and from its last day."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from flask import url_for
from sqlalchemy import Connection

from flask10x.readings.stations import Measurement, Station
from flask10x.readings.times import is_date, local_text
from flask10x.runtime.store import Store
from flask10x.web.alerts import marks
from flask10x.web.alerts.marks import CardMark
from flask10x.web.alerts.state import state
from flask10x.web.home.day import DayOfValues, Step, day_of
from flask10x.web.home.figures import figure, rounded, trend
from flask10x.web.home.model import Extreme, Home, MainValue, SmallValue, Sparkline, Tile, TileAge
from flask10x.web.home.sparkline import sparkline
from flask10x.web.latest.newest import Latest, latest
from flask10x.web.texts.catalog import Texts

# What people ask of a room first; of a station without any of them it is its first measurement.
ASKED_FIRST = ("temperature", "co2", "humidity")
# `2025-08-24 09:00:12`: where the hour and the minute stand.
CLOCK = slice(11, 16)

Days = Mapping[str, DayOfValues]


def home(connection: Connection, store: Store, t: Texts, now_ms: int, trial: str) -> Home:
    """A tile of each station that has ever sent; raises what reading raises.

    `trial` is the command that sends a first reading; it is shown where there is none.
    """
    found = latest(connection, store, store.settings.stations.all)
    marked = marks.of_stations(store.settings, t, now_ms)
    heard = [one for one in found if one.state != "never"]
    tiles = [
        _Builder(connection, store, t, now_ms).tile(one, marked.get(one.station.endpoint, []))
        for one in heard
    ]
    return Home(
        tiles=tiles,
        unheard=[t.station(one.station) for one in found if one.state == "never"],
        is_well=not state().known().active and all(one.state == "receiving" for one in tiles),
        trial="" if heard else trial,
    )


class _Builder:
    """What the tiles of one answer have in common."""

    def __init__(self, connection: Connection, store: Store, t: Texts, now_ms: int) -> None:
        self._connection, self._store, self._t, self._now_ms = connection, store, t, now_ms
        self._zone = store.settings.zone

    def tile(self, one: Latest, alerts: Sequence[CardMark]) -> Tile:
        """The station's tile."""
        station, t = one.station, self._t
        known = self._store.settings.stations
        days = day_of(self._connection, known, station, self._now_ms, self._zone)
        values = dict(zip(station.columns, one.row.values, strict=True)) if one.row else {}
        main = main_of(station, days, values)
        link = {"endpoint": station.endpoint, "from": "-24h"}
        names = [t.column(m) for m in station.measurements if m.column in one.missing]
        return Tile(
            endpoint=station.endpoint,
            name=t.station(station),
            url=f"{url_for('history_page.as_page')}?{urlencode(link)}",
            state=one.state,
            age=self._age(one),
            main=self._main(main, values.get(main.column), days.get(main.column)),
            others=[
                self._small(m, values.get(m.column), days.get(m.column))
                for m in station.measurements
                if m is not main and (values.get(m.column) is not None or m.column in days)
            ],
            missing=t("caption.join").join(names),
            alerts=alerts,
        )

    def _age(self, one: Latest) -> TileAge | None:
        if one.age_sec is None:
            return None
        kind = "silent" if one.state == "silent" else "age"
        return TileAge(
            kind=kind,
            seconds=one.age_sec,
            text=self._t.lasting(kind, one.age_sec),
            time=local_text(one.row.received_at, self._zone) if one.row else "",
        )

    def _main(self, one: Measurement, value: float | None, day: DayOfValues | None) -> MainValue:
        last = day.pieces[-1] if day and day.pieces else None
        shown = value if value is not None or last is None else last.average
        return MainValue(
            column=one.column,
            name=self._t.column(one),
            figure=None if shown is None else figure(shown, one.unit),
            since=self._clock(last.first_ms) if value is None and last else "",
            trend=trend(day.hourly_change, one.unit, self._t) if day else None,
            lowest=self._extreme(day.lowest, one.unit, "minimum") if day else None,
            highest=self._extreme(day.highest, one.unit, "maximum") if day else None,
            sparkline=self._line(day, one) if day else None,
        )

    def _small(self, one: Measurement, value: float | None, day: DayOfValues | None) -> SmallValue:
        return SmallValue(
            column=one.column,
            name=self._t.column(one),
            figure=None if value is None else figure(value, one.unit),
            trend=trend(day.hourly_change, one.unit, self._t) if day else None,
        )

    def _line(self, day: DayOfValues, one: Measurement) -> Sparkline | None:
        values = [piece.average for piece in day.pieces]
        if not values:
            return None
        low, high = (f"{rounded(ends(values), one.unit)} {one.unit}" for ends in (min, max))
        said = self._t("home.line", name=self._t.column(one), low=low, high=high)
        return sparkline(day, one.unit, self._zone, said)

    def _extreme(self, piece: Step | None, unit: str, end: str) -> Extreme | None:
        if piece is None:
            return None
        return Extreme(text=rounded(getattr(piece, end), unit), time=self._clock(piece.first_ms))

    def _clock(self, ms: int) -> str:
        return local_text(ms, self._zone)[CLOCK] if is_date(ms) else ""


def main_of(station: Station, days: Days, values: Mapping[str, float | None]) -> Measurement:
    """What the tile shows large: of what is asked first the first that has values now or today."""
    wanted = [m for q in ASKED_FIRST for m in station.measurements if m.quantity == q]
    wanted += [m for m in station.measurements if m not in wanted]
    known = (m for m in wanted if m.column in days or values.get(m.column) is not None)
    return next(known, wanted[0])
