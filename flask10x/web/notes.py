"""Notes and corrections in the reader's words, and as objects for programs."""

from datetime import tzinfo

from flask10x.config.settings import Settings
from flask10x.history import annotations
from flask10x.history.annotations import WrittenNote
from flask10x.history.buckets import Window
from flask10x.history.corrections import Correction
from flask10x.history.query import Query
from flask10x.history.view import View
from flask10x.readings.labels import Moments, column_name, end_of_range, range_of, station_name
from flask10x.readings.numbers import separated
from flask10x.readings.reasons import WrongValue
from flask10x.readings.times import iso_text, local_text, parse_bound
from flask10x.translation import Translation
from flask10x.web import context
from flask10x.web.ranges import bound_text, history_url

# So much is shown around a single moment.
AROUND_MS = 3 * 3_600_000
# A reader cannot distinguish more marks than that.
MOST_MARKS = 200


class NotesReader:
    """Words what is written; a station or measurement that is no more goes by its own name."""

    def __init__(self, settings: Settings, t: Translation, now_ms: int) -> None:
        self._stations = settings.stations
        self._zone: tzinfo | None = settings.zone
        self._t = t
        self._now_ms = now_ms
        self._written = Moments(settings.zone, t, now_ms)

    def about(self, written: WrittenNote | Correction) -> str:
        """`Bedroom: CO₂`."""
        if not written.endpoint:
            return self._t("the whole house")
        station = self._stations.by_endpoint.get(written.endpoint)
        name = station_name(station, self._t) if station else written.endpoint
        if isinstance(written, WrittenNote) or written.measurement is None:
            return name
        column = written.measurement
        measurement = self._stations.by_column.get(column)
        label = column_name(measurement, self._t) if measurement else column
        return self._t("{station}: {name}", station=name, name=label)

    def change(self, correction: Correction) -> str:
        """`hidden`, `× 1.02 − 0.5 °C`."""
        if correction.kind == "hide":
            return self._t("hidden")
        measurement = self._stations.by_column.get(correction.measurement or "")
        gain, offset = 1.0 if correction.gain is None else correction.gain, correction.offset or 0.0
        parts = [f"× {separated(f'{gain:g}')}"] if gain != 1 else []
        if offset or not parts:
            sign, number = "+" if offset >= 0 else "", separated(f"{offset:g}")
            parts.append(f"{sign}{number} {measurement.unit if measurement else ''}".rstrip())
        return " ".join(parts)

    def time(self, ms: int | None) -> str:
        """When something was written, to the minute; empty for None."""
        return "" if ms is None else self._written(ms)

    def when(self, written: WrittenNote | Correction) -> str:
        """Its range of time."""
        first_ms, last_ms, now_ms = written.first_ms, written.last_ms, self._now_ms
        if first_ms is not None and last_ms is not None:
            return range_of(first_ms, last_ms, self._zone, self._t, now_ms)
        if first_ms is not None:
            first = end_of_range(first_ms, self._zone, self._t, now_ms, last=False)
            return self._t("from {time}", time=first)
        if last_ms is not None:
            last = end_of_range(last_ms, self._zone, self._t, now_ms, last=True)
            return self._t("to {time}", time=last)
        return self._t("always")

    def field(self, written: WrittenNote | Correction, name: str) -> str:
        """A field of the form in which it could have been written; empty for an end that is open.

        A note at a moment has one time.
        """
        first, last = written.first_ms, written.last_ms
        if name == "about":
            measurement = None if isinstance(written, WrittenNote) else written.measurement
            return ".".join(part for part in (written.endpoint, measurement) if part)
        if name == "text":
            return written.text if isinstance(written, WrittenNote) else written.reason
        ms = first if name == "from" else None if last == first else last
        return "" if ms is None else bound_text(ms, self._zone, end=name == "to")

    def picked(self, text: str, *, end: bool = False) -> str | None:
        """A time as a browser's picker wants it, `2025-08-24T09:00:00`; None where it can't say it.

        So it is of a time that is no time, and of one that a clock change repeats.
        """
        try:
            ms = parse_bound(text, self._zone, self._now_ms, end=end) if text.strip() else None
        except WrongValue:
            return None
        if ms is None:
            return ""
        local = local_text(ms, self._zone)
        return local.replace(" ", "T") if bound_text(ms, self._zone, end=end) == local else None

    def see_url(self, written: WrittenNote | Correction) -> str:
        """Return the history at this time; empty where a range has no two ends."""
        first_ms, last_ms = written.first_ms, written.last_ms
        if first_ms is None or last_ms is None:
            return ""
        around = AROUND_MS if last_ms - first_ms < AROUND_MS else 0
        return history_url(
            iso_text(max(first_ms - around, 0), self._zone),
            iso_text(last_ms + around, self._zone),
            endpoint=written.endpoint or None,
        )


def as_object(written: WrittenNote | Correction, zone: tzinfo | None) -> dict[str, object]:
    """Return it as JSON has it; times with milliseconds and the offset, an open end is null."""
    first_ms, last_ms, undone_at = (
        None if ms is None else iso_text(ms, zone)
        for ms in (written.first_ms, written.last_ms, written.undone_at)
    )
    fields: dict[str, object] = {"id": written.id, "endpoint": written.endpoint}
    if isinstance(written, Correction):
        fields |= {"measurement": written.measurement}
    fields |= {"from": first_ms, "to": last_ms}
    fields |= {"from_ms": written.first_ms, "to_ms": written.last_ms}
    if isinstance(written, Correction):
        fields |= {"kind": written.kind, "gain": written.gain, "offset": written.offset}
    text = written.reason if isinstance(written, Correction) else written.text
    return fields | {
        "text": text,
        "written": iso_text(written.written_at, zone),
        "undone": undone_at,
    }


def beside_chart(
    view: View, query: Query, window: Window | None, t: Translation
) -> dict[str, list[dict[str, object]]]:
    """Return what counts within the window of a chart: the keys `notes` and `corrections`.

    MOST_MARKS of each at most: the newest notes. A correction has its change in the reader's words
    besides.
    """
    if window is None:
        return {"notes": [], "corrections": []}
    settings = context.store().settings
    endpoints = [station.endpoint for station in query.stations]
    ends = (window.first_ms, window.last_ms)
    notes = annotations.notes_within(view.connection, endpoints, *ends)
    written = annotations.corrections_within(view.written_corrections, endpoints, *ends)
    reader = NotesReader(settings, t, view.now_ms)
    return {
        "notes": [as_object(note, settings.zone) for note in notes[-MOST_MARKS:]],
        "corrections": [
            as_object(correction, settings.zone) | {"change": reader.change(correction)}
            for correction in written[:MOST_MARKS]
        ],
    }
