"""The forms of the page `/notes`, checked."""

import re
from collections.abc import Mapping
from typing import get_args

from flask10x.config.settings import Settings
from flask10x.errors import QueryError
from flask10x.history.annotations import Kind, WrittenNote
from flask10x.history.corrections import Correction
from flask10x.readings.numbers import typed_number
from flask10x.readings.reasons import Reason, WrongValue
from flask10x.readings.times import parse_bound
from flask10x.web.pages.notes.reading import Pointed

KINDS: tuple[Kind, ...] = get_args(Kind)
ONE_OF_KINDS = Reason("one_of_needed", known=", ".join(KINDS))
FIELDS = ("what", "about", "from", "to", "gain", "offset", "text", "reading", "edit", "back")
# A note is read beside the cursor of a chart.
TEXT_CHARS = 300
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


About = tuple[str, str | None]
"""A station, empty for the whole house, and one of its measurements, or None for all of them."""


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
        """Return what the fields say; raises QueryError that names every wrong one."""
        kind = next((kind for kind in KINDS if self._fields["what"] == kind), None)
        if kind is None:
            raise QueryError({"what": ONE_OF_KINDS})
        if self._pointed:
            row, column, _ = self._pointed
            about: About = (row.endpoint, None if kind == "note" else column)
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

    def _missing(self, *names: str) -> None:
        for name in names:
            self._errors.setdefault(name, Reason("missing"))

    def _note(self, about: About, first_ms: int | None, last_ms: int | None) -> WrittenNote:
        (endpoint, column), text = about, self._text()
        if not text:
            self._missing("text")
        if column:
            self._errors.setdefault("about", Reason("no_such_station"))
        if first_ms is None:
            self._missing("from")
        first_ms = first_ms or 0
        return WrittenNote(
            endpoint=endpoint or None,
            first_ms=first_ms,
            last_ms=first_ms if last_ms is None else last_ms,
            text=text,
            written_at=self._now_ms,
        )

    def _correction(
        self, kind: Kind, about: About, first_ms: int | None, last_ms: int | None
    ) -> Correction:
        endpoint, column = about
        if not endpoint:
            self._missing("about")
        gain = offset = None
        if kind == "adjust":
            gain, offset = self._number("gain", 1.0), self._number("offset", 0.0)
            if gain <= 0:
                self._errors.setdefault("gain", Reason("number_above_0_needed"))
            if (gain, offset) == (1.0, 0.0):
                self._missing("offset")
            if endpoint and not column:
                self._errors.setdefault("about", Reason("one_measurement_needed"))
        else:
            # All of a station at once would be hidden by a form that was left half empty.
            self._missing(*(n for n, ms in (("from", first_ms), ("to", last_ms)) if ms is None))
        return Correction(
            endpoint=endpoint,
            measurement=column,
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
        station = self._settings.stations.by_endpoint.get(endpoint)
        if endpoint and station is None:
            self._errors["about"] = Reason("no_such_station")
        elif station and column and column not in station.columns:
            columns = ", ".join(station.columns)
            self._errors["about"] = Reason("unknown_measurement", known=columns)
        return endpoint, column or None if endpoint else None

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
        except ValueError:
            self._errors[name] = Reason("number_needed")
        return default

    def _text(self) -> str:
        # In a line of text a control character is a gap between words, as it is between lines.
        text = " ".join(CONTROL.sub(" ", self._fields["text"]).split())
        if len(text) > TEXT_CHARS:
            shown = text[:20] + "…"
            self._errors["text"] = Reason("too_long", n=TEXT_CHARS, text=shown)
        return text
