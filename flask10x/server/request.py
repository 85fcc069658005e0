"""Requests as gunicorn's parser reads them, except that equal lines of a header count as one.

Gunicorn refuses a header that may occur once and occurs twice, even if both lines are the same.
MicroPython's `urequests` sends such requests. Only what the parser refused is looked at here, so
other requests cost nothing more.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from gunicorn import http
from gunicorn.http.errors import (
    InvalidHeader,
)

# The headers that may occur once, by the name that gunicorn has for them. Others with equal lines
# are lists (RFC 9110, section 5.3), Transfer-Encoding too: `chunked` twice is refused.
HOST, CONTENT_TYPE, CONTENT_LENGTH = "HOST", "CONTENT-TYPE", "CONTENT-LENGTH"
ONCE = {HOST: "Host", CONTENT_TYPE: "Content-Type", CONTENT_LENGTH: "Content-Length"}
TRANSFER_ENCODING, IDENTITY = "TRANSFER-ENCODING", "identity"


class Request(http.Request):  # type: ignore[misc]
    """A request of which equal lines of a header count as one.

    Of different lines the first one counts, and `conflicts` names the header: the request is to be
    refused.
    """

    headers: list[tuple[str, str]]
    """Names in capitals, and values; gunicorn makes it."""
    conflicts: Mapping[str, str] = MappingProxyType({})
    """Each header with lines that differ, and its values with commas between them."""

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


class Requests(http.RequestParser):  # type: ignore[misc]
    """The requests of one connection, one after the other."""

    mesg_class = Request
