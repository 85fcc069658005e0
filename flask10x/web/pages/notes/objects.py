"""Notes and corrections as JSON and as CSV: what they are kept by outside."""

import csv
import io
from collections.abc import Callable, Iterable
from datetime import tzinfo
from typing import Any

from flask10x.history import annotations
from flask10x.history.annotations import Correction, WrittenNote
from flask10x.history.buckets import Window
from flask10x.history.query import Query
from flask10x.history.view import View
from flask10x.readings.csv_lines import is_formula
from flask10x.readings.times import iso_text
from flask10x.translation import Translation
from flask10x.web import context
from flask10x.web.pages.notes.model import NotesReader

COLUMNS = (
    *("kind", "id", "endpoint", "measurement", "from", "to", "gain", "offset", "text"),
    *("written", "undone"),
)


def note_object(note: WrittenNote, zone: tzinfo | None) -> dict[str, object]:
    """A note; times with milliseconds and the offset."""
    return {
        "id": note.id,
        "endpoint": note.endpoint,
        "from": iso_text(note.first_ms, zone),
        "to": iso_text(note.last_ms, zone),
        "from_ms": note.first_ms,
        "to_ms": note.last_ms,
        "text": note.text,
        "written": iso_text(note.written_at, zone),
        "undone": _maybe(note.undone_at, zone),
    }


def correction_object(correction: Correction, zone: tzinfo | None) -> dict[str, object]:
    """A correction; an end that is open is null."""
    return {
        "id": correction.id,
        "endpoint": correction.endpoint,
        "measurement": correction.measurement,
        "from": _maybe(correction.first_ms, zone),
        "to": _maybe(correction.last_ms, zone),
        "from_ms": correction.first_ms,
        "to_ms": correction.last_ms,
        "kind": correction.kind,
        "gain": correction.gain,
        "offset": correction.offset,
        "text": correction.reason,
        "written": iso_text(correction.written_at, zone),
        "undone": _maybe(correction.undone_at, zone),
    }


def csv_text(
    notes: Iterable[WrittenNote], corrections: Iterable[Correction], zone: tzinfo | None
) -> str:
    """All of them, a line each; a cell without a value is empty.

    A text that a spreadsheet would take for a formula has a `'` before it, and is shown as it is.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore")
    writer.writeheader()
    for note in notes:
        writer.writerow({"kind": "note"} | _harmless(note_object(note, zone)))
    for correction in corrections:
        writer.writerow(_harmless(correction_object(correction, zone)))
    return text.getvalue()


def _harmless(row: dict[str, object]) -> dict[str, object]:
    text = str(row["text"])
    return row | {"text": f"'{text}"} if is_formula(text) else row


def _maybe(ms: int | None, zone: tzinfo | None) -> str | None:
    return None if ms is None else iso_text(ms, zone)


# A reader cannot distinguish more marks than that.
MOST_MARKS = 200


def beside_chart(
    view: View, query: Query, window: Window | None, t: Translation
) -> Callable[[], dict[str, list[dict[str, object]]]]:
    """Have what counts within the window read together with its chart.

    What is returned gives the keys `notes` and `corrections` once the chart is there, MOST_MARKS of
    each at most: the newest notes. A correction has its change in the reader's words besides.
    """
    if window is None:
        return lambda: {"notes": [], "corrections": []}
    settings = context.store().settings
    endpoints = [station.endpoint for station in query.stations]
    ends = (window.first_ms, window.last_ms)
    rows: list[Any] = []
    view.ask(annotations.notes_within(endpoints, *ends), rows.extend)

    def both() -> dict[str, list[dict[str, object]]]:
        view.settle()
        notes = annotations.notes_of(rows[-MOST_MARKS:])
        written = annotations.corrections_within(view.written_corrections, endpoints, *ends)
        reader = NotesReader(settings, t, view.now_ms)
        return {
            "notes": [note_object(note, settings.zone) for note in notes],
            "corrections": [
                correction_object(correction, settings.zone) | {"change": reader.change(correction)}
                for correction in written[:MOST_MARKS]
            ],
        }

    return both
