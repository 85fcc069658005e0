"""Requests as gunicorn's parser reads them, except that equal lines of a header count as one.

Gunicorn refuses a header that may occur once and occurs twice, even if both lines are the same.
MicroPython's `urequests` sends such requests. Only what the parser refused is looked at here, so
other requests cost nothing more.

A board sends the same bytes of head each time. What gunicorn's parser made of them is remembered,
so that a second parser, which could judge differently, isn't needed (decision 12).
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from gunicorn import http
from gunicorn.http.body import Body, LengthReader
from gunicorn.http.errors import (
    InvalidHeader,
)

# The headers that may occur once, by the name that gunicorn has for them. Others with equal lines
# are lists (RFC 9110, section 5.3), Transfer-Encoding too: `chunked` twice is refused.
HOST, CONTENT_TYPE, CONTENT_LENGTH = "HOST", "CONTENT-TYPE", "CONTENT-LENGTH"
ONCE = {HOST: "Host", CONTENT_TYPE: "Content-Type", CONTENT_LENGTH: "Content-Length"}
TRANSFER_ENCODING, IDENTITY = "TRANSFER-ENCODING", "identity"
# A head is remembered if it has no other headers: no key, no token, nothing that a browser sends.
OF_BOARDS = {
    HOST,
    CONTENT_TYPE,
    CONTENT_LENGTH,
    "USER-AGENT",
    "ACCEPT",
    "ACCEPT-ENCODING",
    "CONNECTION",
}
HEAD_END = b"\r\n\r\n"
# A board's head is 150 to 300 bytes, and differs only in Content-Length.
REMEMBERED_HEAD_BYTES = 512
# So many heads: 200 boards whose bodies have two lengths. With 3 KiB each they take 1.2 MB.
HEADS_MAX = 400


class Request(http.Request):  # type: ignore[misc]
    """A request of which equal lines of a header count as one.

    Of different lines the first one counts, and `conflicts` names the header: the request is to be
    refused.
    """

    headers: list[tuple[str, str]]
    """Names in capitals, and values; gunicorn makes it."""
    conflicts: Mapping[str, str] = MappingProxyType({})
    """Each header with lines that differ, and its values with commas between them."""
    head: "Head | None" = None
    """Its head, if it is remembered."""

    @property
    def is_of_board(self) -> bool:
        """Whether it is a POST of JSON with one length, and nothing out of the ordinary."""
        names = [name for name, _ in self.headers]
        return (
            self.method == "POST"
            and not (self.query or self.conflicts or self.must_close or self.proxy_protocol_info)
            and len({*names}) == len(names)
            and CONTENT_LENGTH in names
            and (CONTENT_TYPE, "application/json") in self.headers
            and OF_BOARDS.issuperset(names)
        )

    def parse_headers(self, data: bytes, from_trailer: bool = False) -> list[tuple[str, str]]:
        """For gunicorn: the lines of a head as names in capitals and values."""
        headers: list[tuple[str, str]]
        try:
            headers = super().parse_headers(data, from_trailer)
        except InvalidHeader:
            if from_trailer:
                raise
            headers = super().parse_headers(b"\r\n".join(self._without_repeats(data)))
        return headers

    def set_body_reader(self) -> None:
        """For gunicorn: find out how long the body is."""
        try:
            super().set_body_reader()
        except InvalidHeader:
            if not self._is_of_known_length():
                raise
            # A proxy in between may have understood the length differently.
            self.force_close()
            super().set_body_reader()

    def _without_repeats(self, data: bytes) -> Iterator[bytes]:
        """The lines of the head, with only the first line of Host and of Content-Type."""
        first: dict[str, str] = {}
        for line in data.split(b"\r\n"):
            raw_name, _, raw_value = line.partition(b":")
            # `bytes.upper` changes only ASCII letters: no other name becomes one of these.
            name = raw_name.upper().decode("latin-1")
            value = raw_value.decode("latin-1").strip(" \t")
            is_repeat = name in first and value.isprintable()
            if name in (HOST, CONTENT_TYPE):
                first.setdefault(name, value)
            if not is_repeat:
                yield line
            elif value != first[name]:
                self._note_conflict(name, (first[name], value))

    def _is_of_known_length(self) -> bool:
        """Whether the length is known when equal lines count as one; `headers` says it then.

        `Transfer-Encoding: identity` says that the length is that of Content-Length, and that there
        is no body without one (RFC 2616). Where two lengths differ nothing is read as the body.
        """
        lengths = [value for name, value in self.headers if name == CONTENT_LENGTH]
        codings = {value.lower() for name, value in self.headers if name == TRANSFER_ENCODING}
        if not (lengths or codings) or not codings <= {IDENTITY}:
            return False
        of_length = (CONTENT_LENGTH, TRANSFER_ENCODING)
        rest = [(name, value) for name, value in self.headers if name not in of_length]
        if len({*lengths}) == 1:
            rest.append((CONTENT_LENGTH, lengths[0]))
        elif lengths:
            self._note_conflict(CONTENT_LENGTH, lengths)
        self.headers = rest
        return True

    def _note_conflict(self, name: str, values: Iterable[str]) -> None:
        text = ", ".join(dict.fromkeys(values))
        self.conflicts = MappingProxyType({**self.conflicts, ONCE[name]: text})


class Head:
    """What gunicorn made of a board's head, for requests that begin with the same bytes."""

    environ: Mapping[str, Any] | None = None
    """The WSGI environment (PEP 3333), but for what differs with each request."""

    def __init__(self, request: Request) -> None:
        of_connection = ("unreader", "body", "peer_addr", "remote_addr")
        self._facts = {k: v for k, v in vars(request).items() if k not in of_connection}
        self._facts["head"] = self
        self._body_bytes = int(dict(request.headers)[CONTENT_LENGTH])

    def request(self, unreader: Any, peer_addr: Any) -> Request:
        """Return a request of this peer with this head; its body comes from `unreader`."""
        request = object.__new__(Request)
        request.__dict__.update(self._facts)
        request.unreader = unreader
        request.peer_addr = request.remote_addr = peer_addr
        request.body = Body(LengthReader(unreader, self._body_bytes))
        return request


