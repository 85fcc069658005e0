"""`/records` as a page and as CSV: a month by its days, a year by its months, all years."""

from dataclasses import replace

from flask import Response, render_template, request

from flask10x.errors import QueryError
from flask10x.history.period_tables import period_table
from flask10x.history.periods import month_of
from flask10x.translation import N_
from flask10x.web import context, preferences
from flask10x.web.cards import shown_stations
from flask10x.web.files import download
from flask10x.web.page import Page
from flask10x.web.pages.records import model
from flask10x.web.pages.records.model import records_query

blueprint = Page("records", __name__, text=N_("Records"), place="head")


@blueprint.get("/records")
def as_page() -> tuple[str, int]:
    """The table and what can be chosen; 400 with the choice when the query is wrong."""
    t, store = preferences.texts(), context.store()
    with context.view() as view:
        stations = shown_stations(view, store, request.args.getlist("endpoint"))
        try:
            question = records_query(view, is_page=True)
        except QueryError as error:
            form = model.form_of_errors(error.details, stations, t)
            return render_template("records/template.html", form=form, table=None), 400
        if not stations:
            return render_template("records/template.html", form={}, table=None), 200
        table, this_month = period_table(view, question), month_of(view.now_ms, view.zone)
        is_opened = question.period != this_month and not request.args.get("period", "").strip()
        # A house that is new has nothing in the month before.
        if is_opened and not table.whole.bucket.count:
            question = replace(question, period=this_month)
            table = period_table(view, question)
        now_ms = view.now_ms
    form = model.form(question, stations, t, now_ms)
    shown = model.table(question, table, t, now_ms)
    return render_template("records/template.html", form=form, table=shown), 200


@blueprint.get("/records.csv")
def as_csv() -> Response:
    """The rows of the table with all digits."""
    with context.view() as view:
        question = records_query(view, is_page=False)
        table = period_table(view, question)
    lines = model.csv_lines(question, table, view.zone)
    name = f"records_{question.station.endpoint}_{question.column}_{question.period}.csv"
    return download(lines, "text/csv; charset=utf-8", name)
