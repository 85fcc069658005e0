"""What howto/home-assistant.md gives Home Assistant: its templates, run on a real answer.

Home Assistant renders them with Jinja; of the filters and tests that are its own none is used, so
Jinja alone does the same (https://www.home-assistant.io/docs/configuration/templating/).
"""

import re
import shutil
import subprocess
from typing import Any

import pytest
from flask.testing import FlaskClient
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from flask10x.readings.parse import Reading
from flask10x.recording.writer import Writer
from flask10x.system.gauges import Gauges
from tests.contract.test_docs import blocks, file_of, read
from tests.support.html import NINE

PAGE = read(file_of("howto/home-assistant", "en"))
CONFIGURATION, *OTHERS = blocks(PAGE, "yaml")
SENSOR = re.compile(r'^      - name: "([^"]+)"\n((?:        .+\n)+)', re.M)
KEY = re.compile(r'^        (\w+): "?(.+?)"?$', re.M)
SENSORS = {name: dict(KEY.findall(keys)) for name, keys in SENSOR.findall(CONFIGURATION)}
# The units of each class, https://developers.home-assistant.io/docs/core/entity/sensor
CLASSES = {
    "carbon_dioxide": {"ppm"},
    "temperature": {"°C"},
}


def rendered(template: str, answer: object) -> str:
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    return environment.from_string(template).render(value_json=answer)


def states(client: FlaskClient) -> dict[str, str]:
    """What each sensor shows; `unavailable` where its template of that says so."""
    answer = client.get("/api/v1/latest").get_json()
    return {
        name: rendered(keys["value_template"], answer)
        if rendered(keys.get("availability", "True"), answer) == "True"
        else "unavailable"
        for name, keys in SENSORS.items()
    }


def store(writer: Writer, gauges: Gauges, co2: float | None = 650.0) -> None:
    writer.submit(Reading("data2", NINE, (co2, 26.54, 48.0, 996.5, 5419.0)))
    writer.step()


def test_the_templates_show_what_is_stored(
    client: FlaskClient, writer: Writer, gauges: Gauges
) -> None:
    store(writer, gauges)
    assert states(client) == {"Bedroom CO2": "650.0", "Bedroom temperature": "26.5"}


def test_a_value_that_is_missing_or_never_came_is_unavailable(
    client: FlaskClient, writer: Writer, gauges: Gauges
) -> None:
    assert set(states(client).values()) == {"unavailable"}
    store(writer, gauges, co2=None)
    assert states(client) == {"Bedroom CO2": "unavailable", "Bedroom temperature": "26.5"}


def test_a_silent_station_is_unavailable(
    client: FlaskClient, writer: Writer, gauges: Gauges
) -> None:
    store(writer, gauges)
    # Some time before the machine was started, for all the clock says.
    gauges.note_received("data2", -1_000_000_000)
    assert set(states(client).values()) == {"unavailable"}


def test_an_answer_that_is_an_error_makes_no_template_fail() -> None:
    answer = {"error": "database unavailable"}
    for keys in SENSORS.values():
        assert rendered(keys["availability"], answer) == "False"


def test_each_sensor_has_the_unit_of_the_store(client: FlaskClient) -> None:
    stations = client.get("/api/v1/latest").get_json()["stations"]
    assert len(SENSORS) == 2
    for keys in SENSORS.values():
        assert keys["unit_of_measurement"] in CLASSES[keys["device_class"]]
        assert keys["state_class"] == "measurement"
        where = re.search(r"stations\.(\w+)\.measurements\.(\w+)", keys["value_template"])
        if where:
            assert stations[where[1]]["units"][where[2]] == keys["unit_of_measurement"]
    assert len({keys["unique_id"] for keys in SENSORS.values()}) == len(SENSORS)


def test_the_display_and_the_prompt_take_keys_that_there_are(client: FlaskClient) -> None:
    answer = client.get("/api/v1/latest?station=data2").get_json()
    display = OTHERS[1]
    assert set(re.findall(r'root\["(\w+)"\]', display)) <= answer.keys()
    measured = set(re.findall(r'measured\["(\w+)"\]', display))
    prompt = "\n".join(blocks(PAGE, "sh"))
    measured |= set(re.findall(r"\.measurements\.(\w+)", prompt))
    assert measured == {"co2", "temperature"} <= answer["measurements"].keys()


@pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")
def test_the_prompt_shows_the_values(client: FlaskClient, writer: Writer, gauges: Gauges) -> None:
    program = re.findall(r"jq -r '(.*?)'", "\n".join(blocks(PAGE, "sh")))[0]

    def shown() -> str:
        answer = client.get("/api/v1/latest?station=data2").text
        return subprocess.check_output(["jq", "-r", program], input=answer, text=True)

    assert shown() == ""
    store(writer, gauges)
    assert shown() == "650.0 ppm 26.54 °C\n"


@pytest.mark.tools
def test_the_blocks_are_yaml() -> None:
    yaml: Any = pytest.importorskip("yaml", reason="PyYAML is not installed: make tools")

    class Loader(yaml.SafeLoader):  # type: ignore[misc]
        """With the tags of the two programs."""

    for tag in ("!secret", "!lambda"):
        Loader.add_constructor(tag, lambda loader, node: loader.construct_scalar(node))
    (rest,) = yaml.load(CONFIGURATION, Loader)["rest"]
    assert rest["resource"].endswith("/api/v1/latest")
    sensors = {one.pop("name"): one for one in rest["sensor"]}
    assert sensors == SENSORS
    _headers, display = (yaml.load(text, Loader) for text in OTHERS)
    (asked,) = display["interval"][0]["then"]
    assert asked["http_request.get"]["url"].endswith("/api/v1/latest?station=data2")
