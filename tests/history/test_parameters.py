"""Query strings: what is understood, what is refused and how it is said."""

from urllib.parse import parse_qsl

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from flask10x.config.settings import Settings
from flask10x.database.cursors import Cursor, parse_cursor
from flask10x.errors import QueryError
from flask10x.history.parameters import CSV, HTML, JSON, JSON_FILE, QueryDefaults, parse_query
from flask10x.history.query import OPERATORS, Query
from flask10x.readings.stations import BUILT_IN

# 2025-08-24 09:00:00 in Tokyo, the zone of the tests.
NOW = 1_755_993_600_000

COLUMNS = [
    *("co2", "temperature", "humidity", "pressure", "gas_resistance"),
    *("analog_value", "voltage", "temperature_ds18b20", "temperature_dht11", "humidity_dht11"),
]


def ask(settings: Settings, text: str, view: QueryDefaults = JSON) -> Query:
    return parse_query(parse_qsl(text, keep_blank_values=True), settings, NOW, view)


def refused(settings: Settings, text: str, view: QueryDefaults = JSON) -> dict[str, str]:
    with pytest.raises(QueryError) as caught:
        ask(settings, text, view)
    return caught.value.details


def test_nothing_asked_is_the_latest_of_all_stations(settings: Settings) -> None:
    query = ask(settings, "")
    assert query.endpoints == ()
    assert [s.endpoint for s in query.stations] == ["data", "data2", "data3", "data4"]
    assert (query.since, query.until, query.filters, query.cursor) == (None, None, (), None)
    assert (query.order, query.rows) == ("latest", 1000)


def test_the_three_views_differ_in_what_is_left_out(settings: Settings) -> None:
    assert [(ask(settings, "", v).order, ask(settings, "", v).rows) for v in (JSON, HTML, CSV)] == [
        ("latest", 1000),
        ("desc", 50),
        ("latest", None),
    ]
    assert [ask(settings, "limit=7&order=asc", v).rows for v in (JSON, HTML, CSV)] == [7, 7, 7]


def test_everything_at_once(settings: Settings) -> None:
    query = ask(
        settings,
        "endpoint=data4&endpoint=data2&from=2025-08-24&to=2025-08-24+10:00&co2__gte=1000"
        "&co2__lt=2000&humidity__isnull=false&order=asc&limit=50&cursor=after:1755993600123:42",
    )
    assert query.endpoints == ("data2", "data4")
    assert query.since and query.since.ms == NOW - 9 * 3_600_000
    assert query.until and query.until.ms == NOW + 3_660_000 - 1
    assert [(f.column, f.operator.key, f.value) for f in query.filters] == [
        ("co2", "gte", 1000.0),
        ("co2", "lt", 2000.0),
        ("humidity", "isnull", False),
    ]
    assert (query.order, query.limit) == ("asc", 50)
    assert query.cursor == Cursor("after", 1_755_993_600_123, 42)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("key", ["gt", "gte", "lt", "lte", "eq", "isnull"])
def test_every_measurement_has_every_operator(settings: Settings, column: str, key: str) -> None:
    (found,) = ask(settings, f"{column}__{key}=1").filters
    assert (found.column, found.operator.key, found.value) == (column, key, 1.0)


def test_the_operators_are_these() -> None:
    assert list(OPERATORS) == ["gt", "gte", "lt", "lte", "eq", "isnull"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("25", 25.0), ("-0.5", -0.5), (".5", 0.5), ("5.", 5.0), ("007", 7.0), ("1013.25", 1013.25)],
)
def test_plain_numbers(settings: Settings, text: str, value: float) -> None:
    assert [f.value for f in ask(settings, f"temperature__gt={text}").filters] == [value]


NUMBER = "a plain number such as 25 or -0.5 is needed"


@pytest.mark.parametrize(
    "text",
    [
        *("abc", "1e3", "nan", "inf", "-Infinity", "0x10", "1_000", "1,5", "25C", "１２", "-", "."),
        *("%2B5", "+5", "5+", "1%00", "1%0A", "9" * 400),
    ],
)
def test_other_numbers_are_refused(settings: Settings, text: str) -> None:
    assert refused(settings, f"temperature__gt={text}") == {"temperature__gt": NUMBER}


