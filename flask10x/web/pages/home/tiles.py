"""The tiles of the home: from the newest reading of each station and from its last day."""

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlencode

from flask import url_for

from flask10x.history.view import View
from flask10x.readings.labels import column_name, station_name
from flask10x.readings.rounding import rounded
from flask10x.readings.stations import Measurement
from flask10x.readings.times import SECOND_MS, is_date, local_text
from flask10x.runtime.store import Store
from flask10x.translation import Translation
from flask10x.web.alert_state import state
from flask10x.web.cards import AGE_KINDS, Card, Value, age_text, cards
from flask10x.web.pages.alerts import marks
from flask10x.web.pages.alerts.marks import CardMark
from flask10x.web.pages.home.day import DayOfValues, DayPart, days_of
from flask10x.web.pages.home.model import (
    Extreme,
    Home,
    MainValue,
    Sparkline,
    Tile,
    TileAge,
    TileValue,
)
from flask10x.web.pages.home.sparkline import sparkline
from flask10x.web.pages.home.trends import trend

# What people ask of a room first; of a station without any of them it is its first measurement.
ASKED_FIRST = ("temperature", "co2", "humidity")
# Of derived values; the others are in charts and downloads for who asks for them.
COMPUTED = ("dew_point", "discomfort_index")
# `2025-08-24 09:00:12`: where the hour and the minute stand.
CLOCK = slice(11, 16)


def home(view: View, store: Store, t: Translation, trial: str) -> Home:
    """A tile of each station that has ever sent; raises what reading raises.

    `trial` is the command that sends a first reading; it is shown where there is none.
    """
    every = cards(view, store)
    marked = marks.of_stations(store.settings, t, view.now_ms)
    heard = [one for one in every if one.silence.state != "never"]
    days = days_of(
        view,
        [
            (one.station, main_of(one.station.measurements, one.values).column)
            for one in heard
            if one.values
        ],
    )
    builder = _Builder(view, t, days)
    tiles = [builder.tile(one, marked.get(one.station.endpoint, [])) for one in heard]
    return Home(
        tiles=tiles,
        unheard=[station_name(one.station, t) for one in every if one.silence.state == "never"],
        is_well=not state().known().active and all(_is_well(one) for one in heard),
        trial="" if heard else trial,
    )


class _Builder:
    """What the tiles of one answer have in common."""

    def __init__(self, view: View, t: Translation, days: Mapping[str, DayOfValues]) -> None:
        self._t, self._now_ms, self._zone, self._days = t, view.now_ms, view.zone, days

    def tile(self, card: Card, alerts: Sequence[CardMark]) -> Tile:
        """The tile of the station of this card."""
        station = card.station
        known = {value.column: value for value in card.values}
        main = main_of(station.measurements, card.values)
        link = {"endpoint": station.endpoint, "from": "-24h"}
        return Tile(
            endpoint=station.endpoint,
            name=station_name(station, self._t),
            url=f"{url_for('history_page.as_page')}?{urlencode(link)}",
            state=card.silence.state,
            after_sec=card.silence.after_sec,
            age=self._age_of(card),
            main=self._main(main, known[main.column], card) if known else None,
            others=[*self._others(card, main, known), *self._computed(card)],
            alerts=alerts,
        )

    def _others(
        self, card: Card, main: Measurement, known: Mapping[str, Value]
    ) -> Iterator[TileValue]:
        for one in card.station.measurements:
            if one is not main and one.column in known and _was_ever(known[one.column]):
                yield self._value(one, known[one.column])

    def _computed(self, card: Card) -> Iterator[TileValue]:
        """Of what is computed the few that say something at a glance."""
        for measurement, value in card.derived:
            if measurement.column in COMPUTED:
                yield self._value(measurement, value)

    def _age_of(self, card: Card) -> TileAge | None:
        silence = card.silence
        if silence.age_sec is None:
            return None
        return self._age(AGE_KINDS[silence.state], silence.age_sec, card.received_at)

    def _age(self, kind: str, seconds: int, at: int | None) -> TileAge:
        time = local_text(at, self._zone) if at is not None else ""
        return TileAge(kind=kind, seconds=seconds, text=age_text(kind, seconds, self._t), time=time)

    def _value(self, one: Measurement, value: Value) -> TileValue:
        return TileValue(name=column_name(one, self._t), value=value, age=self._age_of_value(value))

    def _age_of_value(self, value: Value) -> TileAge | None:
        at = value.received_at
        if at is None:
            return None
        return self._age("age", max(0, self._now_ms - at) // SECOND_MS, at)

    def _main(self, one: Measurement, value: Value, card: Card) -> MainValue:
        day = self._days.get(card.station.endpoint)
        is_current = card.silence.state == "receiving" and not value.missing
        return MainValue(
            name=column_name(one, self._t),
            value=value,
            age=self._age_of_value(value),
            trend=trend(day.hourly_change, one.unit, self._t) if day and is_current else None,
            lowest=self._extreme(day.lowest, one.unit, "minimum") if day else None,
            highest=self._extreme(day.highest, one.unit, "maximum") if day else None,
            sparkline=self._line(day, one) if day else None,
        )

    def _line(self, day: DayOfValues, one: Measurement) -> Sparkline | None:
        values = [step.average for step in day.steps]
        if not values:
            return None
        low, high = (f"{rounded(end(values), one.unit)} {one.unit}" for end in (min, max))
        said = self._t(
            "{name} of the last 24 hours, from {low} to {high}",
            name=column_name(one, self._t),
            low=low,
            high=high,
        )
        return sparkline(day, one.unit, self._zone, said)

    def _extreme(self, step: DayPart | None, unit: str, end: str) -> Extreme | None:
        if step is None:
            return None
        time = local_text(step.first_ms, self._zone)[CLOCK] if is_date(step.first_ms) else ""
        return Extreme(text=rounded(getattr(step, end), unit), time=time)


def main_of(measurements: Sequence[Measurement], values: Sequence[Value]) -> Measurement:
    """What a tile shows large: of what is asked first the first that is known now, or ever was."""
    wanted = [m for q in ASKED_FIRST for m in measurements if m.quantity == q]
    wanted += [m for m in measurements if m not in wanted]
    now = {value.column for value in values if not value.missing}
    ever = {value.column for value in values if _was_ever(value)}
    # A sensor that failed an hour ago is still that of the room, unless another one stands in.
    for one in wanted:
        if one.column in ever:
            spare = (m for m in wanted if m.quantity == one.quantity and m.column in now)
            return next(spare, one)
    return wanted[0]


def _is_well(card: Card) -> bool:
    """Whether the station sends, or was put away."""
    return card.silence.state != "awaited" and not card.silence.is_missed


def _was_ever(value: Value) -> bool:
    """Whether anything is known of it: what no sensor has ever sent needs no place."""
    return not value.missing or value.received_at is not None
