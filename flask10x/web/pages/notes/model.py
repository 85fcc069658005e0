"""The page `/notes`: what its template shows, in the reader's words, and its checked form."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import get_args
from urllib.parse import urlencode

from flask import url_for

from flask10x.config.settings import Settings
from flask10x.errors import QueryError
from flask10x.history.annotations import Correction, Kind, WrittenNote
from flask10x.readings.labels import Moments, column_name, end_of_range, range_of, station_name
from flask10x.readings.numbers import NotTyped, number_meant, separated, typed_number
from flask10x.readings.reasons import Reason, WrongValue
from flask10x.readings.times import iso_text, local_text, parse_bound
from flask10x.translation import Translation
from flask10x.web.pages.notes.reading import Pointed
from flask10x.web.ranges import bound_text

# So much is shown around a single moment.
AROUND_MS = 3 * 3_600_000


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
            return About(written.endpoint, measurement).name
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
        """The history at this time; empty where a range has no two ends."""
        endpoint, first_ms, last_ms = written.endpoint, written.first_ms, written.last_ms
        if first_ms is None or last_ms is None:
            return ""
        around = AROUND_MS if last_ms - first_ms < AROUND_MS else 0
        pairs = [("endpoint", endpoint)] if endpoint else []
        pairs += [("from", iso_text(max(first_ms - around, 0), self._zone))]
        pairs += [("to", iso_text(last_ms + around, self._zone))]
        return f"{url_for('history_page.as_page')}?{urlencode(pairs, safe=':')}"


KINDS: tuple[Kind, ...] = get_args(Kind)
ONE_OF_KINDS = Reason("one_of_needed", known=", ".join(KINDS))
FIELDS = ("what", "about", "from", "to", "gain", "offset", "text", "reading", "edit", "back")
# A note is read beside the cursor of a chart.
TEXT_CHARS = 300
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class About:
    """A station, and one of its measurements or all of them."""

    endpoint: str | None
    measurement: str | None

    @property
    def name(self) -> str:
        """As the form sends it: `data2.co2`, `data2`, or nothing for the whole house."""
        return ".".join(part for part in (self.endpoint, self.measurement) if part)


class NotesForm:
    """Reads the fields one by one and collects what is wrong with them."""

    def __init__(
        self,
        fields: Mapping[str, str],
        settings: Settings,
        now_ms: int,
        pointed: Pointed | None = None,
    ) -> None:
        """`pointed` is the reading that `reading` names, which has station and time by itself."""
        self._fields = {name: fields.get(name, "").strip() for name in FIELDS}
        self._settings = settings
        self._now_ms = now_ms
        self._pointed = pointed
        self._errors: dict[str, str] = {}

    def read(self) -> WrittenNote | Correction:
        """What the fields say; raises QueryError that names every wrong one."""
        kind = self._kind()
        if self._pointed:
            row, column, _ = self._pointed
            about = About(row.endpoint, None if kind == "note" else column)
            first_ms: int | None = row.received_at
            last_ms: int | None = row.received_at
        else:
            if self._fields["reading"]:
                self._errors["reading"] = Reason("no_such_reading")
            about = self._about()
            first_ms, last_ms = self._bound("from", end=False), self._bound("to", end=True)
        if kind == "note":
            written: WrittenNote | Correction = self._note(about, first_ms, last_ms)
        else:
            written = self._correction(kind, about, first_ms, last_ms)
        if first_ms is not None and last_ms is not None and first_ms > last_ms:
            self._errors.setdefault("from", Reason("from_after_to"))
        if self._errors:
            raise QueryError(self._errors)
        return written

    def _kind(self) -> Kind:
        for kind in KINDS:
            if self._fields["what"] == kind:
                return kind
        raise QueryError({"what": ONE_OF_KINDS})

    def _note(self, about: About, first_ms: int | None, last_ms: int | None) -> WrittenNote:
        text = self._text()
        if not text:
            self._errors.setdefault("text", Reason("missing"))
        if about.measurement:
            self._errors.setdefault("about", Reason("no_such_station"))
        if first_ms is None:
            self._errors.setdefault("from", Reason("missing"))
        first_ms = first_ms or 0
        return WrittenNote(
            endpoint=about.endpoint,
            first_ms=first_ms,
            last_ms=first_ms if last_ms is None else last_ms,
            text=text,
            written_at=self._now_ms,
        )

    def _correction(
        self, kind: Kind, about: About, first_ms: int | None, last_ms: int | None
    ) -> Correction:
        if not about.endpoint:
            self._errors.setdefault("about", Reason("missing"))
        gain = offset = None
        if kind == "adjust":
            gain, offset = self._number("gain", 1.0), self._number("offset", 0.0)
            if gain <= 0:
                self._errors.setdefault("gain", Reason("number_above_0_needed"))
            if (gain, offset) == (1.0, 0.0):
                self._errors.setdefault("offset", Reason("missing"))
            if about.endpoint and not about.measurement:
                self._errors.setdefault("about", Reason("one_measurement_needed"))
        else:
            # All of a station at once would be hidden by a form that was left half empty.
            for name, ms in (("from", first_ms), ("to", last_ms)):
                if ms is None:
                    self._errors.setdefault(name, Reason("missing"))
        return Correction(
            endpoint=about.endpoint or "",
            measurement=about.measurement,
            first_ms=first_ms,
            last_ms=last_ms,
            kind="adjust" if kind == "adjust" else "hide",
            gain=gain,
            offset=offset,
            reason=self._text(),
            written_at=self._now_ms,
        )

    def _about(self) -> About:
        endpoint, _, column = self._fields["about"].partition(".")
        if not endpoint:
            return About(None, None)
        station = self._settings.stations.by_endpoint.get(endpoint)
        if station is None:
            self._errors["about"] = Reason("no_such_station")
        elif column and column not in station.columns:
            columns = ", ".join(station.columns)
            self._errors["about"] = Reason("unknown_measurement", known=columns)
        return About(endpoint, column or None)

    def _bound(self, name: str, *, end: bool) -> int | None:
        text = self._fields[name]
        if not text:
            return None
        try:
            return parse_bound(text, self._settings.zone, self._now_ms, end=end)
        except WrongValue as error:
            self._errors[name] = error.reason
            return None

    def _number(self, name: str, default: float) -> float:
        text = self._fields[name]
        if not text:
            return default
        try:
            return float(typed_number(text))
        except NotTyped:
            near = number_meant(text)
            code, values = ("number_needed_near", {"near": near}) if near else ("number_needed", {})
            self._errors[name] = Reason(code, **values)
        return default

    def _text(self) -> str:
        # In a line of text a control character is a gap between words, as it is between lines.
        text = " ".join(CONTROL.sub(" ", self._fields["text"]).split())
        if len(text) > TEXT_CHARS:
            shown = text[:20] + "…"
            self._errors["text"] = Reason("too_long", n=TEXT_CHARS, text=shown)
        return text
