"""Handover: messages are posted to the service, which says what became of each."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from flask10x.database.running_service import connection_to
from flask10x.errors import Flask10xError
from flask10x.readings.parse import InvalidBody, decode

# As long as any body of a sensor may be, and what is shown of a longer one.
PAYLOAD_MAX_BYTES = 64 * 1024
SHOWN_BYTES = 200
# An item of a batch, and no reading: what is said beside its data.
AROUND_DATA = {"data", "measured_at", "age_s", "id"}
# A reading that waits longer than this keeps the time at which it came.
LATE_SEC = 2.0
NS_PER_SEC = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Message:
    """A message that waits to be handed over."""

    number: int
    """Under which the broker has delivered it; 0 for one that it does not keep (QoS 0)."""
    endpoint: str
    """Of the station whose topic it came by."""
    payload: bytes
    came_ns: int
    """When it first came, since 1970; no two messages have the same."""

    def item(self, now_ns: int) -> dict[str, object]:
        """The item of a batch: the payload is one, or a reading.

        Its key is its own id, or when it came: a message that is delivered once more is no other
        reading. While the service was away it has become a late one.
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
    """What is no JSON object becomes data that are none, to be refused and kept as such."""
    if len(payload) > PAYLOAD_MAX_BYTES:
        return {"data": payload[:SHOWN_BYTES].decode("utf-8", "replace")}
    try:
        found = decode(payload)
        # What is nested as deeply as can be read may not be written again, within a batch.
        json.dumps([[[found]]])
    except (InvalidBody, RecursionError):
        return {"data": payload[:SHOWN_BYTES].decode("utf-8", "replace")}
    has_data = isinstance(found.get("data"), dict) and found.keys() <= AROUND_DATA
    return found if has_data else {"data": found}


PATH = "/api/v1/readings?ack=committed"
# Longer than the service waits for a commit (ACK_TIMEOUT_SEC, 8 s at most).
ANSWER_TIMEOUT_SEC = 15.0
# Of one post. A payload may become six times as long as JSON; the service takes 1 MiB.
POSTED_MAX, POSTED_MAX_BYTES = 100, 128 * 1024
# What is said of a reading that is stored, now or before, and of one that never will be.
STORED = {"committed", "duplicate", "accepted_with_warnings"}
REFUSED = {"validation failed", "refused by the database"}
# What is said of a post that is wrong as a whole.
NOT_TAKEN = {"validation failed", "body too large"}
SHOWN_CHARS = 300


class ServiceAway(Flask10xError):
    """The service has not said what became of the messages; the text says what came instead."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one message."""

    is_settled: bool
    """Whether the service has it, or has refused and kept it: then the broker may forget it."""
    said: str
    """What the service says when it has not stored it; else empty."""


class Handover:
    """The way to the service of this installation."""

    def __init__(self, bind: str, token: str) -> None:
        """`bind` is the service's BIND; an empty token is none."""
        self._bind = bind
        self._headers = {"Content-Type": "application/json", "Host": "localhost"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def post(self, messages: Sequence[Message], now_ns: int) -> list[Result]:
        """What became of each message, in the same order.

        Raises ServiceAway when the service gives no such answer; it may have stored them.
        """
        body = json.dumps([message.item(now_ns) for message in messages]).encode()
        try:
            answer = self._answer(body)
        except (OSError, ValueError, HTTPException) as error:
            raise ServiceAway(f"no answer from {self._bind}: {error!r}") from None
        results = answer.get("results") if isinstance(answer, dict) else None
        if results is None and isinstance(answer, dict) and answer.get("error") in NOT_TAKEN:
            # One of them is why none was looked at, and the others shall not wait for it.
            if len(messages) > 1:
                return [self.post([message], now_ns)[0] for message in messages]
            return [Result(True, json.dumps(answer)[:SHOWN_CHARS])]
        if not isinstance(results, list) or len(results) != len(messages):
            raise ServiceAway(f"{self._bind} says: {answer!r:.{SHOWN_CHARS}}")
        return [_result(result) for result in results]

    def _answer(self, body: bytes) -> Any:
        connection = connection_to(self._bind, ANSWER_TIMEOUT_SEC)
        try:
            connection.request("POST", PATH, body, self._headers)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


def next_to_post(waiting: Sequence[Message]) -> list[Message]:
    """As many of the first ones as go into one post; at least one."""
    taken: list[Message] = []
    size = 0
    for message in waiting:
        size += len(message.payload)
        if taken and (len(taken) == POSTED_MAX or size > POSTED_MAX_BYTES):
            break
        taken.append(message)
    return taken


def _result(said: Any) -> Result:
    if said.get("status") in STORED:
        return Result(True, "")
    return Result(said.get("error") in REFUSED, json.dumps(said)[:SHOWN_CHARS])
