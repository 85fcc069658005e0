"""The specification says all that programs may ask; its stations are the house's."""

import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any, get_args

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import Authorization
from werkzeug.test import EnvironBuilder, TestResponse

from flask10x.alerts.alert import MessageState, Occasion
from flask10x.config.alerts.rules import Kind
from flask10x.config.settings import Settings
from flask10x.history.buckets import MAX_BUCKETS, MIN_BUCKETS
from flask10x.history.parameters import MAX_LIMIT, ORDERS
from flask10x.history.query import MOVES
from flask10x.readings.bands import LEVELS
from flask10x.readings.batches import FIRST_MS, KEY_HEADER, KEY_MAX_BYTES
from flask10x.readings.protocols import PRECISIONS_NS
from flask10x.readings.stations import BUILT_IN, Stations
from flask10x.runtime import periodic_tasks
from flask10x.web import alerts
from flask10x.web.access import OTHER_ORIGIN, UNKNOWN_HOST, is_refused
from flask10x.web.app import create_app, declared
from flask10x.web.ingest.batch import ITEMS_MAX
from flask10x.web.limits import RETRY_AFTER_SEC
from flask10x.web.pages.api.view import FORM, Sample, resolved, sample_of
from flask10x.web.programs import likely_reading
from flask10x.web.prometheus import MEDIA_TYPES
from flask10x.web.specification import document as made
from flask10x.web.specification.document import JsonObject
from tests.conftest import MakeSettings
from tests.support.stations import BALCONY, HOUSE, WITH_BALCONY

JSON = "application/json"
NOT_DESCRIBED = {"HEAD", "OPTIONS"}
"""Flask answers them by itself."""


# What belongs to pages: their forms, files and programs for boards.
OF_PAGES = {
    *(("get", path) for path in ("/devices/{name}/{kind}", "/static/{filename}")),
    *(("get", f"/setup/{path}") for path in ("link/{link}", "stations/{name}")),
    ("get", "/setup/new-station/program"),
    *(("post", f"/setup/{path}") for path in ("end", "house", "link", "undo")),
    *(("post", f"/setup/start/{path}") for path in ("house", "notification")),
    *(("post", f"/setup/stations{path}") for path in ("", "/{name}", "/{name}/ignore")),
    *(
        ("post", f"/setup/notifications{path}")
        for path in ("", "/channel", "/remove", "/rule", "/switch", "/test")
    ),
    *(("get", f"/setup/files/{path}") for path in ("backups/{name}", "rejected/{number}")),
    *(
        ("post", f"/setup/files/{path}")
        for path in (
            *("backup", "cancel", "discard", "export", "import", "restore", "retention"),
            *("schedule", "target", "upload", "verify"),
        )
    ),
    *(("get", path) for path in ("/favicon.ico", "/history/address.svg")),
    *(("post", path) for path in ("/alerts/mute", "/alerts/unmute", "/notes/undo", "/notes/write")),
}


def specification(settings: Settings, **tokens: bool) -> JsonObject:
    return made.specification(settings, declared(settings), "/", **tokens)


def operations(settings: Settings) -> list[tuple[str, str, JsonObject]]:
    """Path, method and operation of all, without references to parameters and responses."""
    document = specification(settings)
    return [
        (path, method, resolved(operation, document))
        for path, method, operation in made.operations(document)
    ]


