"""The routes that give readings back, as the specification has them."""

from collections.abc import Iterator, Sequence

from flask10x.config.settings import Settings
from flask10x.history.buckets import MAX_BUCKETS, MIN_BUCKETS
from flask10x.history.parameters import MAX_LIMIT, ORDERS
from flask10x.history.query import IS_NULL, MOVES, OPERATORS
from flask10x.readings.bands import LEVELS
from flask10x.readings.derived import derived_names, measurement_of, names_of_readings
from flask10x.readings.stations import Stations
from flask10x.translation import N_
from flask10x.web.specification.operation import (
    COUNT,
    CSV,
    HTML,
    REASONS,
    TEXT_SCHEMA,
    JsonObject,
    Operation,
    Sample,
    media,
    query,
    reference,
    said,
    schema,
    with_refusals,
)
from flask10x.web.specification.station_schemas import CLOCK, DATE

SWITCH: JsonObject = {"type": "string", "enum": ["1", "0", "true", "false"]}
NUMBER = r"^-?([0-9]+\.?[0-9]*|\.[0-9]+)$"
# What all of the history's routes take, and what the rejected readings do.
COMMON = ("endpoint", "measurement", "from", "to", "incomplete", "order", "limit", "cursor", "raw")
OF_REJECTED = ("endpoint", "from", "to", "limit", "cursor")
FIRST = N_(
    "The first moment. A time (`2025-08-24`, `2025-08-24 09:00:12`), or one "
    "counted back from now: `-24h`, `now`."
)
LAST = N_(
    "The last moment. A time (`2025-08-24`, `2025-08-24 09:00:12`), or one "
    "counted back from now: `-24h`, `now`."
)
TIME_TEXT = rf"^\s*(now|-[0-9]{{1,9}}[smhdw]|{DATE}({CLOCK})?)\s*$"
NUMBERS: JsonObject = {"type": "array", "items": {"type": ["number", "null"]}}
WHOLE: JsonObject = {"type": ["integer", "null"]}

SCHEMAS: dict[str, JsonObject] = {
    "Series": {
        "type": "object",
        "required": [
            *("from", "to", "from_ms", "to_ms", "bucket_ms", "step", "starts_ms", "zone", "source"),
            *(
                "readings",
                "first_ms",
                "removed_ms",
                "series",
                "alerts",
                "bands",
                "nights",
                "derived_step",
            ),
            *("compared", "notes", "corrections"),
        ],
        "properties": {
            "from": {"type": ["string", "null"]},
            "to": {"type": ["string", "null"]},
            "from_ms": WHOLE,
            "to_ms": WHOLE,
            "bucket_ms": WHOLE,
            "step": {"type": ["string", "null"]},
            "starts_ms": {"type": ["array", "null"], "items": {"type": "integer"}},
            "zone": TEXT_SCHEMA,
            "source": {"enum": ["readings", "rollups"]},
            "readings": COUNT,
            "first_ms": WHOLE,
            "removed_ms": WHOLE,
            "series": {"type": "array", "items": schema("Line")},
            "alerts": {"type": "array", "items": schema("ShadedAlert")},
            "bands": {"type": "array", "items": schema("ShownBand")},
            "compared": schema("Compared"),
            "nights": {
                "type": ["array", "null"],
                "items": {"type": "array", "items": {"type": "integer"}},
            },
            "derived_step": {"type": ["string", "null"]},
            "notes": {"type": "array", "items": schema("Note")},
            "corrections": {"type": "array", "items": schema("Correction")},
        },
    },
    "Compared": {
        "type": ["object", "null"],
        "required": ["by", "bucket_ms", "has_leap_day", "series"],
        "properties": {
            "by": TEXT_SCHEMA,
            "bucket_ms": WHOLE,
            "has_leap_day": {"type": "boolean"},
            "series": {"type": "array", "items": schema("ComparedLine")},
        },
    },
    "ComparedLine": {
        "type": "object",
        "required": ["endpoint", "measurement", "times_ms", "own_ms", "avg"],
        "properties": {
            "endpoint": TEXT_SCHEMA,
            "measurement": TEXT_SCHEMA,
            "quantity": TEXT_SCHEMA,
            "unit": TEXT_SCHEMA,
            "gap_ms": WHOLE,
            "times_ms": {"type": "array", "items": {"type": "integer"}},
            "own_ms": {"type": "array", "items": {"type": "integer"}},
            "avg": NUMBERS,
        },
    },
    "ShownBand": {
        "type": "object",
        "required": ["endpoint", "measurement", "above", "below", "level", "label"],
        "properties": {
            "endpoint": TEXT_SCHEMA,
            "measurement": TEXT_SCHEMA,
            "above": {"type": ["number", "null"]},
            "below": {"type": ["number", "null"]},
            "level": {"enum": list(LEVELS)},
            "label": TEXT_SCHEMA,
        },
    },
    "ShadedAlert": {
        "type": "object",
        "required": ["id", "endpoint", "measurement", "from_ms", "to_ms", "title"],
        "properties": {
            "id": COUNT,
            "endpoint": TEXT_SCHEMA,
            "measurement": {"type": ["string", "null"]},
            "from_ms": {"type": "integer"},
            "to_ms": WHOLE,
            "title": TEXT_SCHEMA,
        },
    },
    "Line": {
        "type": "object",
        "required": ["endpoint", "measurement", "unit", "times_ms", "min", "avg", "max", "count"],
        "properties": {
            "endpoint": TEXT_SCHEMA,
            "measurement": TEXT_SCHEMA,
            "quantity": TEXT_SCHEMA,
            "unit": TEXT_SCHEMA,
            "interval_ms": WHOLE,
            "gap_ms": WHOLE,
            "times_ms": {"type": "array", "items": {"type": "integer"}},
            "min": NUMBERS,
            "avg": NUMBERS,
            "max": NUMBERS,
            "count": {"type": "array", "items": COUNT},
            "partial": {"type": "array", "items": COUNT},
        },
    },
    "RejectedReading": {
        "type": "object",
        "required": ["id", "endpoint", "timestamp", "reasons", "body", "body_bytes"],
        "properties": {
            "id": COUNT,
            "endpoint": TEXT_SCHEMA,
            "timestamp": TEXT_SCHEMA,
            "measured_at": {"type": ["string", "null"]},
            "reasons": REASONS,
            "hint": TEXT_SCHEMA,
            "content_type": TEXT_SCHEMA,
            "body": TEXT_SCHEMA,
            "body_bytes": COUNT,
            "reading_id": WHOLE,
        },
    },
}


