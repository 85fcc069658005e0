"""Handover: messages are posted to the service, which answers with a result for each."""

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPException
from itertools import accumulate, islice
from typing import Any

from flask10x.database.running_service import connection_to
from flask10x.errors import Flask10xError
from flask10x.readings.parse import InvalidBody, decode, is_without_values
from flask10x.readings.stations import Station

# The longest body of a sensor, and the beginning of a longer one that is kept.
PAYLOAD_MAX_BYTES = 64 * 1024
SHOWN_BYTES = 200
# A payload with these keys alone is an item of a batch and no reading.
AROUND_DATA = {"data", "measured_at", "age_s", "id"}
# A reading that waits longer than this keeps the time at which it came.
LATE_SEC = 2.0
NS_PER_SEC = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Message:
    """A message that waits to be handed over."""

    number: int
    """Of its delivery by the broker; 0 for a message that the broker does not keep (QoS 0)."""
    endpoint: str
    """Of the station that has its topic."""
    payload: bytes
    came_ns: int
    """When it first came, in nanoseconds since 1970; it is unique."""

    def item(self, now_ns: int) -> dict[str, object]:
        """The item of a batch for this message, whose payload is such an item or a reading.

        Its key is its id or else the time when it came, so a message that is delivered again is the
        same reading. A message that had to wait for the service is a late reading.
        """
        item: dict[str, object] = {"endpoint": self.endpoint, **_parts(self.payload)}
        if item.get("id") is None:
            item["id"] = f"mqtt-{self.came_ns}"
        waited_sec = (now_ns - self.came_ns) / NS_PER_SEC
        age = item.get("age_s")
        if isinstance(age, int | float) and not isinstance(age, bool):
            item["age_s"] = age + max(0.0, waited_sec)
        elif waited_sec > LATE_SEC and item.get("measured_at") is None:
            item["measured_at"] = self.came_ns / NS_PER_SEC
        return item


def _parts(payload: bytes) -> Mapping[str, object]:
    """The keys of the item; a payload that is no JSON object becomes data that are rejected."""
    with suppress(InvalidBody, RecursionError):
        if len(payload) <= PAYLOAD_MAX_BYTES:
            content = decode(payload)
            # Deeply nested content can perhaps be read, but not written again within a batch.
            json.dumps([[[content]]])
            has_data = isinstance(content.get("data"), dict) and content.keys() <= AROUND_DATA
            return content if has_data else {"data": content}
    return {"data": payload[:SHOWN_BYTES].decode("utf-8", "replace")}


def has_no_value(station: Station, payload: bytes) -> bool:
    """Return whether a message of the station has null for all its measurements."""
    data = _parts(payload).get("data")
    return isinstance(data, Mapping) and is_without_values(station, data)


PATH = "/api/v1/readings?ack=committed"
# Longer than the service waits for a commit (ACK_TIMEOUT_SEC, 8 s at most).
ANSWER_TIMEOUT_SEC = 15.0
# The limits of one post. A payload may become six times as long as JSON; the service takes 1 MiB.
POSTED_MAX, POSTED_MAX_BYTES = 100, 128 * 1024
# The statuses of a reading that is stored, now or before, and the errors of one that never will be.
STORED = {"committed", "duplicate", "accepted_with_warnings"}
REFUSED = {"validation failed", "refused by the database"}
# The errors of a post that is refused as a whole.
NOT_TAKEN = {"validation failed", "body too large"}
SHOWN_CHARS = 300


class ServiceAway(Flask10xError):
    """The service gave no results for the messages; the text has its answer or the error."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one message."""

    is_settled: bool
    """Whether the service has stored it, or rejected and kept it: the broker may forget it."""
    error: str
    """The answer of the service if the message is not stored; else empty."""


class Handover:
    """Posts messages to the service of this installation."""

    def __init__(self, bind: str, token: str) -> None:
        """`bind` is the service's BIND; the token may be empty."""
        self._bind = bind
        self._headers = {"Content-Type": "application/json", "Host": "localhost"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def post(self, messages: Sequence[Message], now_ns: int) -> list[Result]:
        """The result of each message, in the same order.

        Raises ServiceAway if the service gives no results; it may nevertheless have stored them.
        """
        body = json.dumps([message.item(now_ns) for message in messages]).encode()
        try:
            answer = self._answer(body)
        except (OSError, ValueError, HTTPException) as error:
            raise ServiceAway(f"no answer from {self._bind}: {error!r}") from None
        results = answer.get("results") if isinstance(answer, dict) else None
        if results is None and isinstance(answer, dict) and answer.get("error") in NOT_TAKEN:
            # One message is the reason for the refusal, and the others must not wait for it.
            if len(messages) > 1:
                return [self.post([message], now_ns)[0] for message in messages]
            return [Result(True, json.dumps(answer)[:SHOWN_CHARS])]
        if not isinstance(results, list) or len(results) != len(messages):
            raise ServiceAway(f"{self._bind} says: {answer!r:.{SHOWN_CHARS}}")
        return [_result(result) for result in results]

    def _answer(self, body: bytes) -> Any:
        with closing(connection_to(self._bind, ANSWER_TIMEOUT_SEC)) as connection:
            connection.request("POST", PATH, body, self._headers)
            return json.loads(connection.getresponse().read())


def next_to_post(waiting: Sequence[Message]) -> list[Message]:
    """The first messages, as many as fit into one post; at least one."""
    sizes = accumulate(len(message.payload) for message in waiting)
    fitting = bisect_right([*islice(sizes, POSTED_MAX)], POSTED_MAX_BYTES)
    return [*waiting[: max(1, fitting)]]


def _result(answer: Any) -> Result:
    if answer.get("status") in STORED:
        return Result(True, "")
    return Result(answer.get("error") in REFUSED, json.dumps(answer)[:SHOWN_CHARS])