def routes_of(app: Flask) -> set[tuple[str, str]]:
    return {
        (method.lower(), re.sub(r"<(?:[a-z]+:)?([a-z]+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if method not in NOT_DESCRIBED
    }


def described(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(method, path) for path, methods in document["paths"].items() for method in methods}


@pytest.mark.parametrize("stations", [BUILT_IN, WITH_BALCONY, HOUSE], ids=["4", "5", "more"])
def test_every_route_for_programs_is_described_and_nothing_else(
    settings: Settings, stations: Stations
) -> None:
    settings = replace(settings, stations=stations)
    app = create_app(settings)
    try:
        routes, client = routes_of(app), app.test_client()
        assert routes >= OF_PAGES
        pages = {
            (method, path)
            for method, path in routes - OF_PAGES
            if method == "get" and client.get(path).mimetype == "text/html"
        }
        assert {("get", "/"), ("get", "/history")} <= pages
        assert described(specification(settings)) == routes - OF_PAGES - pages
    finally:
        app.extensions["flask10x"].close()


def test_every_operation_has_a_name_of_its_own_and_parameters_of_its_path(
    settings: Settings,
) -> None:
    document = operations(settings)
    names = [operation["operationId"] for _, _, operation in document]
    assert len(set(names)) == len(names)
    tags = [tag["name"] for tag in specification(settings)["tags"]]
    assert {name for _, _, each in document for name in each["tags"]} == {*tags}
    for path, _, operation in document:
        in_path = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path)), path
        assert any(status < "400" for status in operation["responses"]), path


def test_its_limits_and_names_are_those_of_the_program(settings: Settings) -> None:
    """The data file has them as they are written; each is compared with its place in the code."""
    components = specification(settings)["components"]
    schemas, parameters = components["schemas"], components["parameters"]
    paths = {path: operation for path, _, operation in operations(settings)}

    def values(schema: str, name: str) -> list[str]:
        names: list[str] = schemas[schema]["properties"][name]["enum"]
        return names

    assert values("Alert", "kind") == [*get_args(Kind)]
    assert values("AlertMessage", "occasion") == [*get_args(Occasion)]
    assert values("AlertMessage", "state") == [*get_args(MessageState)]
    assert values("ShownBand", "level") == [*LEVELS]
    assert schemas["Readiness"]["properties"]["failing"]["items"]["enum"] == [*periodic_tasks.NAMES]
    assert parameters["order"]["schema"]["enum"] == [*ORDERS]
    assert parameters["compare"]["schema"]["anyOf"][0]["enum"] == [*MOVES]
    assert parameters["precision"]["schema"]["enum"] == [*PRECISIONS_NS]
    assert parameters["limit"]["schema"]["maximum"] == MAX_LIMIT
    assert parameters["limit"] == parameters["limit_of_all"] | {"example": 10}
    buckets = parameters["buckets"]["schema"]
    assert (buckets["minimum"], buckets["maximum"]) == (MIN_BUCKETS, MAX_BUCKETS)
    before, limit = (
        parameter["schema"]["maximum"] for parameter in paths["/api/v1/alerts"]["parameters"]
    )
    assert (before, limit) == (2**63 - 1, alerts.LIMIT_MAX)
    assert schemas["Items"]["maxItems"] == ITEMS_MAX
    array = paths["/api/v2/channels/{channel}/dataarray"]["requestBody"]["content"][JSON]["schema"]
    assert array["properties"]["data"]["maxItems"] == ITEMS_MAX
    key = parameters["idempotency_key"]
    assert (key["name"], key["schema"]["maxLength"]) == (KEY_HEADER, KEY_MAX_BYTES)
    assert schemas["ItemKey"]["anyOf"][0]["maxLength"] == KEY_MAX_BYTES
    assert schemas["MeasuredAt"]["anyOf"][0]["minimum"] == FIRST_MS // 1000
    assert components["headers"]["Retry-After"]["schema"]["examples"] == [RETRY_AFTER_SEC]
    text = {*paths["/metrics/prometheus"]["responses"]["200"]["content"]}
    assert (
        text
        == {*MEDIA_TYPES.values()}
        == {*paths["/metrics"]["responses"]["200"]["content"]} - {JSON}
    )
    for name, refusal in (("UnknownHost", UNKNOWN_HOST), ("Forbidden", OTHER_ORIGIN)):
        (example,) = components["responses"][name]["content"][JSON]["examples"].values()
        assert example["value"] == {"error": refusal.error, "hint": refusal.hint}