class Requests(http.RequestParser):  # type: ignore[misc]
    """The requests of one connection, one after the other.

    `heads` are those that a worker remembers: by the name of the listener, the peer's address, by
    which gunicorn trusts a proxy, and the bytes.
    """

    mesg_class = Request
    mesg: Request | None

    def __init__(
        self,
        cfg: Any,
        source: Any,
        peer_addr: Any,
        listener_name: Any = None,
        heads: dict[Any, Head] | None = None,
    ) -> None:
        super().__init__(cfg, source, peer_addr)
        # A peer by a socket in the file system has no address.
        self._heads = heads if isinstance(peer_addr, tuple) else None
        self._listener_name = listener_name

    def __next__(self) -> Request:
        """Return the next request; raise StopIteration after the last, and errors of the parser."""
        if self._heads is None:
            return self._parsed()
        if self.mesg and (self.mesg.should_close() or not self.finish_body()):
            raise StopIteration
        data = self.unreader.read()
        end = data.find(HEAD_END) + len(HEAD_END)
        key = (self._listener_name, self.source_addr[0], data[:end])
        if head := self._heads.get(key):
            self.unreader.unread(data[end:])
            self.req_count += 1
            self.mesg = request = head.request(self.unreader, self.source_addr)
            return request
        self.unreader.unread(data)
        request = self._parsed()
        is_whole = data.startswith(b"POST ") and HEAD_END in data
        if is_whole and end <= REMEMBERED_HEAD_BYTES and request.is_of_board:
            if len(self._heads) >= HEADS_MAX:
                del self._heads[next(iter(self._heads))]
            self._heads[key] = request.head = Head(request)
        return request

    def _parsed(self) -> Request:
        request: Request = super().__next__()
        return request
