"""The running service answers as its specification says, whatever schemathesis makes of it.

Not by the plugin of schemathesis: what it makes is deterministic here, and one service answers all.
"""

import copy
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from html import unescape
from itertools import islice
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from tests.e2e.conftest import make_services
from tests.e2e.service import Service
from tests.support.alert_rows import HOUR_MS, NINE_MS, AlertRows
from tests.support.databases import examples

schemathesis = pytest.importorskip(
    "schemathesis", reason="the extra `tools` is missing: make tools"
)
checks = pytest.importorskip("schemathesis.specs.openapi.checks")
validator = pytest.importorskip("openapi_spec_validator", reason="make tools")
jsonschema = pytest.importorskip("jsonschema", reason="make tools")

pytestmark = pytest.mark.tools

# A house in which every protocol leads to a station, and one station takes incomplete readings.
STATIONS = """
[stations.data2]
ambient_channel = "12345"

[stations.data2.measurements.co2]
ambient = "d1"

[stations.data2.measurements.temperature]
ambient = "d2"

[stations.data2.measurements.humidity]
ambient = "d3"

[stations.data2.measurements.pressure]
ambient = "d4"

[stations.data2.measurements.gas_resistance]
ambient = "d5"

[stations.balcony]
label = "Balcony"
partial = "accept"
influx = "feinstaub"
influx_tags = { node = "esp8266-123" }

[stations.balcony.measurements.temperature]
unit = "°C"
minimum = -50
maximum = 150
influx = "BME280_temperature"

[stations.balcony.measurements.pm10]
unit = "µg/m³"
path = "dust.pm10"
minimum = 0
"""
SENT: dict[str, object] = {
    "data": {"pressure": "1013.25hPa", "temperature": "25.1C"},
    "data4": {"mh_z19": {"co2": 700}},
    "balcony": {"temperature": None, "dust": {"pm10": 12.5}},
}
# Of each operation, as allowed and as forbidden.
EXAMPLES = examples(15)
# A condition on each measurement has as many edges again, and each takes the same way.
EDGES_MAX = 100
POSITIVE, NEGATIVE = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
# What no schema can say, and which of what it allows is tried instead. By place in the document:
# a key of a schema, or a path and the name of its parameter.
TEXT_OF_A_NUMBER = {"type": "string", "pattern": "^[1-9][0-9]?([.,][0-9])?$"}
SINCE_2020_SEC = {"type": "number", "minimum": 1_577_836_800, "maximum": 1_750_000_000}
PAST_TEXT = {"type": "string", "pattern": "^202[0-4]-0[1-9]-[012][1-8]T[01][0-9]:[0-5][0-9]Z$"}
NULL = {"type": "null"}
# They are no later than the clock of the service, and what is in a body has its room there.
NARROW_PROPERTIES: dict[str, dict[str, Any]] = {
    "measured_at": {"anyOf": [SINCE_2020_SEC, PAST_TEXT, NULL]},
    "age_s": {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1e8}, NULL]},
    "id": {"anyOf": [{"type": "string", "pattern": "^[ -~]{1,40}$"}, {"type": "integer"}, NULL]},
    "created": {"type": "number", "minimum": 1.6e12, "maximum": 1.75e12},
    "time": {"type": "null"},
}
SENT_SCHEMAS = ("Item", "OwnItem_", "Reading_", "Ambient")
NARROW_PARAMETERS = {
    # A date is one of the calendar, and `from` is before `to`.
    "from": {"type": "string", "enum": ["-24h", "2025-08-24", " 2025-08-24 09:00", "-7d"]},
    "to": {"type": "string", "enum": ["now", "-1h", "2038-01-19T03:14:07.9Z", "2030-01-01"]},
    # Of a station those that it has.
    "records endpoint": {"type": "string", "enum": ["data2"]},
    "records measurement": {"type": "string", "enum": ["temperature"]},
    "records period": {"type": "string", "enum": ["2025-08", "2025", "all"]},
}
# One of two goes with the others.
ALONE = {"/history/json": {"order", "cursor"}, "/records.csv": {"below"}}
LINE = "feinstaub,node=esp8266-123 BME280_temperature=21.5,dust.pm10=3"
NARROW_BODIES: dict[str, list[Any]] = {
    "/write": [LINE, ""],
    "/api/v2/write": [LINE, ""],
}
# Their answers are read in test_events.py.
WITHOUT_END = ("/events",)
# Other parameters of these are for other servers: they are ignored.
OF_SENDERS = ("/data", "/data2", "/data3", "/data4", "/balcony", "/write", "/api/v2/")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("house")
    stations = folder / "stations.toml"
    stations.write_text(STATIONS, encoding="utf-8")
    with make_services(folder) as make:
        service = make(start=False, STATIONS=stations)
        # The migration makes the columns of the added station.
        service.starts_migrated = False
        service.start()
        for station, body in SENT.items():
            service.post(station, body)
        rows = AlertRows(service.data_dir)
        facts = {"value": 1720.0, "unit": "ppm", "limit": 1500, "above": 1}
        for ended_ms in (None, NINE_MS + HOUR_MS):
            alert = rows.alert(
                "stuffy", "data2.co2", ended_ms=ended_ms, kind="threshold", facts=facts
            )
            rows.message(alert, "sent", tries=2, trouble="timed out")
        rows.mute("stuffy", "data2.co2", NINE_MS)
        yield service


