"""The specification says all that there is, and nothing else; its stations are the house's."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask10x.config.settings import Settings
from flask10x.readings.stations import BUILT_IN, Stations
from flask10x.web.app import create_app, declared
from flask10x.web.page import OPEN
from flask10x.web.specification import document as made
from flask10x.web.specification.operation import FORM, GROUPS, JsonObject, Operation
from flask10x.web.specification.station_schemas import REAL_BODIES, example_body
from tests.conftest import MakeSettings
from tests.support.stations import BALCONY, HOUSE, WITH_BALCONY

NOT_DESCRIBED = {"HEAD", "OPTIONS"}
"""Flask answers them by itself."""


def operations(settings: Settings) -> list[Operation]:
    return made.operations(settings, declared(settings))


def specification(settings: Settings, **tokens: bool) -> JsonObject:
    return made.specification(settings, declared(settings), "/", **tokens)


def routes_of(app: Flask) -> set[tuple[str, str]]:
    return {
        (method.lower(), re.sub(r"<(?:[a-z]+:)?([a-z]+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
        if method not in NOT_DESCRIBED
    }


def described(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(method, path) for path, found in document["paths"].items() for method in found}


@pytest.mark.parametrize("stations", [BUILT_IN, WITH_BALCONY, HOUSE], ids=["4", "5", "more"])
def test_every_route_is_described_and_nothing_else(settings: Settings, stations: Stations) -> None:
    settings = replace(settings, stations=stations)
    app = create_app(settings)
    try:
        assert described(specification(settings)) == routes_of(app)
    finally:
        app.extensions["flask10x"].close()


def test_every_operation_has_a_name_of_its_own_and_parameters_of_its_path(
    settings: Settings,
) -> None:
    known = operations(settings)
    names = [one.name for one in known]
    assert len(set(names)) == len(names)
    assert {one.group for one in known} == set(GROUPS)
    for one in known:
        in_path = {p["name"] for p in one.parameters if p.get("in") == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", one.path)), one.path
        assert any(status < "400" for status in one.answers), one.path


def test_no_schema_has_a_title(settings: Settings) -> None:
    """Generators of clients would name a class after it: `PicoBME280`."""
    schemas = specification(settings)["components"]["schemas"]
    assert not [name for name, found in schemas.items() if "title" in found]


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
    assert [one["required"] for one in schemas["Reading_data"]["anyOf"]] == [
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
        assert example_body(station) is REAL_BODIES[station.endpoint]
        answer = client.post(f"/{station.endpoint}", json=example_body(station))
        assert (answer.status_code, answer.json) == (200, {"status": "enqueued"})


def test_a_station_that_measures_something_else_by_now_has_another_example() -> None:
    assert "light" in example_body(HOUSE.by_endpoint["data"])


def test_the_samples_are_answered_and_leave_nothing(
    client: FlaskClient, settings: Settings, length: Callable[[], int]
) -> None:
    for one in operations(settings):
        if "{" in one.path or (one.group == "people" and one.body):
            continue
        query = f"?{one.sample.query}" if one.sample.query else ""
        address, sample = f"{one.path}{query}", one.sample
        if one.body is None:
            answer = client.get(address)
        else:
            answer = client.post(address, data=sample.body, content_type=sample.body_type)
        # The house of this test has no measurement of the line protocol.
        refused = one.path.endswith("/write")
        assert (answer.status_code == 200) is not refused, one.path
        assert str(answer.status_code) in one.answers
    assert length() == 0


def asked(
    client: FlaskClient, one: Operation, headers: dict[str, str] | None = None
) -> TestResponse:
    """The answer to its sample, in earnest."""
    path = re.sub(r"{\w+}", "1", one.path)
    data, kind = (one.sample.body, one.sample.body_type) if one.body else (None, None)
    method = one.method.upper()
    return client.open(path, method=method, data=data, content_type=kind, headers=headers)


def test_what_is_answered_without_a_database_is_described(settings: Settings) -> None:
    app = create_app(settings, missing="there was a database")
    for one in operations(settings):
        assert str(asked(app.test_client(), one).status_code) in one.answers, one.path
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
    for one in operations(settings):
        status = asked(app.test_client(), one).status_code
        # Ambient's clients have the token in the body, which is looked at later.
        assert (status == 401) is (one.guard not in {*OPEN, "key"}), one.path
    app.extensions["flask10x"].close()


@pytest.fixture
def length(app: Flask) -> Callable[[], int]:
    """How many readings wait."""
    found: Callable[[], int] = app.extensions["flask10x"].queues.length
    return found


def test_forms_are_sent_as_forms(settings: Settings) -> None:
    (form,) = [one for one in operations(settings) if one.path.endswith("/urldataarray")]
    assert form.sample.body_type == FORM
    assert form.body is not None and list(form.body["content"]) == [FORM]


def test_tokens_are_asked_for_where_there_are_some(settings: Settings) -> None:
    def security(*, wanted: bool) -> tuple[object, object, object]:
        paths = specification(settings, read_token=wanted, write_token=wanted)["paths"]
        get, post = paths["/metrics"]["get"], paths["/data"]["post"]
        return get["security"], post["security"], paths["/healthz"]["get"]["security"]

    none: dict[str, list[str]] = {}
    read: list[object] = [{"read": []}, {"readPassword": []}]
    write: list[object] = [{"write": []}]
    assert security(wanted=False) == ([none, *read], [none, *write], [none])
    assert security(wanted=True) == (read, write, [none])


@pytest.mark.parametrize(
    ("write_token", "read_token", "wanted"),
    [
        (False, False, [{}, {"read": []}, {"readPassword": []}]),
        (True, False, [{"write": []}]),
        (True, True, [{"read": []}, {"readPassword": []}]),
        (False, True, [{"read": []}, {"readPassword": []}]),
    ],
)
def test_who_may_mute(
    settings: Settings, write_token: bool, read_token: bool, wanted: list[object]
) -> None:
    """As `web/access.py` has it."""
    paths = specification(settings, read_token=read_token, write_token=write_token)["paths"]
    assert paths["/alerts/mute"]["post"]["security"] == wanted
