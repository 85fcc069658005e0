"""Whatever is posted: never a 5xx, never a 200 without its row, never a row that breaks the CSV.

Hypothesis against a running service that answers after the commit, so a 200 can be checked at once.
"""

import json
import math
import re
from contextlib import closing
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.e2e.conftest import MakeService
from tests.e2e.senders import Answer, Client, check_ingest_answer
from tests.e2e.service import Service

EXAMPLES, LONG_EXAMPLES = 120, 20_000
# Each post waits for its commit: two minutes by itself, a multiple beside four other long tests.
LONG_WITHIN_SEC = 900

# Typed by hand from the contract, section 1: payload path, lowest, highest value.
LIMITS: dict[str, list[tuple[str, float, float]]] = {
    "data": [("pressure", 0, 2000), ("temperature", -50, 150)],
    "data2": [
        ("co2", 0, 200_000),
        ("temperature", -50, 150),
        ("humidity", 0, 100),
        ("pressure", 0, 2000),
        ("gas_res", 0, math.inf),
    ],
    "data3": [
        ("temperature", -50, 150),
        ("humidity", 0, 100),
        ("pressure", 0, 2000),
        ("gas_res", 0, math.inf),
    ],
    "data4": [
        ("mh_z19.co2", 0, 200_000),
        ("mq_2.analog_value", 0, math.inf),
        ("mq_2.voltage", 0, math.inf),
        ("ds18b20.temperature", -50, 150),
        ("dht11.temperature", -50, 150),
        ("dht11.humidity", 0, 100),
    ],
}
CSV_FILES = {
    "data": ("PicodataX.csv", "current_time,Pressure,Tempereture"),
    "data2": ("BedRoomEnv.csv", "current_time,CO2,Tempereture,Humidity,Pressure,GasResistance"),
    "data3": (
        "OutsideEnv.csv",
        "current_time,Temperature-outside,Humidity-outside,Pressure-outside,GasResistance-outside",
    ),
    "data4": (
        "LR_env.csv",
        "current_time,CO2,AnalogValue,Voltage,Temperature_DS18B20,Temperature_DHT11,Humidity_DHT11",
    ),
}
COLUMNS = {
    "data": "pressure, temperature",
    "data2": "co2, temperature, humidity, pressure, gas_resistance",
    "data3": "temperature, humidity, pressure, gas_resistance",
    "data4": "co2, analog_value, voltage, temperature_ds18b20, temperature_dht11, humidity_dht11",
}

