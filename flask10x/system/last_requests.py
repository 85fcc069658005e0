"""The last request of each station, for the page of devices: in memory that all workers share.

Nothing is locked. Should two workers write the same place at once, or a reader come in between, the
checksum is wrong and the reader is told that there is nothing; the next request writes it anew.
"""

import marshal
import mmap
import struct
import zlib
from dataclasses import dataclass
from typing import Any

# A reading has 100 to 300 bytes, the headers that are kept 200.
PLACE_BYTES = 2048
# How many bytes follow, and their CRC-32.
_HEAD = struct.Struct("=II")
ROOM_BYTES = PLACE_BYTES - _HEAD.size


@dataclass(frozen=True, kw_only=True, slots=True)
class LastRequest:
    """What a board has sent, and how it was answered."""

    at_ms: int
    """When, in UTC epoch milliseconds."""
    status: int
    """Of the answer."""
    protocol: str
    """As in the request: `HTTP/1.1`."""
    path: str
    headers: dict[str, str]
    """Those that are of use to whoever writes the sender; never a token."""
    body: bytes
    """Its beginning, or what of a batch was about this station."""
    body_bytes: int
    """The length of the whole body."""


class LastRequests:
    """A place for each station; make it before the fork."""

    def __init__(self, places: int) -> None:
        """All places are empty. Memory is only taken for those that are written."""
        self._memory = mmap.mmap(-1, places * PLACE_BYTES)

    def note(self, place: int, request: LastRequest) -> None:
        """Keep this one instead of the one before; the end of a body that has no room is cut."""
        body = request.body
        # Faster than JSON by far, and only what this program has written is ever read.
        data = marshal.dumps((*_described(request), body))
        if (excess := len(data) - ROOM_BYTES) > 0:
            data = marshal.dumps((*_described(request), body[: max(0, len(body) - excess)]))
        start = place * PLACE_BYTES
        written = _HEAD.pack(len(data), zlib.crc32(data)) + data[:ROOM_BYTES]
        self._memory[start : start + len(written)] = written

    def at(self, place: int) -> LastRequest | None:
        """The last one that was noted there; None when there is none, or it is being written."""
        start = place * PLACE_BYTES
        length, checksum = _HEAD.unpack_from(self._memory, start)
        first = start + _HEAD.size
        data = self._memory[first : first + min(length, ROOM_BYTES)]
        if not data or zlib.crc32(data) != checksum:
            return None
        at_ms, status, protocol, path, headers, body_bytes, body = marshal.loads(data)  # noqa: S302
        return LastRequest(
            at_ms=at_ms,
            status=status,
            protocol=protocol,
            path=path,
            headers=headers,
            body=body,
            body_bytes=body_bytes,
        )


def _described(request: LastRequest) -> tuple[Any, ...]:
    """All but the body."""
    return (
        request.at_ms,
        request.status,
        request.protocol,
        request.path,
        request.headers,
        request.body_bytes,
    )