@pytest.mark.parametrize(
    ("text", "details"),
    [
        ("limit=0", {"limit": "a whole number from 1 to 1000 is needed"}),
        ("limit=1001", {"limit": "a whole number from 1 to 1000 is needed"}),
        ("limit=-1", {"limit": "a whole number from 1 to 1000 is needed"}),
        ("limit=10.0", {"limit": "a whole number from 1 to 1000 is needed"}),
        ("limit=9999999999999999999999", {"limit": "a whole number from 1 to 1000 is needed"}),
        ("limit=５", {"limit": "a whole number from 1 to 1000 is needed"}),
        (
            "measurement=temprature&measurement=co2",
            {
                "measurement": "unknown measurement (did you mean temperature? known:"
                " pressure, temperature, co2, humidity, gas_resistance, analog_value, voltage,"
                " temperature_ds18b20, temperature_dht11, humidity_dht11)"
            },
        ),
        ("incomplete=0", {"incomplete": "1 is needed, or nothing at all"}),
        ("incomplete=yes", {"incomplete": "1 is needed, or nothing at all"}),
        ("incomplete=1&incomplete=1", {"incomplete": "given 2 times"}),
        ("order=up", {"order": "asc or desc is needed"}),
        ("order=latest", {"order": "asc or desc is needed"}),
        ("order=DESC", {"order": "asc or desc is needed"}),
        ("co2__isnull=maybe", {"co2__isnull": "1 or 0 is needed"}),
        ("limit=5&limit=5", {"limit": "given 2 times"}),
        ("co2__gt=1&co2__gt=2&co2__gt=3", {"co2__gt": "given 3 times"}),
        ("limt=5", {"limt": "unknown parameter (did you mean limit?)"}),
        ("co2_gt=5", {"co2_gt": "unknown parameter (did you mean co2__gt?)"}),
        ("Limit=5", {"Limit": "unknown parameter (did you mean limit?)"}),
        ("zzz=5", {"zzz": "unknown parameter"}),
        ("zzz=5&zzz=6", {"zzz": "unknown parameter"}),
        ("=5", {"": "unknown parameter"}),
        ("rowid=5", {"rowid": "unknown parameter"}),
        (
            "endpoint=data&endpoint=dta3",
            {"endpoint": "unknown station (did you mean data3? known: data, data2, data3, data4)"},
        ),
        (
            "endpoint=DATA3",
            {"endpoint": "unknown station (did you mean data3? known: data, data2, data3, data4)"},
        ),
        ("endpoint=x", {"endpoint": "unknown station (known: data, data2, data3, data4)"}),
        ("endpoint=", {"endpoint": "unknown station (known: data, data2, data3, data4)"}),
        ("from=2025-08-25&to=2025-08-24", {"from": "is later than `to`"}),
        ("from=-1h&to=-2h", {"from": "is later than `to`"}),
        ("from=2025-02-30", {"from": "no such time: day is out of range for month"}),
        (
            "to=2025-08-24T09:00:00+09:00",
            {"to": "a '+' in a URL means a space: write the offset as %2B09:00"},
        ),
    ],
)
def test_refusals(settings: Settings, text: str, details: dict[str, str]) -> None:
    for view in (JSON, CSV):
        assert refused(settings, text, view) == details


LAST_ID = "the id of a reading is needed: take it from the header X-Last-Id"
OWN_ORDER = "does not go with `since`, which has an order of its own"


@pytest.mark.parametrize(
    ("text", "details"),
    [
        ("since=x", {"since": LAST_ID}),
        ("since=-1", {"since": LAST_ID}),
        ("since=1.5", {"since": LAST_ID}),
        ("since=１", {"since": LAST_ID}),
        ("since=1000000000000000001", {"since": LAST_ID}),
        ("since=", {"since": "is empty: leave the parameter out"}),
        ("since=5&since=6", {"since": "given 2 times"}),
        ("since=5&order=asc", {"order": OWN_ORDER}),
        ("since=5&cursor=after:1:1", {"cursor": OWN_ORDER}),
        ("bom=1", {"bom": "only /history.csv understands it"}),
    ],
)
def test_refusals_of_json(settings: Settings, text: str, details: dict[str, str]) -> None:
    assert refused(settings, text) == details


def test_a_parameter_of_another_view_is_refused(settings: Settings) -> None:
    for view in (CSV, HTML, JSON_FILE):
        expected = {"since": "only /history/json understands it"}
        assert refused(settings, "since=5", view) == expected
    for view in (HTML, JSON_FILE):
        assert refused(settings, "bom=1", view) == {"bom": "only /history.csv understands it"}
    assert refused(settings, "bom=true", CSV) == {"bom": "1 is needed, or nothing at all"}