UNITS = st.sampled_from(
    [
        "",
        "hPa",
        "Pa",
        "kPa",
        " C",
        "°C",
        "F",
        "K",
        "%",
        "ppm",
        "kΩ",
        "V",
        "mV",
        "℃",
        "％",
        "x",
        "e5",
    ]
)
NUMBERS = st.integers(-200, 2000) | st.floats(-60, 160) | st.just(85) | st.just(-127)
TEXTS = st.builds(lambda number, unit: f"{number}{unit}", NUMBERS, UNITS)
SPECIAL_NUMBERS = st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 1e308, 2**63, 10**400])
ODD_NUMBERS = st.floats() | st.integers(-(2**70), 2**70)
ODD_TEXTS = st.text(max_size=50)
SPECIAL_TEXTS = st.sampled_from(
    [
        "nan",
        "-inf",
        "1e999",
        "1,2,3",
        "１２．５",
        "−5",
        "0x10",
        "1_0",
        "\x00",
        "=1+1",
        '"',
        "1\r\n2",
    ]
)
ODD = st.recursive(
    st.none() | st.booleans() | ODD_NUMBERS | ODD_TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
ANYTHING = SPECIAL_NUMBERS | SPECIAL_TEXTS | ODD_TEXTS | ODD | NUMBERS | TEXTS


@st.composite
def payloads(draw: st.DrawFn, endpoint: str) -> dict[str, Any]:
    """A body as the station sends it, with some of its fields odd and some left out."""
    odd_one_in = draw(st.sampled_from([0, 2, 6, 6]))
    payload: dict[str, Any] = draw(st.dictionaries(st.text(max_size=8), ODD, max_size=2))
    for path, low, high in LIMITS[endpoint]:
        *objects, key = path.split(".")
        holder = payload
        for name in objects:
            holder = holder.setdefault(name, {})
        odd = odd_one_in and draw(st.integers(1, odd_one_in)) == 1
        fitting = st.floats(low, min(high, 1e6))
        holder[key] = draw(ANYTHING) if odd else draw(fitting | fitting.map(str))
    if odd_one_in == 2 and payload:
        payload[draw(st.sampled_from(sorted(payload)))] = draw(ODD)
    return payload


def encoded(value: object, ascii_only: bool, how: str) -> bytes:
    text = json.dumps(value, ensure_ascii=ascii_only)
    return text.encode(how, "surrogatepass")


ENCODINGS = st.sampled_from(["utf-8"] * 6 + ["utf-8-sig", "utf-16", "utf-32-le", "latin-1"])


@st.composite
def bodies(draw: st.DrawFn, endpoint: str) -> bytes:
    """Mostly readings; also any JSON, any bytes, and readings that were damaged on the way."""
    kind = draw(st.sampled_from(["reading"] * 6 + ["json", "bytes", "damaged", "twice", "deep"]))
    if kind == "bytes":
        return draw(st.binary(max_size=300))
    if kind == "deep":
        opening = draw(st.sampled_from([b"[", b'{"pressure":', b'{"mh_z19":[']))
        return opening * draw(st.sampled_from([50, 900, 5000]))
    value = draw(ODD) if kind == "json" else draw(payloads(endpoint))
    try:
        body = encoded(value, draw(st.booleans()), draw(ENCODINGS))
    except UnicodeEncodeError:
        body = encoded(value, True, "utf-8")
    if kind == "damaged":
        at = draw(st.integers(0, len(body)))
        return body[:at] + draw(st.binary(max_size=3)) + body[at + draw(st.integers(0, 5)) :]
    if kind == "twice":
        return body[:-1] + b"," + encoded(draw(payloads(endpoint)), True, "utf-8")[1:]
    return body


TYPES = st.sampled_from(
    ["application/json"] * 8 + ["application/json; charset=utf-8", "text/plain", "", "a" * 300, "?"]
)
POSTS = st.sampled_from(sorted(LIMITS)).flatmap(
    lambda endpoint: st.tuples(st.just(endpoint), bodies(endpoint), TYPES)
)


class Fuzzed:
    """A running service, a connection to it, and a look at its rows."""

    def __init__(self, service: Service, *, partial: bool) -> None:
        self._client = Client(service.port, keep_alive=True)
        self._service = service
        self._partial = partial
        self._stored = 0
        self.statuses: set[int] = set()

    def close(self) -> None:
        self._client.close()

    def post(self, endpoint: str, body: bytes, content_type: str) -> None:
        """Post it, and check the answer against what is stored now."""
        answer = self._client.post(endpoint, body, content_type)
        self.statuses.add(answer.status)
        rows = self._service.rows(
            f"SELECT endpoint, {COLUMNS[endpoint]} FROM readings WHERE id > ?", self._stored
        )
        self._stored += len(rows)
        if "results" in answer.json:
            # An array with an object in it, which hardly ever is a reading.
            assert len(rows) == answer.json["accepted"]
            assert answer.status == (200 if rows else 400)
            return
        check_ingest_answer(answer)
        if answer.status == 200:
            ((stored_endpoint, *values),) = rows
            assert stored_endpoint == endpoint
            self._check_stored(endpoint, values, answer)
        else:
            assert rows == []
            assert answer.status == 400
            assert answer.json["error"] == "validation failed"
            assert answer.json["details"]

    def _check_stored(self, endpoint: str, values: list[float | None], answer: Answer) -> None:
        for (path, low, high), value in zip(LIMITS[endpoint], values, strict=True):
            if value is None:
                named = answer.json["details"]
                assert path in named or path.split(".")[0] in named
            else:
                assert math.isfinite(value)
                assert low <= value <= high
        usable = [value for value in values if value is not None]
        if not self._partial:
            assert len(usable) == len(values)
        assert usable
        warned = answer.json["status"] == "accepted_with_warnings"
        assert warned or (answer.json == {"status": "committed"} and len(usable) == len(values))


def check_csv(service: Service) -> None:
    """Each file holds exactly the rows, and nothing that a reader could stumble over."""
    service.export()
    for endpoint, (name, header) in CSV_FILES.items():
        stored = service.rows(
            f"SELECT {COLUMNS[endpoint]} FROM readings WHERE endpoint = ? ORDER BY id", endpoint
        )
        if not stored:
            continue
        text = (service.csv_dir / name).read_bytes().decode("ascii")
        first, *lines, end = text.split("\r\n")
        assert (first, end, len(lines)) == (header, "", len(stored))
        for line, values in zip(lines, stored, strict=True):
            at, *cells = line.split(",")
            assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", at)
            assert [float(cell) if cell else None for cell in cells] == list(values)


def fuzz(make: MakeService, how: str, examples: int) -> None:
    running = make(ack="committed", partial_readings=how)
    with closing(Fuzzed(running, partial=how == "accept")) as fuzzed:

        @hypothesis.settings(
            max_examples=examples, suppress_health_check=list(HealthCheck), database=None
        )
        @given(POSTS)
        def post(one: tuple[str, bytes, str]) -> None:
            fuzzed.post(*one)

        post()
    # Else the test would prove nothing.
    assert fuzzed.statuses == {200, 400}
    check_csv(running)
    running.stop()
    assert [line for line in running.log() if "Unexpected failure" in line] == []
    assert "Traceback" not in running.output()
    running.check_integrity()


@pytest.mark.tools
@pytest.mark.parametrize("how", ["reject", "accept"])
def test_whatever_is_posted(service: MakeService, how: str) -> None:
    fuzz(service, how, EXAMPLES)


@pytest.mark.long
@pytest.mark.timeout(LONG_WITHIN_SEC)
@pytest.mark.parametrize("how", ["reject", "accept"])
def test_whatever_is_posted_for_a_long_time(service: MakeService, how: str) -> None:
    fuzz(service, how, LONG_EXAMPLES)
