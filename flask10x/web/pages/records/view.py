"""`/records` as a page and as CSV: a month by its days, a year by its months, all years."""

from flask import Response, render_template, request

from flask10x.errors import QueryError
from flask10x.history import pages
from flask10x.history.periods import calendar, values
from flask10x.readings.stations import Station
from flask10x.system import clock
from flask10x.translation import N_
from flask10x.web import context, preferences, read_errors
from flask10x.web.page import Page
from flask10x.web.pages.records import csv_text, shown
from flask10x.web.pages.records.asked import AskedRecords, asked
from flask10x.web.pages.records.model import RecordsModel
from flask10x.web.specification import tables as specified

blueprint = Page(
    "records", __name__, text=N_("Records"), group="main", operations=specified.operations
)
read_errors.register(blueprint)


@blueprint.get("/records")
def as_page() -> tuple[str, int]:
    """The table and what can be chosen; 400 with the choice when the query is wrong."""
    t = preferences.texts()
    try:
        question = _asked(blank_is_absent=True)
    except QueryError as error:
        model = RecordsModel(form=shown.refused_form(error.details, t), table=None)
        return render_template("records/template.html", model=model), 400
    store = context.store()
    with store.database.query() as connection:
        found = values.found(connection, store.settings, _wanted(question))
    model = RecordsModel(
        form=shown.form(question, t, clock.now_ms()), table=shown.table(question, found, t)
    )
    return render_template("records/template.html", model=model), 200


@blueprint.get("/records.csv")
def as_csv() -> Response:
    """The rows of the table with all digits."""
    question, store = _asked(blank_is_absent=False), context.store()
    with store.database.query() as connection:
        found = values.found(connection, store.settings, _wanted(question))
    answer = Response(
        csv_text.lines(question, found, store.settings.zone), content_type="text/csv; charset=utf-8"
    )
    name = f"records_{question.station.endpoint}_{question.measurement.column}_{question.period}"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return answer


def _asked(*, blank_is_absent: bool) -> AskedRecords:
    settings = context.store().settings
    this_month = calendar.month_of(clock.now_ms(), settings.zone)
    return asked(
        request.args, settings.stations, _first(), this_month, blank_is_absent=blank_is_absent
    )


def _first() -> Station:
    """The first station that has sent; the first of all while none has."""
    store = context.store()
    stations = store.settings.stations
    if "endpoint" in request.args:
        return stations.all[0]
    with store.database.query() as connection:
        newest = pages.newest_of(stations, connection)
    return next((s for s in stations.all if newest[s.endpoint] is not None), stations.all[0])


def _wanted(question: AskedRecords) -> values.Wanted:
    return values.Wanted(
        station=question.station,
        column=question.measurement.column,
        period=question.period,
        limit=question.limit,
        is_raw=question.is_raw,
    )
