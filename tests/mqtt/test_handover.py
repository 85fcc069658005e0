"""What the service says of messages, and which of them the broker may forget."""

import json
from typing import Any

import pytest

from flask10x.mqtt.handover import Handover, Message, Result, ServiceAway

MESSAGES = [Message(n, "balcony", b'{"temperature": %d}' % n, n) for n in (1, 2, 3)]
SETTLED = Result(True, "")
NOT_TAKEN = {"error": "validation failed", "details": {"readings": "an array is needed"}}


class Answers(Handover):
    """A service that says something of each message, by its number."""

    def __init__(self, said: Any) -> None:
        super().__init__("127.0.0.1:1", "")
        self._said = said

    def _answer(self, body: bytes) -> Any:
        posted = json.loads(body)
        numbers = [item["data"]["temperature"] for item in posted]
        return self._said(numbers)


def post(said: Any) -> list[Result]:
    return Answers(said).post(MESSAGES, 0)


@pytest.mark.parametrize(
    ("result", "is_settled"),
    [
        ({"status": "committed"}, True),
        ({"status": "duplicate"}, True),
        ({"status": "accepted_with_warnings", "details": {}}, True),
        ({"error": "validation failed", "details": {}}, True),
        ({"error": "refused by the database", "details": {}}, True),
        # Not yet on the card.
        ({"status": "enqueued"}, False),
        ({"status": "queued_failed"}, False),
        ({"error": "unauthorized"}, False),
        ({"error": "unknown station"}, False),
    ],
)
def test_a_message_is_settled_when_it_is_stored_or_never_will_be(
    result: dict[str, object], is_settled: bool
) -> None:
    results = post(lambda numbers: {"results": [{"status": "committed"}, result, result]})
    assert results[0] == SETTLED
    assert [each.is_settled for each in results] == [True, is_settled, is_settled]
    assert bool(results[1].error) == ("error" in result or not is_settled)


def test_a_message_for_which_a_post_is_refused_holds_up_no_other() -> None:
    def said(numbers: list[int]) -> object:
        is_refused = 2 in numbers
        return NOT_TAKEN if is_refused else {"results": [{"status": "committed"} for _ in numbers]}

    first, second, third = post(said)
    assert (first, third) == (SETTLED, SETTLED)
    assert second.is_settled
    assert "an array is needed" in second.error


@pytest.mark.parametrize(
    "answer",
    [
        {"error": "unauthorized", "hint": "..."},
        {"error": "not found"},
        {"status": "queued_failed", "detail": "the database is missing"},
        {"results": [{"status": "committed"}]},
        ["committed"],
        None,
    ],
)
def test_any_other_answer_is_none(answer: object) -> None:
    with pytest.raises(ServiceAway):
        post(lambda numbers: answer)
