"""Notes and corrections in the reader's words."""

from datetime import tzinfo
from urllib.parse import urlencode

from flask import url_for

from flask10x.config.settings import Settings
from flask10x.history.annotations import Correction, WrittenNote
from flask10x.readings.labels import column_name, station_name
from flask10x.readings.times import iso_text, local_text
from flask10x.translation import Translation
from flask10x.web.pages.notes.model import NotedStation, WrittenLine

# So much is shown around a single moment.
AROUND_MS = 3 * 3_600_000


class NotesReader:
    """Says what is written; a station or measurement that is no more goes by its own name."""

    def __init__(self, settings: Settings, t: Translation) -> None:
        self._stations = settings.stations
        self._zone: tzinfo | None = settings.zone
        self._t = t

    def choices(self) -> list[NotedStation]:
        """What a form offers."""
        return [
            NotedStation(
                endpoint=station.endpoint,
                name=station_name(station, self._t),
                columns={
                    m.column: f"{column_name(m, self._t)} {m.unit}".rstrip()
                    for m in station.measurements
                },
            )
            for station in self._stations.all
        ]

    def note(self, one: WrittenNote) -> WrittenLine:
        """A line of the list."""
        return WrittenLine(
            kind="note",
            id=one.id,
            when=self._when(one.first_ms, one.last_ms),
            about=self._station(one.endpoint) if one.endpoint else self._t("the whole house"),
            text=one.text,
            change="",
            written=local_text(one.written_at, self._zone),
            undone=self._undone(one.undone_at),
            see_url=self._see(one.endpoint, one.first_ms, one.last_ms),
        )

    def correction(self, one: Correction) -> WrittenLine:
        """A line of the list."""
        return WrittenLine(
            kind=one.kind,
            id=one.id,
            when=self._when(one.first_ms, one.last_ms),
            about=self.about(one.endpoint, one.measurement),
            text=one.reason,
            change=self.change(one),
            written=local_text(one.written_at, self._zone),
            undone=self._undone(one.undone_at),
            see_url=self._see(one.endpoint, one.first_ms, one.last_ms),
        )

    def about(self, endpoint: str, column: str | None) -> str:
        """`Bedroom: CO₂`."""
        if column is None:
            return self._station(endpoint)
        known = self._stations.by_column.get(column)
        name = column_name(known, self._t) if known else column
        return self._t("{station}: {name}", station=self._station(endpoint), name=name)

    def change(self, one: Correction) -> str:
        """`hidden`, `× 1.02 − 0.5 °C`."""
        if one.kind == "hide":
            return self._t("hidden")
        known = self._stations.by_column.get(one.measurement or "")
        gain, offset = 1.0 if one.gain is None else one.gain, one.offset or 0.0
        parts = [f"× {gain:g}"] if gain != 1 else []
        if offset or not parts:
            sign = "+" if offset >= 0 else "\N{MINUS SIGN}"
            unit = known.unit if known else ""
            parts.append(f"{sign}{abs(offset):g} {unit}".rstrip())
        return " ".join(parts)

    def _station(self, endpoint: str) -> str:
        known = self._stations.by_endpoint.get(endpoint)
        return station_name(known, self._t) if known else endpoint

    def _when(self, first_ms: int | None, last_ms: int | None) -> str:
        first = "" if first_ms is None else local_text(first_ms, self._zone)
        last = "" if last_ms is None else local_text(last_ms, self._zone)
        if first == last:
            return first or self._t("always")
        if not last:
            return self._t("from {time}", time=first)
        if not first:
            return self._t("to {time}", time=last)
        return f"{first} – {last}"

    def _undone(self, ms: int | None) -> str:
        return "" if ms is None else local_text(ms, self._zone)

    def _see(self, endpoint: str | None, first_ms: int | None, last_ms: int | None) -> str:
        if first_ms is None or last_ms is None:
            return ""
        around = AROUND_MS if last_ms - first_ms < AROUND_MS else 0
        pairs = [("endpoint", endpoint)] if endpoint else []
        pairs += [("from", iso_text(max(first_ms - around, 0), self._zone))]
        pairs += [("to", iso_text(last_ms + around, self._zone))]
        return f"{url_for('history_page.as_page')}?{urlencode(pairs, safe=':')}"