def test_chosen_measurements_leave_out_stations_that_have_none(settings: Settings) -> None:
    query = ask(settings, "measurement=co2&measurement=gas_resistance&measurement=co2")
    assert query.measurements == ("co2", "gas_resistance")
    assert [s.endpoint for s in query.stations] == ["data2", "data3", "data4"]
    assert [query.chosen(s) for s in query.stations] == [
        ("co2", "gas_resistance"),
        ("gas_resistance",),
        ("co2",),
    ]
    assert query.columns == ("co2", "gas_resistance")
    none = ask(settings, "endpoint=data&measurement=co2")
    assert (none.stations, none.columns) == ((), ())


def test_all_measurements_are_chosen_when_none_is_named(settings: Settings) -> None:
    query = ask(settings, "endpoint=data&endpoint=data3")
    assert query.columns == ("pressure", "temperature", "humidity", "gas_resistance")
    assert query.chosen(BUILT_IN.by_endpoint["data"]) == ("pressure", "temperature")


def test_every_bad_parameter_is_named_at_once(settings: Settings) -> None:
    text = "endpoint=x&from=x&to=x&order=x&limit=x&cursor=x&co2__gt=x&voltage__isnull=x&y=x&zz="
    assert set(refused(settings, text)) == {
        *("endpoint", "from", "to", "order", "limit", "cursor", "co2__gt", "voltage__isnull"),
        *("y", "zz"),
    }


def test_blank_fields_are_a_forms_way_to_leave_out(settings: Settings) -> None:
    text = "from=&to=&co2__gt=&order=&limit=+&cursor=&endpoint="
    assert ask(settings, text, HTML) == ask(settings, "", HTML)
    empty = "is empty: leave the parameter out"
    for view in (JSON, CSV):
        details = refused(settings, text, view)
        assert details.pop("endpoint").startswith("unknown station")
        assert details == dict.fromkeys(
            ["from", "to", "co2__gt", "order", "limit", "cursor"], empty
        )


def test_a_form_is_no_excuse_for_unknown_or_repeated_names(settings: Settings) -> None:
    assert refused(settings, "limt=&from=&from=", HTML) == {
        "limt": "unknown parameter (did you mean limit?)",
        "from": "given 2 times",
    }


def test_a_hostile_number_of_parameters_is_not_looked_at(settings: Settings) -> None:
    text = "&".join(f"p{n}=1" for n in range(151))
    assert refused(settings, text) == {"query": "more than 150 parameters"}


@pytest.mark.parametrize(
    "text",
    [
        *(
            "x",
            "before:1",
            "before:1:2:3",
            "BEFORE:1:2",
            "before:--1:2",
            "before:1:-2",
            "before: 1:2",
        ),
        *(
            "before:1.5:2",
            "before:１:2",
            "before:9223372036854775808:1",
            "after:1:1000000000000000001",
        ),
        *("before:99999999999999999999:1", "after:1:99999999999999999999999", "before:1:2\n"),
    ],
)
def test_a_cursor_is_read_strictly(text: str) -> None:
    with pytest.raises(ValueError, match="not a cursor: take it from a `next` or `prev` link"):
        parse_cursor(text)


def test_cursors_and_their_opposites() -> None:
    assert parse_cursor("before:5:7") == Cursor("before", 5, 7)
    assert str(Cursor("after", 5, 7)) == "after:5:7"
    assert Cursor("before", 5, 7).opposite == Cursor("after", 5, 6)
    assert Cursor("after", 5, 7).opposite == Cursor("before", 5, 8)
    assert parse_cursor(str(Cursor("before", 5, 0).opposite)) == Cursor("after", 5, 0)
    parse_cursor(str(Cursor("after", 5, 10**18).opposite))


def test_a_station_is_left_out_when_its_null_cannot_match(settings: Settings) -> None:
    def can_match(text: str) -> list[str]:
        (one,) = ask(settings, text).filters
        return [name for name, station in BUILT_IN.by_endpoint.items() if one.can_match(station)]

    assert can_match("co2__gt=1") == ["data2", "data4"]
    assert can_match("voltage__isnull=0") == ["data4"]
    assert can_match("voltage__isnull=1") == ["data", "data2", "data3", "data4"]


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("", ""),
        ("limit=5&endpoint=data4&endpoint=data", "endpoint=data&endpoint=data4&limit=5"),
        ("endpoint=data&endpoint=data", "endpoint=data"),
        ("to=2025-08-24+10:00&from=2025-08-24", "from=2025-08-24&to=2025-08-24+10:00"),
        ("from=2025-08-24T09:00%2B09:00", "from=2025-08-24T09:00%2B09:00"),
        ("from=-24h", "from=2025-08-23T09:00:00.000%2B09:00"),
        ("to=now", "to=2025-08-24T09:00:00.000%2B09:00"),
        ("co2__lt=2000.50&co2__gt=007", "co2__gt=7&co2__lt=2000.5"),
        ("co2__eq=0.00001", "co2__eq=0.00001"),
        ("voltage__isnull=TRUE", "voltage__isnull=1"),
        ("order=asc", "order=asc"),
        ("cursor=before:1:2", ""),
        ("since=7&limit=3", "limit=3"),
        (
            "incomplete=1&measurement=humidity&measurement=co2&co2__gt=1&endpoint=data2",
            "endpoint=data2&measurement=co2&measurement=humidity&co2__gt=1&incomplete=1",
        ),
    ],
)
def test_the_canonical_query_string(settings: Settings, text: str, canonical: str) -> None:
    assert ask(settings, text).query_string() == canonical


