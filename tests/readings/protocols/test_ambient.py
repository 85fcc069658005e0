"""What Ambient's clients send, as items of a batch."""

import json

import pytest

from flask10x.readings import protocols
from flask10x.readings.protocols import ItemObject
from tests.support import foreign_requests as sent
from tests.support.balcony import BALCONY, STATIONS


def items(body: bytes, *, many: bool) -> list[ItemObject]:
    return protocols.ambient_items(BALCONY, json.loads(body), many=many)


def test_a_channel_is_that_of_one_station() -> None:
    assert protocols.station_of_channel(STATIONS, sent.CHANNEL) is BALCONY
    # The built-in stations have none.
    assert (
        protocols.station_of_channel(STATIONS, "")
        is protocols.station_of_channel(STATIONS, "1")
        is None
    )


@pytest.mark.parametrize("request_", [sent.AMBIENT_PYTHON, sent.AMBIENT_MICROPYTHON])
def test_one_reading(request_: bytes) -> None:
    assert items(sent.body_of(request_), many=True) == [
        {"endpoint": "balcony", "data": {"temperature": 25.1, "air": {"humidity": 52}}}
    ]


def test_what_the_arduino_library_sends_is_text() -> None:
    assert items(sent.body_of(sent.AMBIENT_ARDUINO), many=False) == [
        {"endpoint": "balcony", "data": {"temperature": "25.10", "air": {"humidity": "  52.00"}}}
    ]


def test_readings_with_times_are_the_same_when_they_come_again() -> None:
    body = sent.body_of(sent.AMBIENT_PYTHON_MANY)
    first, second = items(body, many=True)
    assert first["measured_at"] == "2026-11-26 12:00:00"
    assert second["measured_at"] == "2026-11-26 12:01:00.500"
    assert first["id"] != second["id"]
    assert items(body, many=True) == [first, second]
    # Another value at that time is another reading.
    (other,) = items(
        b'{"data": [{"created": "2026-11-26 12:00:00", "d1": 1, "d2": 52}]}', many=True
    )
    assert other["id"] != first["id"]


def test_a_form_of_node_js() -> None:
    payload = protocols.payload_of_form(sent.body_of(sent.AMBIENT_NODE))
    assert protocols.write_key(payload) == sent.WRITE_KEY
    first, second = protocols.ambient_items(BALCONY, payload, many=True)
    assert first["data"] == {"temperature": "25.1", "air": {"humidity": "52"}}
    assert first["measured_at"] == "2026-11-26 12:00:00"
    assert second == {
        "endpoint": "balcony",
        "data": {"temperature": "25.2", "air": {"humidity": "53"}},
    }


@pytest.mark.parametrize(
    ("created", "measured_at"),
    [
        ('"created": 1795665600000', 1795665600.0),
        ('"created": "1795665600500"', 1795665600.5),
        ('"created": 1795665600, "time": 1', 1795665600),
        ('"created": "1795665600", "time": "1"', 1795665600),
        ('"created": "2026-11-26T03:00:00.000Z"', "2026-11-26T03:00:00.000Z"),
        # Refused by the batch, which says why.
        ('"created": "yesterday"', "yesterday"),
        ('"created": true', True),
        ('"created": [1795665600000]', [1795665600000]),
        ('"created": ""', None),
        ('"created": null', None),
    ],
)
def test_forms_of_a_time(created: str, measured_at: object) -> None:
    (item,) = items(f'{{"d1": 1, {created}}}'.encode(), many=False)
    assert item.get("measured_at") == measured_at
    assert item["data"] == {"temperature": 1}


def test_what_is_no_field_of_the_station_stays_with_the_reading() -> None:
    body = b'{"writeKey": "k", "d1": 1, "d8": 8, "lat": "35.6", "cmnt": "door open"}'
    (item,) = items(body, many=False)
    assert item["data"] == {"temperature": 1, "d8": 8, "lat": "35.6", "cmnt": "door open"}


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b'{"data": {"d1": 1}}', [{"temperature": 1}]),
        (b'{"d1": 1}', [None]),
        (b'{"data": [5, "x"]}', [5, "x"]),
    ],
)
def test_what_is_no_list_of_readings_is_left_for_the_batch_to_refuse(
    body: bytes, data: list[object]
) -> None:
    assert [item["data"] for item in items(body, many=True)] == data
