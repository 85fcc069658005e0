"""Notes and corrections of a chart, for the answer that has its lines."""

from flask10x.history import annotations
from flask10x.history.charts import Chart
from flask10x.history.query import Query
from flask10x.history.view import View
from flask10x.translation import Translation
from flask10x.web import context
from flask10x.web.pages.notes.objects import correction_object, note_object
from flask10x.web.pages.notes.reader import NotesReader

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
