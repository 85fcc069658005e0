"""Notes and corrections as JSON and as CSV: what they are kept by outside."""

import csv
import io
from collections.abc import Iterable
from datetime import tzinfo

from flask10x.history import annotations
from flask10x.history.annotations import Correction, WrittenNote
from flask10x.history.charts import Chart
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


def note_object(one: WrittenNote, zone: tzinfo | None) -> dict[str, object]:
    """A note; times with milliseconds and the offset."""
    return {
        "id": one.id,
        "endpoint": one.endpoint,
        "from": iso_text(one.first_ms, zone),
        "to": iso_text(one.last_ms, zone),
        "from_ms": one.first_ms,
        "to_ms": one.last_ms,
        "text": one.text,
        "written": iso_text(one.written_at, zone),
        "undone": _maybe(one.undone_at, zone),
    }


def correction_object(one: Correction, zone: tzinfo | None) -> dict[str, object]:
    """A correction; an end that is open is null."""
    return {
        "id": one.id,
        "endpoint": one.endpoint,
        "measurement": one.measurement,
        "from": _maybe(one.first_ms, zone),
        "to": _maybe(one.last_ms, zone),
        "from_ms": one.first_ms,
        "to_ms": one.last_ms,
        "kind": one.kind,
        "gain": one.gain,
        "offset": one.offset,
        "text": one.reason,
        "written": iso_text(one.written_at, zone),
        "undone": _maybe(one.undone_at, zone),
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


# More marks than that can't be told apart.
MOST_MARKS = 200


def beside_chart(
    view: View, query: Query, chart: Chart, t: Translation
) -> dict[str, list[dict[str, object]]]:
    """The keys `notes` and `corrections`: those that count within the window, MOST_MARKS at most.

    A correction has its change in the reader's words besides. The newest stay when there are more.
    """
    if chart.window is None:
        return {"notes": [], "corrections": []}
    settings = context.store().settings
    endpoints = [station.endpoint for station in query.stations]
    ends = (chart.window.first_ms, chart.window.last_ms)
    notes = annotations.notes_within(view.connection, endpoints, *ends)[-MOST_MARKS:]
    written = annotations.corrections_within(view.written_corrections, endpoints, *ends)
    reader = NotesReader(settings, t)
    return {
        "notes": [note_object(one, settings.zone) for one in notes],
        "corrections": [
            correction_object(one, settings.zone) | {"change": reader.change(one)}
            for one in written[:MOST_MARKS]
        ],
    }
