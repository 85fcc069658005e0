"""The running service answers as its specification says, whatever schemathesis makes of it.

Not by the plugin of schemathesis: what it makes is deterministic here, and one service answers all.
"""

import json
import re
import subprocess
from collections.abc import Iterator
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

# A house in which every door leads to a station, and one station takes incomplete readings.
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
# Texts are values if they hold a number, which no schema can say.
NEVER = [checks.positive_data_acceptance]
# One good value, or one good reading of many, is enough for a 200. The fields of a form may be
# empty. Ambient's clients and writers of line protocol send more than anybody knows. All of it is
# said in http-api.md.
LENIENT = {
    *("POST /balcony", "POST /api/v1/readings", "POST /write", "POST /api/v2/write"),
    *(f"POST /api/v2/channels/{{channel}}/{end}" for end in ("data", "dataarray", "urldataarray")),
    *("GET /history", "GET /history/rejected", "GET /records", "GET /notes"),
}


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


@pytest.fixture(scope="module")
def schema(house: Service) -> Any:
    base = f"http://127.0.0.1:{house.port}"
    found = schemathesis.openapi.from_url(f"{base}/openapi.json")
    found.config.update(base_url=base)
    return found


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


@pytest.mark.parametrize("how", ["allowed", "forbidden", "at_the_edges"])
def test_every_answer_is_as_specified(schema: Any, how: str) -> None:
    found: dict[str, str] = {}
    asked = 0

    def check(case: Any) -> None:
        nonlocal asked
        asked += 1
        label = case.operation.label
        left_out = [*NEVER, *([checks.negative_data_rejection] if is_lenient(case) else [])]
        try:
            case.validate_response(case.call(), excluded_checks=left_out)
        except BaseExceptionGroup as failures:
            found.setdefault(label, str(failures))

    for result in schema.get_all_operations():
        operation = result.ok()
        if how == "at_the_edges":
            at_the_edges(schema, operation, check)
        else:
            drawn(operation, POSITIVE if how == "allowed" else NEGATIVE, check)
    assert not found, "\n".join(found.values())
    assert asked > 100


def is_lenient(case: Any) -> bool:
    """Whether a 200 is right although not all of the request is."""
    return case.operation.label in LENIENT or isinstance(case.body, list)


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


def at_the_edges(schema: Any, operation: Any, check: Any) -> None:
    """Least and greatest values, missing ones, wrong kinds, one after the other."""
    config = schema.config.generation_for(operation=operation, phase="coverage")
    cases = schema.iter_coverage_cases(
        operation, generation_modes=[POSITIVE, NEGATIVE], generation_config=config
    )
    for case in islice(cases, EDGES_MAX):
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
