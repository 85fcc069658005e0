"""Messages: what sensors publish, as items of a batch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from flask10x.readings.json_body import InvalidBody, decode

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
