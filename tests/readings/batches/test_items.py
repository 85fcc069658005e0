"""What a sender may say of a reading beside its fields; what it may not is in tests/web."""

from dataclasses import replace
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask10x.readings.batches import AHEAD_MAX_MS, FIRST_MS, Item, is_item, item_of, measured_ms
from flask10x.readings.parse import InvalidReading
from flask10x.readings.stations import BUILT_IN

TOKYO = ZoneInfo("Asia/Tokyo")
BERLIN = ZoneInfo("Europe/Berlin")
# 2025-08-24 02:00:12.345 UTC.
NOW_MS = 1_756_000_812_345
DATA = BUILT_IN.by_endpoint["data"]


@pytest.mark.parametrize(
    ("message", "zone", "ms"),
    [
        ({"measured_at": 1_756_000_000}, None, 1_756_000_000_000),
        ({"measured_at": 1_756_000_000.25}, None, 1_756_000_000_250),
        ({"measured_at": "2025-08-24T09:00:00+09:00"}, UTC, 1_755_993_600_000),
        ({"measured_at": "2025-08-24T00:00:00.5Z"}, TOKYO, 1_755_993_600_500),
        # Without an offset it is the time of the house.
        ({"measured_at": "2025-08-24 09:00:00"}, TOKYO, 1_755_993_600_000),
        ({"measured_at": " 2025-08-24T09:00 "}, TOKYO, 1_755_993_600_000),
        # The hour that comes twice when summer ends is the first one.
        ({"measured_at": "2024-10-27T02:30:00"}, BERLIN, 1_729_989_000_000),
        ({"measured_at": "2020-01-01T00:00:00Z"}, None, 1_577_836_800_000),
        ({"measured_at": 1_756_000_812.345 + 86_400}, None, NOW_MS + 86_400_000),
        # The midnight that ends a day, and leap seconds, as clocks have them since 1970.
        ({"measured_at": "2025-08-23T24:00:00+00:00"}, TOKYO, 1_755_993_600_000),
        ({"measured_at": "2025-08-23 24:00"}, TOKYO, 1_755_961_200_000),
        ({"measured_at": "2024-02-28T24:00:00.000Z"}, None, 1_709_164_800_000),
        ({"measured_at": "2025-08-23T23:59:60Z"}, TOKYO, 1_755_993_600_000),
        ({"measured_at": "2025-08-24T08:59:60.5+09:00"}, UTC, 1_755_993_600_500),
        ({"measured_at": "2025-08-24 08:59:60"}, TOKYO, 1_755_993_600_000),
        ({"measured_at": "2020-12-31T23:59:60Z"}, None, 1_609_459_200_000),
        ({"age_s": 0}, None, NOW_MS),
        ({"age_s": 43_200.5, "measured_at": None}, None, NOW_MS - 43_200_500),
        ({"age_s": None}, None, None),
        ({}, None, None),
    ],
)
def test_when_it_was_measured(
    message: dict[str, object], zone: tzinfo | None, ms: int | None
) -> None:
    assert measured_ms(message, NOW_MS, zone) == ms


@pytest.mark.parametrize(
    "message",
    [
        {"measured_at": "2019-12-31T23:59:59Z"},
        {"measured_at": 1_577_836_799.9},
        {"measured_at": 1_756_000_812.345 + 86_400.1},
        {"measured_at": "2025-08-24"},
        {"measured_at": "-24h"},
        {"measured_at": "20250824T000000Z"},
        {"measured_at": "2025-02-30T00:00:00Z"},
        {"measured_at": "2025-08-23T24:00:01Z"},
        {"measured_at": "2025-08-23T24:00:00.001Z"},
        {"measured_at": "2025-08-23T24:01Z"},
        {"measured_at": "2025-08-23T23:59:61Z"},
        {"measured_at": "2025-08-23T23:60:60Z"},
        {"measured_at": "9999-12-31T24:00:00Z"},
        {"measured_at": "9999-12-31T23:59:60Z"},
        {"measured_at": "2025-08-24T09:00:00 09:00"},
        {"measured_at": "1756000000"},
        {"measured_at": ""},
        {"measured_at": True},
        {"measured_at": float("nan")},
        {"measured_at": float("inf")},
        {"measured_at": 1.7e308},
        {"measured_at": []},
        {"measured_at": 1_756_000_000, "age_s": 0},
        {"age_s": -0.1},
        {"age_s": "60"},
        {"age_s": 1.7e308},
        {"age_s": False},
        {"age_s": 10**9},
    ],
)
def test_what_is_no_time_of_a_measurement(message: dict[str, object]) -> None:
    with pytest.raises(InvalidReading) as caught:
        measured_ms(message, NOW_MS, UTC)
    assert len(caught.value.details) == 1


ANY = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.just([]))


@given(ANY, ANY)
def test_whatever_is_said_it_is_a_plausible_time_or_an_error(at: object, age: object) -> None:
    try:
        ms = measured_ms({"measured_at": at, "age_s": age}, NOW_MS, TOKYO)
    except InvalidReading as error:
        assert error.details
    else:
        assert ms is None or FIRST_MS <= ms <= NOW_MS + AHEAD_MAX_MS


@pytest.mark.parametrize(
    ("sent_id", "key"),
    [("reading 1", b"reading 1"), (17, b"17"), ("温度", "温度".encode()), (None, b"")],
)
def test_an_item(sent_id: object, key: bytes) -> None:
    data = {"temperature": 25}
    message = {"endpoint": "data", "data": data, "age_s": 60, "id": sent_id}
    assert item_of(message, NOW_MS, UTC) == Item(data, NOW_MS - 60_000, key)


@pytest.mark.parametrize("sent_id", ["", "あ" * 86, 1.0, True, [], {}, 10**255])
def test_what_is_no_id(sent_id: object) -> None:
    with pytest.raises(InvalidReading) as caught:
        item_of({"data": {}, "id": sent_id}, NOW_MS, UTC)
    assert list(caught.value.details) == ["id"]


def test_a_few_strange_keys_are_named_in_short() -> None:
    with pytest.raises(InvalidReading) as caught:
        item_of({"data": {}} | {f"{number}{'x' * 5000}": 1 for number in range(50)}, NOW_MS, UTC)
    assert len(str(caught.value.details)) < 500


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"data": {}, "age_s": 1}, True),
        ({"data": {}, "endpoint": "data", "measured_at": 1, "id": 1}, True),
        ({"data": {}}, True),
        ({"data": 5, "age_s": 1}, False),
        ({"data": {}, "temperature": 25}, False),
        ({"temperature": 25, "age_s": 1}, False),
    ],
)
def test_what_is_an_item_in_an_array_of_a_station(
    result: dict[str, object], expected: bool
) -> None:
    assert is_item(result, DATA) is expected


def test_a_station_may_have_a_field_of_that_name() -> None:
    with_data = replace(DATA, measurements=(replace(DATA.measurements[0], path="data.pressure"),))
    assert not is_item({"data": {"pressure": 1000}}, with_data)
