"""The tables of months and years, as the specification has them."""

from collections.abc import Iterator

from flask10x.config.settings import Settings
from flask10x.translation import N_
from flask10x.web.specification.answers import TEXT_SCHEMA, with_refusals
from flask10x.web.specification.operation import (
    CSV,
    HTML,
    JsonObject,
    Operation,
    Sample,
    query,
    said,
)
from flask10x.web.specification.reading_back import NUMBER, page_or

PERIOD = "^([0-9]{4}(-(0[1-9]|1[0-2]))?|all)$"


def operations(settings: Settings) -> Iterator[Operation]:
    """The page `/records` and its rows as CSV."""
    wanted = _parameters(settings)
    page = said(N_("A page."), TEXT_SCHEMA, media_type=HTML)
    refused = {
        "400": page_or("400", N_("A parameter is wrong.")),
        "503": page_or("503", N_("Not now.")),
    }
    yield Operation(
        method="get",
        path="/records",
        name="records_page",
        group="people",
        parameters=wanted,
        answers=with_refusals({"200": page, **refused}, "read", asks=True, reads=True),
    )
    answer = said(N_("A line a row."), TEXT_SCHEMA, None, ["Content-Disposition"], CSV)
    yield Operation(
        method="get",
        path="/records.csv",
        name="records_csv",
        group="read",
        parameters=wanted,
        answers=with_refusals({"200": answer}, "read", asks=True, reads=True),
        sample=Sample(query="period=all"),
    )


def _parameters(settings: Settings) -> list[JsonObject]:
    stations = settings.stations
    number: JsonObject = {"type": "string", "pattern": NUMBER}
    endpoint: JsonObject = {"type": "string", "enum": list(stations.by_endpoint)}
    return [
        query("endpoint", endpoint, N_("A station; without it the first one that has sent.")),
        query(
            "measurement",
            {"type": "string", "enum": list(stations.columns)},
            N_("A measurement of the station; its first one without it."),
        ),
        query(
            "period",
            {"type": "string", "pattern": PERIOD, "examples": ["2025-08", "2025", "all"]},
            N_("A month, a year, or `all`; this month without it."),
        ),
        query("above", number, N_("Count the hours above this value.")),
        query("below", number, N_("Count the hours below this value.")),
        query(
            "raw",
            {"type": "string", "enum": ["1"]},
            N_("The values as stored, without corrections."),
        ),
    ]
