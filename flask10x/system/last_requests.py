"""What boards have sent last, for the page of devices: in memory that all workers share.

Of each station the last request, and of names that no station has how often they came. Nothing is
locked between processes. Should two workers write the same place at once, or a reader come in
between, the checksum is wrong and the reader is told that there is nothing; the next request writes
it anew.
"""

import marshal
import mmap
import struct
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

# A reading has 100 to 300 bytes, the headers that are kept 200.
PLACE_BYTES = 2048
# How many bytes follow, and their CRC-32.
_HEAD = struct.Struct("=II")
ROOM_BYTES = PLACE_BYTES - _HEAD.size

# A house rarely adds as many boards at once, and a stranger can name as many as there are names.
UNKNOWN_MAX = 16
# Of one address: a stranger, or one board with a wrong program, leaves room for the others.
UNKNOWN_OF_ONE_SENDER_MAX = 8
# A name of 32 characters, a path of 60 that may be 4 bytes each, two addresses, two numbers.
UNKNOWN_BYTES = 512
PATH_CHARS, SENDER_CHARS = 60, 100


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


@dataclass(frozen=True, slots=True)
class UnknownName:
    """A name that no station has, and who has sent readings of it."""

    name: str
    """In small letters, without slashes."""
    path: str
    """Where the last request went, as it was written."""
    sender: str
    """Its address."""
    at_ms: int
    """When it came, in UTC epoch milliseconds."""
    times: int
    """How many requests have come."""


class _SharedPlaces:
    """Places in shared memory, each with some bytes."""

    def __init__(self, places: int, place_bytes: int) -> None:
        """All places are empty. Memory is only taken for those that are written."""
        self._place_bytes = place_bytes
        self._room_bytes = place_bytes - _HEAD.size
        self._memory = mmap.mmap(-1, places * place_bytes)

    def _put(self, place: int, data: bytes) -> None:
        start = place * self._place_bytes
        written = _HEAD.pack(len(data), zlib.crc32(data)) + data[: self._room_bytes]
        self._memory[start : start + len(written)] = written

    def _at(self, place: int) -> bytes | None:
        """What was put there; None when nothing was, or it is being written."""
        start = place * self._place_bytes
        length, checksum = _HEAD.unpack_from(self._memory, start)
        first = start + _HEAD.size
        data = self._memory[first : first + min(length, self._room_bytes)]
        return data if data and zlib.crc32(data) == checksum else None


class LastRequests(_SharedPlaces):
    """A place for each station; make it before the fork."""

    def __init__(self, places: int) -> None:
        """As `_SharedPlaces`."""
        super().__init__(places, PLACE_BYTES)

    def note(self, place: int, request: LastRequest) -> None:
        """Keep this one instead of the one before; the end of a body that has no room is cut."""
        body = request.body
        # Faster than JSON by far, and only what this program has written is ever read.
        data = marshal.dumps((*_described(request), body))
        if (excess := len(data) - ROOM_BYTES) > 0:
            data = marshal.dumps((*_described(request), body[: max(0, len(body) - excess)]))
        self._put(place, data)

    def at(self, place: int) -> LastRequest | None:
        """The last one that was noted there; None when there is none, or it is being written."""
        data = self._at(place)
        if data is None:
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


class UnknownNames(_SharedPlaces):
    """UNKNOWN_MAX names of each worker, which writes only its own; make it before the fork.

    Where there is no room for another name, that goes which came least often. So a board that goes
    on sending stays, whatever strangers send once.
    """

    def __init__(self, workers: int) -> None:
        """As `_SharedPlaces`."""
        super().__init__(workers * UNKNOWN_MAX, UNKNOWN_BYTES)
        self._lock = threading.Lock()

    def note(self, worker: int, name: str, path: str, sender: str, at_ms: int) -> None:
        """Count a request of this name; only whoever is this worker, from any of its threads."""
        path, sender = path[:PATH_CHARS], sender[:SENDER_CHARS]
        with self._lock:
            rows = {place: row for place, row in self._of(worker) if row is not None}
            own = {place: row for place, row in rows.items() if row.sender == sender}
            place = next((place for place, row in rows.items() if row.name == name), None)
            times = 1 if place is None else rows[place].times + 1
            if place is None and len(own) >= UNKNOWN_OF_ONE_SENDER_MAX:
                place = _rarest(own)
            elif place is None:
                places = range(worker * UNKNOWN_MAX, (worker + 1) * UNKNOWN_MAX)
                place = next((one for one in places if one not in rows), None)
            row = UnknownName(name, path, sender, at_ms, times)
            fields = (row.name, row.path, row.sender, row.at_ms, row.times)
            self._put(_rarest(rows) if place is None else place, marshal.dumps(fields))

    def all(self, workers: int) -> list[UnknownName]:
        """Those of so many workers, each name once, that which came most often first."""
        found: dict[str, UnknownName] = {}
        for worker in range(workers):
            for _, row in self._of(worker):
                if row is None:
                    continue
                others = [found[row.name]] if row.name in found else []
                last = max((row, *others), key=lambda one: one.at_ms)
                times = row.times + sum(other.times for other in others)
                found[row.name] = replace(last, times=times)
        return sorted(found.values(), key=lambda row: (row.times, row.at_ms), reverse=True)

    def _of(self, worker: int) -> Iterator[tuple[int, UnknownName | None]]:
        for place in range(worker * UNKNOWN_MAX, (worker + 1) * UNKNOWN_MAX):
            data = self._at(place)
            yield place, None if data is None else UnknownName(*marshal.loads(data))  # noqa: S302


def _rarest(rows: dict[int, UnknownName]) -> int:
    """The place of the one that came least often; of several, of the one that came first."""
    return min(rows, key=lambda place: (rows[place].times, rows[place].at_ms))


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