def test_no_schema_has_a_title(settings: Settings) -> None:
    """Generators of clients would name a class after it: `PicoBME280`."""
    schemas = specification(settings)["components"]["schemas"]
    assert not [name for name, schema in schemas.items() if "title" in schema]


def test_an_added_station_has_a_path_and_schemas_of_its_own(settings: Settings) -> None:
    document = specification(replace(settings, stations=WITH_BALCONY))
    schemas = document["components"]["schemas"]
    body = schemas["Reading_balcony-1"]
    assert body["required"] == ["temperature", "soil"]
    assert body["properties"]["soil"]["required"] == ["wet"]
    wet = body["properties"]["soil"]["properties"]["wet"]
    assert wet["anyOf"][0] == {"type": "number", "minimum": 0, "maximum": 100}
    content = document["paths"]["/balcony-1"]["post"]["requestBody"]["content"]
    examples = content["application/json"]["examples"]
    assert examples["one"]["value"] == {"temperature": 21.5, "soil": {"wet": 45.0}}
    assert schemas["Item"]["oneOf"][-1] == {"$ref": "#/components/schemas/Item_balcony-1"}
    names = ["balcony-1", "/balcony-1"]
    assert schemas["Item_balcony-1"]["properties"]["endpoint"] == {"enum": names}
    assert schemas["OwnItem_balcony-1"]["properties"]["endpoint"] == {"enum": [*names, None]}
    assert "soil_wet__gte" in document["components"]["parameters"]
    assert "Reading_balcony-1" not in specification(settings)["components"]["schemas"]


def test_a_field_may_be_missing_where_partial_readings_are_accepted(settings: Settings) -> None:
    partial = replace(settings, partial_readings=frozenset({"data"}))
    schemas = specification(partial)["components"]["schemas"]
    assert "required" not in schemas["Reading_data"]
    # A bad value is warned of, too; one usable value is needed.
    *_usable, anything = schemas["Reading_data"]["properties"]["pressure"]["anyOf"]
    assert anything.keys() == {"description"}
    assert [
        alternative["required"] for alternative in schemas["Reading_data"]["allOf"][0]["anyOf"]
    ] == [
        ["pressure"],
        ["temperature"],
    ]
    assert schemas["Reading_data2"]["required"][0] == "co2"


def test_flat_fields_are_described_where_they_are_read(settings: Settings) -> None:
    def fields(partial: set[str]) -> set[str]:
        changed = replace(settings, partial_readings=frozenset(partial))
        schemas = specification(changed)["components"]["schemas"]
        return {*schemas["Reading_data4"]["properties"]}

    nested = {"mh_z19", "mq_2", "ds18b20", "dht11"}
    assert fields(set()) == nested
    assert fields({"data4"}) > nested | {"co2", "co2_ppm", "mq2_analog", "humidity_dht11"}


def test_a_field_may_stand_at_one_of_its_aliases(settings: Settings) -> None:
    first, *others = BALCONY.measurements
    aliased = replace(BALCONY, measurements=(replace(first, aliases=("env.t",)), *others))
    stations = Stations((*BUILT_IN.all, aliased))
    schemas = specification(replace(settings, stations=stations))["components"]["schemas"]
    body = schemas["Reading_balcony-1"]
    assert body["required"] == ["soil"]
    nested = {"required": ["env"], "properties": {"env": {"required": ["t"]}}}
    assert body["allOf"] == [{"anyOf": [{"required": ["temperature"]}, nested]}]
    assert "t" in body["properties"]["env"]["properties"]


def test_the_examples_of_stations_are_accepted_as_they_are(client: FlaskClient) -> None:
    for station in BUILT_IN.all:
        answer = client.post(f"/{station.endpoint}", json=likely_reading(station))
        assert (answer.status_code, answer.json) == (200, {"status": "enqueued"})