def parameters(stations: Stations) -> dict[str, JsonObject]:
    """Those of the query string, by the names of their components."""
    found = {
        "endpoint": query(
            "endpoint",
            {"type": "array", "items": {"enum": list(stations.by_endpoint), "type": "string"}},
            N_("A station, or several; all of them without it."),
        ),
        "measurement": _measurement((*stations.columns, *names_of_readings(stations))),
        # Those that need several readings are in charts only.
        "measurement_of_charts": _measurement((*stations.columns, *derived_names(stations))),
        "from": query("from", _pattern(TIME_TEXT), FIRST, example="-24h"),
        "to": query("to", _pattern(TIME_TEXT), LAST, example="now"),
        "incomplete": query(
            "incomplete", {"enum": ["1"], "type": "string"}, N_("Only those that lack something.")
        ),
        "order": query(
            "order", {"enum": list(ORDERS), "type": "string"}, N_("Oldest or newest first.")
        ),
        "limit": query(
            "limit",
            {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
            N_("How many rows at most."),
            example=10,
        ),
        "cursor": query(
            "cursor",
            _pattern(r"^(before|after):-?[0-9]{1,18}:[0-9]{1,18}$"),
            N_("Where a page begins, from a `Link` header."),
        ),
        "since": query(
            "since",
            {"type": "integer", "minimum": 0, "maximum": 10**18},
            N_(
                "What was stored after this id: the last `X-Last-Id`. Not with `order` or `cursor`."
            ),
        ),
        "raw": query(
            "raw", {"enum": ["1"], "type": "string"}, N_("As stored, without corrections.")
        ),
        "bom": query("bom", {"enum": ["1"], "type": "string"}, N_("With a mark for Excel.")),
        "buckets": query(
            "buckets",
            {"type": "integer", "minimum": MIN_BUCKETS, "maximum": MAX_BUCKETS},
            N_("How many buckets at most."),
        ),
        "compare": query(
            "compare",
            {"enum": [*MOVES, *stations.by_endpoint], "type": "string"},
            N_("Another time, or another station, beside it."),
        ),
        "off": query(
            "off",
            _pattern(_lines(stations)),
            N_("Lines of the charts that are off: `data2.co2,data4.co2`."),
        ),
    }
    computed = {name: measurement_of(stations, name) for name in names_of_readings(stations)}
    for column, one in {**stations.by_column, **computed}.items():
        for key, operator in OPERATORS.items():
            is_switch = operator is IS_NULL
            kind = SWITCH if is_switch else _pattern(NUMBER)
            unit = f" {one.unit}" if one.unit and not is_switch else ""
            name = f"{column}__{key}"
            found[name] = query(name, kind, f"`{column}` {operator.label}{unit}")
    return found


def _lines(stations: Stations) -> str:
    """A pattern: lines of these stations, in any order."""
    derived = derived_names(stations)
    line = "|".join(
        rf"{one.endpoint}\.({'|'.join([*one.columns, *derived])})" for one in stations.all
    )
    return f"^({line})(,({line}))*$"


def _measurement(names: Sequence[str]) -> JsonObject:
    kinds = {"type": "array", "items": {"enum": list(names), "type": "string"}}
    return query("measurement", kinds, N_("A measurement, or several; all of them without it."))


def _pattern(pattern: str) -> JsonObject:
    return {"type": "string", "pattern": pattern, "minLength": 1}


def _parameters(stations: Stations, *names: str, in_charts: bool = False) -> list[JsonObject]:
    """Those of every view of the history, and these."""
    columns = (*stations.columns, *names_of_readings(stations))
    conditions = [f"{column}__{key}" for column in columns for key in OPERATORS]
    every = [reference("parameters", name) for name in (*COMMON, *conditions)]
    more = [reference("parameters", name) for name in names]
    if not in_charts:
        return [*every, *more]
    charts = reference("parameters", "measurement_of_charts")
    of_rows = reference("parameters", "measurement")
    return [*(charts if one == of_rows else one for one in every), *more]


def history(settings: Settings) -> Iterator[Operation]:
    """The readings as JSON, as files and as lines of a chart."""
    stations = settings.stations
    first = stations.all[0]
    reading = {
        "endpoint": first.endpoint,
        "timestamp": "2025-08-24 09:00:12",
        "data": {"pressure": 1013.25, "temperature": 25.1} if first.endpoint == "data" else {},
    }
    readings = {"type": "array", "items": schema("HistoryReading")}
    page = ("Link", "X-Last-Id", "X-Searched-To")
    yield _read(
        "/history/json",
        "history",
        _parameters(stations, "since"),
        said(N_("Readings."), readings, {"one": [reading]}, page),
        f"endpoint={first.endpoint}&from=-24h&limit=10",
    )
    yield _read(
        "/history.csv",
        "history_csv",
        _parameters(stations, "bom"),
        said(N_("A file, streamed."), TEXT_SCHEMA, None, ["Content-Disposition"], CSV),
        "from=-24h",
    )
    yield _read(
        "/history.json",
        "history_file",
        _parameters(stations),
        said(N_("A file, streamed."), readings, {"one": [reading]}, ["Content-Disposition"]),
        "from=-24h",
    )
    yield _read(
        "/history/series",
        "series",
        _parameters(stations, "buckets", "compare", in_charts=True),
        said(N_("Lines of a chart."), schema("Series")),
        "from=-24h&buckets=24",
    )


def rejected(settings: Settings) -> Iterator[Operation]:
    """The page of rejected readings, and the same as JSON."""
    of_rejected = [reference("parameters", name) for name in OF_REJECTED]
    first = settings.stations.all[0]
    kept = {
        "id": 7,
        "endpoint": first.endpoint,
        "timestamp": "2025-08-24 09:00:12",
        "measured_at": None,
        "reasons": {first.measurements[0].path: "required field missing"},
        "hint": "",
        "content_type": "application/json",
        "body": "{}",
        "body_bytes": 2,
        "reading_id": None,
    }
    readings = {"type": "array", "items": schema("RejectedReading")}
    yield _read(
        "/history/rejected/json",
        "rejected",
        of_rejected,
        said(N_("Rejected readings, the newest first."), readings, {"one": [kept]}, ["Link"]),
        "limit=10",
    )
    yield _page("/history/rejected", "rejected_page", of_rejected)


def history_page(settings: Settings) -> Iterator[Operation]:
    """The readings for people."""
    wanted = _parameters(settings.stations, "compare", "off", in_charts=True)
    yield _page("/history", "history_page", wanted)


def _page(path: str, name: str, parameters: list[JsonObject]) -> Operation:
    """A page that says as a page what is wrong; other refusals are JSON."""
    page_answer = said(N_("A page."), TEXT_SCHEMA, media_type=HTML)
    more = {
        status: page_or(status, description)
        for status, description in (("400", N_("A parameter is wrong.")), ("503", N_("Not now.")))
    }
    return Operation(
        method="get",
        path=path,
        name=name,
        group="people",
        parameters=parameters,
        answers=with_refusals({"200": page_answer, **more}, "read", asks=True, reads=True),
    )


def page_or(status: str, description: str) -> JsonObject:
    """A refusal that a page says as a page, and other routes as JSON."""
    found = said(description, schema("Error"), None, ["Retry-After"] if status == "503" else ())
    found["content"][HTML] = media(TEXT_SCHEMA)
    return found


def _read(
    path: str, name: str, wanted: list[JsonObject], answer: JsonObject, sample: str
) -> Operation:
    return Operation(
        method="get",
        path=path,
        name=name,
        group="read",
        parameters=wanted,
        answers=with_refusals({"200": answer}, "read", asks=True, reads=True),
        sample=Sample(query=sample),
    )


PERIOD = "^([0-9]{4}(-(0[1-9]|1[0-2]))?|all)$"


def operations(settings: Settings) -> Iterator[Operation]:
    """The page `/records` and its rows as CSV."""
    wanted = _table_parameters(settings)
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


def _table_parameters(settings: Settings) -> list[JsonObject]:
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