@pytest.fixture(scope="module")
def document(house: Service) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(house.get("/openapi.json").body)
    return found


def schema_of(house: Service, document: dict[str, Any]) -> Any:
    found = schemathesis.openapi.from_dict(document)
    found.config.update(base_url=f"http://127.0.0.1:{house.port}")
    return found


def narrowed(document: dict[str, Any]) -> dict[str, Any]:
    """The same, allowing no more than what a service can take: what no schema says is left out."""
    found = copy.deepcopy(document)
    for name, kept in found["components"]["schemas"].items():
        if name.startswith(SENT_SCHEMAS):
            narrow_all(kept, NARROW_PROPERTIES)
    for path, operations in found["paths"].items():
        for operation in operations.values():
            own = [resolved(found, one) for one in operation.get("parameters", [])]
            operation["parameters"] = [
                narrow_parameter(path, one) for one in own if one["name"] not in ALONE.get(path, ())
            ]
            for content in operation.get("requestBody", {}).get("content", {}).values():
                narrow_all(content, {})
                if path in NARROW_BODIES:
                    content["schema"] = {"enum": NARROW_BODIES[path]}
    return found


def resolved(document: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    name = one.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = document["components"]["parameters"][name] if name else one
    return found


def narrow_parameter(path: str, one: dict[str, Any]) -> dict[str, Any]:
    places = (f"{path.strip('/').partition('.')[0]} {one['name']}", one["name"])
    narrow = next((NARROW_PARAMETERS[p] for p in places if p in NARROW_PARAMETERS), None)
    return one | {"schema": narrow} if narrow else one


def narrow_all(found: Any, properties: Mapping[str, dict[str, Any]]) -> None:
    """Put what is narrower in the place of each schema in this part of the document."""
    if isinstance(found, list):
        for value in found:
            narrow_all(value, properties)
    if not isinstance(found, dict):
        return
    if found.get("format") == "number-with-unit":
        found.pop("format")
        found |= TEXT_OF_A_NUMBER
    if "maxItems" in found:
        # As many as the body has room for.
        found["maxItems"] = 5
    for key, value in found.items():
        if key == "properties":
            for name in properties.keys() & value.keys():
                # One of the two times of an item is null.
                if value[name] != NULL:
                    value[name] = properties[name]
        narrow_all(value, properties)


def test_the_document_is_valid_and_so_are_its_examples(document: dict[str, Any]) -> None:
    validator.validate(document)
    for where, content in media_of(document, "#"):
        rules = {"$ref": f"{where}/schema", "components": document["components"]}
        known = jsonschema.Draft202012Validator(document | {"$ref": rules["$ref"]})
        for name, example in content.get("examples", {}).items():
            assert not [*known.iter_errors(example["value"])], f"{where} {name}"


def media_of(found: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each media type with its place, as a JSON pointer."""
    if isinstance(found, dict):
        for name, value in found.items():
            place = f"{where}/{name.replace('~', '~0').replace('/', '~1')}"
            if name == "content":
                for kind, content in value.items():
                    yield f"{place}/{kind.replace('/', '~1')}", content
            else:
                yield from media_of(value, place)


# schemathesis needs minutes of processor time to make the edges.
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "how",
    [
        "allowed",
        "forbidden",
        *(
            pytest.param(how, marks=pytest.mark.long)
            for how in ("allowed edges", "forbidden edges")
        ),
    ],
)
def test_every_answer_is_as_specified(house: Service, document: dict[str, Any], how: str) -> None:
    """Valid data are taken and invalid ones refused, and each answer is one that is described."""
    found: dict[str, str] = {}
    asked = 0

    def check(case: Any) -> None:
        nonlocal asked
        asked += 1
        label, answer = case.operation.label, case.call()
        left_out = [checks.negative_data_rejection] if is_taken_rightly(case, answer) else []
        try:
            case.validate_response(answer, excluded_checks=left_out)
        except BaseExceptionGroup as failures:
            found.setdefault(label, str(failures))

    is_allowed = how.startswith("allowed")
    schema = schema_of(house, narrowed(document) if is_allowed else document)
    mode = POSITIVE if is_allowed else NEGATIVE
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path in WITHOUT_END:
            continue
        if how.endswith("edges"):
            at_the_edges(schema, operation, mode, check)
        else:
            drawn(operation, mode, check)
    assert not found, "\n".join(found.values())
    assert asked > 100


def is_taken_rightly(case: Any, answer: Any) -> bool:
    """Whether what is wrong with a request was ignored, or refused by itself, as is documented."""
    if answer.status_code >= 400:
        # Too long to be looked at is refused as well.
        return bool(answer.status_code == 413)
    known = {one.name for one in case.operation.query}
    if case.path.startswith(OF_SENDERS) and not case.query.keys() <= known:
        return True
    # Of several readings each has a result.
    if "json" in answer.headers.get("Content-Type", ""):
        counts = answer.json()
        return isinstance(counts, dict) and counts.get("refused", 0) > 0
    return False


def drawn(operation: Any, mode: Any, check: Any) -> None:
    @given(operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def run(case: Any) -> None:
        check(case)

    try:
        run()
    except Unsatisfiable:
        # Nothing can be forbidden of a route that takes nothing.
        assert mode is NEGATIVE and not operation.body and not operation.query, operation.label


def at_the_edges(schema: Any, operation: Any, mode: Any, check: Any) -> None:
    """Least and greatest values, missing ones, wrong kinds, one after the other."""
    config = schema.config.generation_for(operation=operation, phase="coverage")
    # By itself the mode for what is forbidden makes all of a request wrong at once.
    cases = schema.iter_coverage_cases(
        operation, generation_modes=[POSITIVE, NEGATIVE], generation_config=config
    )
    own = (case for case in cases if case.meta.generation.mode == mode)
    for case in islice(own, EDGES_MAX):
        check(case)


def test_the_commands_of_the_page_work_when_pasted(house: Service) -> None:
    text = house.get("/api").body.decode()
    commands = [unescape(one) for one in re.findall(r"<pre[^>]*>(.*?)</pre>", text, re.DOTALL)]
    commands = [one for one in commands if " -o " not in one]
    assert len(commands) > 20
    before = stored(house)
    for command in commands:
        failing = command.replace("curl -s", "curl -s --fail-with-body", 1)
        done = subprocess.run(["sh", "-c", failing], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}"
    assert stored(house) == before


def stored(house: Service) -> object:
    """How many are stored or wait."""
    numbers = json.loads(house.get("/metrics").body)
    return numbers["write_success_total"] + numbers["queue_length"]