def test_the_samples_are_answered_and_leave_nothing(
    client: FlaskClient, settings: Settings, length: Callable[[], int]
) -> None:
    for path, _, operation in operations(settings):
        sample = sample_of(path, operation)
        answer = answer_to(client, sample)
        # The house of this test has no measurement of the line protocol, and no channel.
        refused = path.endswith("/write") or "{channel}" in path
        assert (answer.status_code in (200, 204)) is not refused, path
        assert str(answer.status_code) in operation["responses"]
    assert length() == 0


@pytest.mark.parametrize("stations", [BUILT_IN, WITH_BALCONY, HOUSE], ids=["4", "5", "more"])
def test_the_examples_of_answers_have_the_fields_and_the_stations_of_the_house(
    settings: Settings, stations: Stations
) -> None:
    document = specification(replace(settings, stations=stations))

    def example(method: str, path: str, status: str) -> JsonObject:
        content = document["paths"][path][method]["responses"][status]["content"][JSON]
        (found,) = content["examples"].values()
        value: JsonObject = found["value"]
        return value

    for station in stations.all:
        assert example("post", f"/{station.endpoint}", "400") == {
            "error": "validation failed",
            "details": {station.measurements[0].path: "required field missing"},
        }
    names = [*stations.by_endpoint]
    metrics = example("get", "/metrics", "200")
    assert [*metrics["last_received"]] == [*metrics["inactivity_seconds"]] == names
    hint = f"unknown station (known: {', '.join(names)})"
    assert example("get", "/api/v1/latest", "404") == {"error": "not found", "hint": hint}


def test_the_examples_of_refusals_are_answers(client: FlaskClient, settings: Settings) -> None:
    paths = specification(settings)["paths"]
    for station in settings.stations.all:
        content = paths[f"/{station.endpoint}"]["post"]["responses"]["400"]["content"][JSON]
        body: JsonObject = deepcopy(likely_reading(station))
        *objects, field = station.measurements[0].path.split(".")
        del reduce(dict.__getitem__, objects, body)[field]
        answer = client.post(f"/{station.endpoint}?dry_run=1", json=body)
        assert answer.json == content["examples"]["wrong"]["value"]
    unknown = paths["/api/v1/latest"]["get"]["responses"]["404"]["content"][JSON]
    answer = client.get("/api/v1/latest?station=qqqqqq")
    assert answer.json == unknown["examples"]["name"]["value"]


def test_the_samples_of_files_and_charts_are_of_all_rows(settings: Settings) -> None:
    addresses = [sample_of(path, operation).address for path, _, operation in operations(settings)]
    assert "/history.csv?from=-24h" in addresses
    assert "/history.json?from=-24h" in addresses
    assert "/history/series?from=-24h&buckets=24" in addresses
    assert "/history/json?from=-24h&limit=10" in addresses


def answer_to(
    client: FlaskClient, sample: Sample, headers: dict[str, str] | None = None
) -> TestResponse:
    """The answer to a sample."""
    if sample.body is None:
        return client.get(sample.address, headers=headers)
    return client.post(
        sample.address, data=sample.body, content_type=sample.media_type, headers=headers
    )


def in_earnest(path: str, operation: JsonObject) -> Sample:
    """Its sample without a query string, so that what it posts would be stored."""
    sample = sample_of(path, operation)
    return replace(sample, address=sample.address.partition("?")[0])


def test_what_is_answered_without_a_database_is_described(settings: Settings) -> None:
    app = create_app(settings, missing="there was a database")
    for path, _, operation in operations(settings):
        answer = answer_to(app.test_client(), in_earnest(path, operation))
        assert str(answer.status_code) in operation["responses"], path
    app.extensions["flask10x"].close()


