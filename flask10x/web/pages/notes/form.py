"""A form of the page `/notes`: its fields in, a checked note or correction out."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from flask10x.config.settings import Settings
from flask10x.errors import QueryError
from flask10x.history.annotations import Correction, Kind, WrittenNote
from flask10x.readings.reasons import Reason, WrongValue
from flask10x.readings.times import parse_bound

KINDS: tuple[Kind, ...] = get_args(Kind)
ONE_OF_KINDS = Reason("one_of_needed", known=", ".join(KINDS))
FIELDS = ("what", "about", "from", "to", "gain", "offset", "text")
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

    def __init__(self, fields: Mapping[str, str], settings: Settings, now_ms: int) -> None:
        self._fields = {name: fields.get(name, "").strip() for name in FIELDS}
        self._settings = settings
        self._now_ms = now_ms
        self._errors: dict[str, str] = {}

    def read(self) -> WrittenNote | Correction:
        """What the fields say; raises QueryError that names every wrong one."""
        kind = self._kind()
        about = self._about()
        first_ms, last_ms = self._bound("from", end=False), self._bound("to", end=True)
        if kind == "note":
            found: WrittenNote | Correction = self._note(about, first_ms, last_ms)
        else:
            found = self._correction(kind, about, first_ms, last_ms)
        if first_ms is not None and last_ms is not None and first_ms > last_ms:
            self._errors.setdefault("from", Reason("from_after_to"))
        if self._errors:
            raise QueryError(self._errors)
        return found

    def _kind(self) -> Kind:
        for one in KINDS:
            if self._fields["what"] == one:
                return one
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
            known = ", ".join(station.columns)
            self._errors["about"] = Reason("unknown_measurement", known=known)
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
        text = self._fields[name].replace("\N{MINUS SIGN}", "-")
        if not text:
            return default
        if re.fullmatch(r"[+-]?(?:[0-9]{1,15}\.?[0-9]{0,15}|\.[0-9]{1,15})", text):
            number = float(text)
            if math.isfinite(number):
                return number
        self._errors[name] = Reason("number_needed")
        return default

    def _text(self) -> str:
        # In a line of text a control character is a gap between words, as it is between lines.
        text = " ".join(CONTROL.sub(" ", self._fields["text"]).split())
        if len(text) > TEXT_CHARS:
            shown = text[:20] + "…"
            self._errors["text"] = Reason("too_long", n=TEXT_CHARS, text=shown)
        return text