def test_a_link_keeps_the_filters_and_adds_the_cursor(settings: Settings) -> None:
    query = ask(settings, "limit=5&endpoint=data&cursor=after:9:9")
    assert query.query_string(Cursor("before", 1, 2)) == "endpoint=data&limit=5&cursor=before:1:2"
    assert query.query_string(limit=False) == "endpoint=data"
    query = ask(settings, "limit=5&order=asc&endpoint=data")
    assert query.query_string(order=False) == "endpoint=data&limit=5"
    assert ask(settings, "bom=1", CSV).query_string() == "bom=1"


TIMES = ["2025-08-24", "2025-08-24 09:00", "2025-08-24T09:00:00.5Z", "-24h", "now", "2025-08-01"]
PARAMETERS = st.fixed_dictionaries(
    {},
    optional={
        "from": st.sampled_from(TIMES),
        "to": st.sampled_from(TIMES),
        "order": st.sampled_from(["asc", "desc"]),
        "limit": st.integers(1, 1000).map(str),
        "co2__gt": st.floats(allow_nan=False, allow_infinity=False).map(lambda x: f"{x:f}"),
        "humidity__isnull": st.sampled_from(["1", "0"]),
        "measurement": st.sampled_from(COLUMNS),
        "incomplete": st.just("1"),
    },
)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PARAMETERS)
def test_the_canonical_form_asks_the_same(settings: Settings, given: dict[str, str]) -> None:
    try:
        query = parse_query(list(given.items()), settings, NOW, JSON)
    except QueryError as error:
        assert error.details == {"from": "is later than `to`"}
        return
    # An hour later, for the link must not move with the clock.
    pairs = parse_qsl(query.query_string())
    again = parse_query(pairs, settings, NOW + 3_600_000, JSON)
    assert again.query_string() == query.query_string()
    assert (again.since and again.since.ms, again.until and again.until.ms) == (
        query.since and query.since.ms,
        query.until and query.until.ms,
    )
    for name in ("filters", "measurements", "incomplete", "order", "limit"):
        assert getattr(again, name) == getattr(query, name)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12)), max_size=8))
def test_any_text_is_answered_with_reasons(
    settings: Settings, pairs: list[tuple[str, str]]
) -> None:
    for view in (JSON, HTML, CSV):
        if pairs:
            with pytest.raises(QueryError):
                parse_query([("?" + name, value) for name, value in pairs], settings, NOW, view)
        for name in (
            *("from", "to", "limit", "cursor", "order", "endpoint", "co2__gt"),
            *("measurement", "incomplete"),
        ):
            for _, value in pairs:
                try:
                    parse_query([(name, value)], settings, NOW, view)
                except QueryError as error:
                    assert list(error.details) == [name]


@pytest.mark.parametrize("at_ms", [-(2**63), -1, 0, 253_402_300_800_000, 2**63 - 1])
def test_a_cursor_leads_past_any_time_that_a_row_can_have(at_ms: int) -> None:
    cursor = parse_cursor(f"before:{at_ms}:7")
    assert (cursor.received_at, str(cursor)) == (at_ms, f"before:{at_ms}:7")


def test_lines_that_are_switched_off_are_known_ones_and_of_the_page_alone(
    settings: Settings,
) -> None:
    ask(settings, "off=data2.co2,data4.temperature_dht11,data2.dew_point", HTML)
    ask(settings, "off=", HTML)
    for text, told in (
        ("off=data2.co2,dat3.humidity", "unknown station (did you mean data3? known: "),
        ("off=data3.humidty", "unknown measurement (did you mean humidity? known: "),
        ("off=co2", "unknown station"),
    ):
        assert refused(settings, text, HTML)["off"].startswith(told)
    assert refused(settings, "off=data2.co2") == {"off": "only /history understands it"}
