"""The last requests of boards, for the page of devices, in memory that all workers share.

It holds the last request of each station, and unknown names with how often they came. There is no
lock between processes. If two workers write the same place at once, or a reader comes in between,
the checksum is wrong and the place counts as empty; the next request writes it again.
"""

import marshal
import mmap
import struct
import threading
import zlib
from collections.abc import Iterator
from typing import NamedTuple

# A reading has 100 to 300 bytes, the headers that are kept 200.
PLACE_BYTES = 2048
# How many bytes follow, and their CRC-32.
_HEAD = struct.Struct("=II")
ROOM_BYTES = PLACE_BYTES - _HEAD.size

# A home rarely adds as many boards at once, and a stranger can send any number of names.
UNKNOWN_MAX = 16
# A stranger, or one board with a wrong program, leaves room for the other addresses.
UNKNOWN_OF_ONE_SENDER_MAX = 8
# A name of 32 characters, a path of 60 that may be 4 bytes each, two addresses, two numbers; and a
# body: readings have 100 to 300 bytes.
UNKNOWN_BYTES = 1024
UNKNOWN_BODY_BYTES = 480
PATH_CHARS, SENDER_CHARS = 60, 100


class LastRequest(NamedTuple):
    """What a board has sent, and how it was answered."""

    at_ms: int
    """When, in UTC epoch milliseconds."""
    status: int
    """Of the answer."""
    protocol: str
    """As in the request: `HTTP/1.1`."""
    path: str
    headers: dict[str, str]
    """Those that help the author of the sender; never a token."""
    body: bytes
    """Its beginning, or the part of a batch that was about this station."""
    body_bytes: int
    """The length of the whole body."""


class UnknownName(NamedTuple):
    """A name that no station has, and the sender of the last reading under it."""

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
    body: bytes = b""
    """Of the last request; empty when it has more than UNKNOWN_BODY_BYTES."""


class _SharedPlaces:
    """Places in shared memory, each of which holds some bytes."""

    def __init__(self, places: int, place_bytes: int) -> None:
        """All places are empty. Memory is only used for places that are written."""
        self._place_bytes = place_bytes
        self._room_bytes = place_bytes - _HEAD.size
        self._memory = mmap.mmap(-1, places * place_bytes)

    def _put(self, place: int, data: bytes) -> None:
        start = place * self._place_bytes
        content = _HEAD.pack(len(data), zlib.crc32(data)) + data[: self._room_bytes]
        self._memory[start : start + len(content)] = content

    def _at(self, place: int) -> bytes | None:
        """Return the content of a place; None if it is empty or being written."""
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
        """Keep this request instead of the one before; a body that is too long loses its end."""
        # Faster than JSON by far, and only what this program has written is ever read.
        data = marshal.dumps(tuple(request))
        if (excess := len(data) - ROOM_BYTES) > 0:
            length = max(0, len(request.body) - excess)
            data = marshal.dumps(tuple(request._replace(body=request.body[:length])))
        self._put(place, data)

    def at(self, place: int) -> LastRequest | None:
        """Return the last request that was noted; None if there is none, or it is being written."""
        data = self._at(place)
        return None if data is None else LastRequest(*marshal.loads(data))  # noqa: S302


class UnknownNames(_SharedPlaces):
    """UNKNOWN_MAX names of each worker, which writes only its own; make it before the fork.

    If there is no room for another name, it replaces the rarest one. So a board that goes on
    sending stays, whatever strangers send once.
    """

    def __init__(self, workers: int) -> None:
        """As `_SharedPlaces`."""
        super().__init__(workers * UNKNOWN_MAX, UNKNOWN_BYTES)
        self._lock = threading.Lock()
        # Most homes never have one, and pages ask for them often: which workers have noted any.
        self._has_any = mmap.mmap(-1, workers)

    def note(
        self, worker: int, name: str, path: str, sender: str, at_ms: int, *, body: bytes = b""
    ) -> None:
        """Count a request of this name; only this worker calls it, from any of its threads."""
        path, sender = path[:PATH_CHARS], sender[:SENDER_CHARS]
        body = body if len(body) <= UNKNOWN_BODY_BYTES else b""
        self._has_any[worker] = 1
        with self._lock:
            rows = {place: row for place, row in self._of(worker) if row is not None}
            of_sender = {place: row for place, row in rows.items() if row.sender == sender}
            place = next((place for place, row in rows.items() if row.name == name), None)
            times = 1 if place is None else rows[place].times + 1
            if place is None and len(of_sender) >= UNKNOWN_OF_ONE_SENDER_MAX:
                place = _rarest(of_sender)
            elif place is None:
                place = next((n for n in self._places_of(worker) if n not in rows), _rarest(rows))
            self._put(place, marshal.dumps((name, path, sender, at_ms, times, body)))

    def all(self, workers: int) -> list[UnknownName]:
        """Return the names of the first so many workers, each once, the most frequent one first."""
        by_name: dict[str, UnknownName] = {}
        noting = [worker for worker in range(workers) if self._has_any[worker]]
        for row in (row for worker in noting for _, row in self._of(worker) if row):
            other = by_name.get(row.name, row._replace(times=0))
            last = max(row, other, key=lambda name: name.at_ms)
            by_name[row.name] = last._replace(times=row.times + other.times)
        return sorted(by_name.values(), key=lambda row: (row.times, row.at_ms), reverse=True)

    def _of(self, worker: int) -> Iterator[tuple[int, UnknownName | None]]:
        for place in self._places_of(worker):
            data = self._at(place)
            yield place, None if data is None else UnknownName(*marshal.loads(data))  # noqa: S302

    def _places_of(self, worker: int) -> range:
        return range(worker * UNKNOWN_MAX, (worker + 1) * UNKNOWN_MAX)


def _rarest(rows: dict[int, UnknownName]) -> int:
    """Return the place of the rarest name, of several the oldest; -1 without rows."""
    return min(rows, key=lambda place: (rows[place].times, rows[place].at_ms), default=-1)