def test_what_is_answered_without_a_token_is_described(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    files = {"READ_TOKENS_FILE": tmp_path / "read", "WRITE_TOKENS_FILE": tmp_path / "write"}
    for file in files.values():
        file.write_text("* 0123456789abcdef\n")
        file.chmod(0o600)
    settings = make_settings(**files)
    app = create_app(settings, missing="there was a database")
    document = specification(settings, read_token=True, write_token=True)
    for path, _, operation in made.operations(document):
        sample = in_earnest(path, resolved(operation, document))
        is_refused = answer_to(app.test_client(), sample).status_code == 401
        # Ambient's clients have the token in the body, which is looked at later.
        assert is_refused is ({} not in operation["security"]), path
    app.extensions["flask10x"].close()


@pytest.fixture
def length(app: Flask) -> Callable[[], int]:
    """How many readings wait."""
    queue_length: Callable[[], int] = app.extensions["flask10x"].queues.length
    return queue_length


def test_forms_are_sent_as_forms(settings: Settings) -> None:
    (form,) = [each for path, _, each in operations(settings) if path.endswith("/urldataarray")]
    assert sample_of("", form).media_type == FORM
    assert list(form["requestBody"]["content"]) == [FORM]


def test_tokens_are_asked_for_where_there_are_some(settings: Settings) -> None:
    def security(*, needed: bool) -> tuple[object, object, object]:
        paths = specification(settings, read_token=needed, write_token=needed)["paths"]
        get, post = paths["/metrics"]["get"], paths["/data"]["post"]
        return get["security"], post["security"], paths["/healthz"]["get"]["security"]

    none: dict[str, list[str]] = {}
    read: list[object] = [{"read": []}, {"readPassword": []}]
    write: list[object] = [{"write": []}]
    assert security(needed=False) == ([none, *read], [none, *write], [none])
    assert security(needed=True) == (read, write, [none])


READ, WRITE = "read-0123456789abcdef", "write-0123456789abcdef"
CREDENTIALS = {
    "none": None,
    "write": Authorization("bearer", token=WRITE),
    "read": Authorization("bearer", token=READ),
    "readPassword": Authorization("basic", {"username": "pi", "password": READ}),
}
"""What a request brings, by the name of its security scheme."""


@pytest.fixture(
    params=[(), ("write",), ("write", "read"), ("read",)],
    ids=lambda names: " and ".join(names) or "no tokens",
)
def with_tokens(
    request: pytest.FixtureRequest, make_settings: MakeSettings, tmp_path: Path
) -> Iterator[tuple[Flask, tuple[str, ...]]]:
    """An application, and the kinds of tokens that it has."""
    files = {name: tmp_path / name for name in request.param}
    for name, file in files.items():
        file.write_text(f"* {WRITE if name == 'write' else READ}\n")
        file.chmod(0o600)
    settings = make_settings(
        **{f"{name.upper()}_TOKENS_FILE": file for name, file in files.items()},
        STATIONS=stations_file(tmp_path),
    )
    app = create_app(settings, missing="there was a database")
    yield app, request.param
    app.extensions["flask10x"].close()


def stations_file(folder: Path) -> Path:
    """A file that adds a station."""
    file = folder / "stations.toml"
    file.write_text("[stations.balcony.measurements.temperature]\nunit = '°C'\n", encoding="utf-8")
    return file


def let_in(app: Flask, method: str, address: str) -> set[str]:
    """The credentials with which the access check leaves a request to its view."""
    return {
        name
        for name, authorization in CREDENTIALS.items()
        if not is_refused(
            app, EnvironBuilder(address, method=method, auth=authorization).get_environ()
        )
    }


def test_the_specification_wants_what_the_access_check_wants(
    with_tokens: tuple[Flask, tuple[str, ...]],
) -> None:
    app, _ = with_tokens
    document = app.test_client().get("/openapi.json", auth=CREDENTIALS["read"]).json
    assert document is not None
    assert ("post", "/balcony") in described(document)
    for path, method, operation in made.operations(document):
        address = sample_of(path, resolved(operation, document)).address
        enough = {name for scheme in operation["security"] for name in scheme or CREDENTIALS}
        assert let_in(app, method.upper(), address) == enough, (method, path)


@pytest.mark.parametrize("path", ["/alerts/mute", "/alerts/unmute"])
def test_who_may_mute(with_tokens: tuple[Flask, tuple[str, ...]], path: str) -> None:
    app, tokens = with_tokens
    enough = {
        (): {*CREDENTIALS},
        ("write",): {"write"},
        ("write", "read"): {"read", "readPassword"},
        ("read",): {"read", "readPassword"},
    }
    assert let_in(app, "POST", path) == enough[tokens]


# Of a day the service knows whether its month has it; no pattern can say that of every year.
DAYS = ["2025-00-10", "2025-13-01", "2025-01-00", "2025-01-32", "1969-12-31", ""]
TIMES = ["24:00", "10:60", "10:00:60", "10:00+24:00", "10:00-09:60"]
# Those that reach back beyond 1970, and the longest of each unit that do not.
REFUSED_AGES = ["-812697h", "-999y", "-999999999m"]
TAKEN_AGES = ["-999999999s", "-9999999m", "-99999h", "-9999d", "-999w", "-99mo", "-49y", "-1h"]
REFUSED_TIMES = [*DAYS, *REFUSED_AGES, *(f"2025-08-24T{time}" for time in TIMES)]
TAKEN_TIMES = [
    "2025-12-31",
    "2025-08-24T23:59:59.9+14:00",
    " 1970-01-02 00:00 ",
    *TAKEN_AGES,
]


def allowed(schema: JsonObject, text: str) -> bool:
    """Whether a text fits the schema, which has a pattern and the least length."""
    return len(text) >= schema["minLength"] and re.search(schema["pattern"], text) is not None


@pytest.mark.parametrize("text", [*REFUSED_TIMES, *TAKEN_TIMES])
def test_the_document_allows_no_time_that_is_refused(client: FlaskClient, text: str) -> None:
    document = client.get("/openapi.json").get_json()
    is_taken = text in TAKEN_TIMES
    limit = {"to": text} if text in TAKEN_TIMES else {"from": text}
    answer = client.get("/history/json", query_string=limit)
    assert answer.status_code == (200 if is_taken else 400)
    schemas = document["components"]["schemas"]
    assert allowed(schemas["TimeText"], text) == is_taken
    _number, measured_at, _null = schemas["MeasuredAt"]["anyOf"]
    assert allowed(measured_at, text) == (is_taken and ":" in text)


@pytest.mark.parametrize(
    "text", ["0000", "1969-12", "2025-13", "2025-00", "", "1970", "2025-12", "all"]
)
def test_the_document_allows_no_period_that_is_refused(client: FlaskClient, text: str) -> None:
    document = client.get("/openapi.json").get_json()
    parameters = document["paths"]["/records.csv"]["get"]["parameters"]
    (period,) = [each["schema"] for each in parameters if each.get("name") == "period"]
    asked = {"endpoint": "data2", "measurement": "temperature", "period": text}
    status = client.get("/records.csv", query_string=asked).status_code
    is_taken = text in ("1970", "2025-12", "all")
    assert status == (200 if is_taken else 400)
    assert allowed(period, text) == is_taken


def test_the_document_allows_no_empty_text_for_a_number(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    assert client.post("/data", json={"pressure": "", "temperature": 20}).status_code == 400
    texts = [
        kind
        for name, schema in document["components"]["schemas"].items()
        if name.startswith(("Reading", "Item"))
        for kind in of_kind(schema, "number-with-unit")
    ]
    assert texts and {kind.get("minLength") for kind in texts} == {1}


def of_kind(schema: Any, kind: str) -> Iterator[JsonObject]:
    """All schemas inside of this one that have a format."""
    inner = (
        schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    )
    if isinstance(schema, dict) and schema.get("format") == kind:
        yield schema
    for each in inner:
        yield from of_kind(each, kind)
