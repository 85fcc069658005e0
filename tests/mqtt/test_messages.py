"""What sensors publish, as items of a batch; and how many of them go into one post."""

import json

import pytest

from flask10x.mqtt.handover import NS_PER_SEC, PAYLOAD_MAX_BYTES, POSTED_MAX, Message, next_to_post

CAME = 1_795_665_600 * NS_PER_SEC


def item(payload: bytes, waited_sec: float = 0) -> dict[str, object]:
    message = Message(1, "balcony", payload, CAME)
    return message.item(CAME + round(waited_sec * NS_PER_SEC))


def test_a_payload_is_a_reading() -> None:
    assert item(b'{"temperature": 25.1, "id": "esp-1", "data": 5}') == {
        "endpoint": "balcony",
        "data": {"temperature": 25.1, "id": "esp-1", "data": 5},
        "id": f"mqtt-{CAME}",
    }


def test_a_payload_is_an_item() -> None:
    sent = {"data": {"temperature": 25.1}, "measured_at": 1795660000, "id": "esp-1"}
    assert item(json.dumps(sent).encode(), waited_sec=60) == {"endpoint": "balcony", **sent}


@pytest.mark.parametrize(
    ("payload", "waited_sec", "said"),
    [
        (b'{"temperature": 1}', 1.0, {}),
        (b'{"temperature": 1}', 60, {"measured_at": CAME / NS_PER_SEC}),
        (b'{"data": {"temperature": 1}, "age_s": 5}', 60, {"age_s": 65.0}),
        (
            b'{"data": {"temperature": 1}, "measured_at": null, "id": null}',
            *(60, {"measured_at": 1795665600.0}),
        ),
    ],
)
def test_a_reading_keeps_its_time_while_the_service_is_away(
    payload: bytes, waited_sec: float, said: dict[str, object]
) -> None:
    posted = item(payload, waited_sec)
    assert {name: posted[name] for name in ("measured_at", "age_s") if name in posted} == said
    assert posted["data"] == {"temperature": 1}
    assert posted["id"] == f"mqtt-{CAME}"


@pytest.mark.parametrize(
    ("payload", "data"),
    [
        (b"25.1", "25.1"),
        (b"", ""),
        (b'{"temperature": 25', '{"temperature": 25'),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"[" * (PAYLOAD_MAX_BYTES + 1), "[" * 200),
    ],
)
def test_what_is_no_object_is_left_to_be_refused(payload: bytes, data: str) -> None:
    assert item(payload)["data"] == data


def test_a_post_has_some_messages_and_no_more() -> None:
    small = [Message(n, "balcony", b"{}", CAME + n) for n in range(POSTED_MAX + 1)]
    assert next_to_post(small) == small[:POSTED_MAX]
    large = [Message(n, "balcony", b"x" * 100_000, CAME + n) for n in range(3)]
    assert next_to_post(large) == large[:1]
    assert next_to_post([Message(1, "balcony", b"x" * 10**6, CAME)])


@pytest.mark.parametrize("depth", [900, 950, 990, 995, 1000, 30_000])
def test_no_depth_of_a_payload_ends_the_command(depth: int) -> None:
    payload = b'{"temperature": 1, "x": ' + b"[" * depth + b"]" * depth + b"}"
    assert json.dumps([item(payload)])
