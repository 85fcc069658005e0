"""The last request of each station, for the page of devices: in memory that all workers share.

Nothing is locked. Should two workers write the same place at once, or a reader come in between, the
checksum is wrong and the reader is told that there is nothing; the next request writes it anew.
"""

import json
import mmap
import struct
import zlib
from dataclasses import dataclass

# A reading has 100 to 300 bytes, the headers that are kept 200.
PLACE_BYTES = 2048
# How many bytes follow, and their CRC-32.
_HEAD = struct.Struct("=II")


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
        """Keep this one instead of the one before; what does not fit is cut."""
        described = (
            request.at_ms,
            request.status,
            request.protocol,
            request.path,
            request.headers,
            request.body_bytes,
        )
        data = json.dumps(described).encode() + b"\n" + request.body
        data = data[: PLACE_BYTES - _HEAD.size]
        start = place * PLACE_BYTES
        written = _HEAD.pack(len(data), zlib.crc32(data)) + data
        self._memory[start : start + len(written)] = written

    def at(self, place: int) -> LastRequest | None:
        """The last one that was noted there; None when there is none, or it is being written."""
        start = place * PLACE_BYTES
        length, checksum = _HEAD.unpack_from(self._memory, start)
        first = start + _HEAD.size
        data = self._memory[first : first + min(length, PLACE_BYTES - _HEAD.size)]
        described, end, body = data.partition(b"\n")
        if not end or zlib.crc32(data) != checksum:
            return None
        at_ms, status, protocol, path, headers, body_bytes = json.loads(described)
        return LastRequest(
            at_ms=at_ms,
            status=status,
            protocol=protocol,
            path=path,
            headers=headers,
            body=body,
            body_bytes=body_bytes,
        )
