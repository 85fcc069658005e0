"""Arrivals: the requests of one connection, gathered from its bytes until a thread can answer.

Gunicorn's own parser decides what a request is; it is only kept from reading the network. So there
is no second opinion about where a request ends.
"""

import os
import re
from collections.abc import Callable
from typing import Any

from gunicorn.http import RequestParser
from gunicorn.http.body import ChunkedReader, LengthReader
from gunicorn.http.errors import InvalidChunkSize, LimitRequestHeaders, NoMoreData
from gunicorn.http.message import Request

from flask10x.readings.json_body import BODY_MAX_BYTES
from flask10x.server.chunks import Chunks

# A browser with a long query string and many cookies sends a few KiB.
HEAD_MAX_BYTES = 32 * 1024
# Chunks of one byte and long extensions could otherwise fill the memory within BODY_MAX_BYTES, and
# gunicorn's reader copies what is left for each chunk. A reading sent byte by byte needs 1 KiB.
FRAMING_MAX_BYTES = 8 * 1024
# An LF alone is refused by gunicorn where it stands: nothing is to be waited for.
HEAD_END = re.compile(rb"\r\n\r\n|(?<!\r)\n")


class ArrivedRequest(Request):  # type: ignore[misc]
    """A request after whose answer the connection ends, unless its body was read to the end.

    The application may not say so: the header `Connection` is the server's (PEP 3333). Gunicorn's
    own keeps the connection and throws the rest of the body away, up to a limit that it finds out
    after it has promised to keep it.
    """

    def should_close(self) -> bool:
        """Asked when the head of the answer is written, and again when all of it is."""
        return self._is_left_unread or bool(super().should_close())

    @property
    def _is_left_unread(self) -> bool:
        reader = self.body.reader
        # Out of chunks a body is put back whole, and its reader has nothing more.
        left_bytes: int = reader.length if isinstance(reader, LengthReader) else 0
        buffered_bytes: int = self.body.buf.tell()
        return left_bytes + buffered_bytes > 0


class Arrivals(RequestParser):  # type: ignore[misc]
    """Gunicorn's parser of one connection, which is given bytes instead of reading them.

    `begin` before each request, `feed` until `ready`, then `next` gives the request or raises what
    gunicorn's parser found wrong with it. A thread that reads its body never waits. `is_refused`
    says of a head whether its body need not be waited for.
    """

    mesg_class = ArrivedRequest

    def __init__(
        self, cfg: Any, client: Any, is_refused: Callable[[Any], bool] = lambda _request: False
    ) -> None:
        self._is_refused = is_refused
        # Without a socket the parser takes the end of the bytes for the end of the connection.
        super().__init__(cfg, [], client)
        self.begin()

    def begin(self) -> None:
        """The next request; bytes of it may have come behind the one before."""
        self._head = bytearray()
        self._request: Any = None
        self._error: Exception | None = None
        self._chunks: Chunks | None = None
        self._buffered_bytes = 0
        self._refused = False
        self.expectant = False
        """Whether the sender keeps its body back until it is told `100 Continue`."""
        if early := self.unreader.take_buffered():
            self.feed(early)

    def feed(self, data: bytes) -> None:
        """The next bytes of the connection."""
        if self._request is not None:
            self._append(data)
        elif self._error is None:
            searched = max(0, len(self._head) - 3)
            self._head += data
            if HEAD_END.search(self._head, searched):
                self._parse()
            elif len(self._head) > HEAD_MAX_BYTES:
                self._error = LimitRequestHeaders(f"the head has over {HEAD_MAX_BYTES} bytes")

    @property
    def silent(self) -> bool:
        """Whether nothing of the request has come yet.

        An empty line behind a body (`println` of an Arduino) is not counted by its Content-Length
        and begins no request (RFC 9112, section 2.2).
        """
        nothing = not self._head.strip(b"\r\n")
        return self._request is None and self._error is None and nothing

    @property
    def ready(self) -> bool:
        """Whether the request can be answered without waiting for anything more of it."""
        return self._error is not None or self.whole or self._too_long or self._refused

    @property
    def whole(self) -> bool:
        """Whether all of the request is here, so that another one may follow it."""
        if self._request is None or self._error is not None:
            return False
        if self._chunks:
            return self._chunks.ended
        return self._buffered_bytes >= self._length_bytes

    @property
    def progress(self) -> str:
        """What has come so far, in words for the sender's author."""
        if self._request is None:
            return f"{len(self._head)} bytes and no end of the head"
        if self._chunks:
            return f"{self._chunks.size_bytes} bytes in chunks and no last chunk"
        return f"{self._buffered_bytes} of the {self._length_bytes} bytes of Content-Length"

    def __next__(self) -> Any:
        """The request that has come. Raises what is wrong with it."""
        if self._error is not None:
            raise self._error
        return self._request

    next = __next__

    @property
    def _too_long(self) -> bool:
        """The service refuses such a body by its length, unread; only then is this asked."""
        if self._request is None:
            return False
        held = self._chunks.size_bytes if self._chunks else self._length_bytes
        return held > BODY_MAX_BYTES

    @property
    def _length_bytes(self) -> int:
        length: int = self._request.body.reader.length
        return length

    def _parse(self) -> None:
        self.unreader.unread(bytes(self._head))
        self._head.clear()
        try:
            self._request = super().__next__()
        except Exception as error:
            self._error = error
            return
        if isinstance(self._request.body.reader, ChunkedReader):
            self._chunks = Chunks()
        # Gunicorn would say it when the thread begins, which is after the body has come.
        self.expectant = self._request._expected_100_continue
        self._request._expected_100_continue = False
        self._append(self.unreader.take_buffered())
        if not self.ready:
            self._refused = self._is_refused(self._request)

    def _append(self, data: bytes) -> None:
        self._buffered_bytes += len(data)
        self.unreader.buf.seek(0, os.SEEK_END)
        self.unreader.buf.write(data)
        if self._chunks:
            self._chunks.feed(data)
            if self._chunks.framing_bytes > FRAMING_MAX_BYTES:
                self._error = InvalidChunkSize(b"too small for so many bytes")
            elif self._chunks.ended:
                self._unpack()

    def _unpack(self) -> None:
        """Let gunicorn's reader take the body out of its chunks, and put it back without them.

        What is wrong with them is then found before the application is asked, and is a 400.
        """
        body = self._request.body
        try:
            held = body.read()
        except NoMoreData:
            self._error = InvalidChunkSize(b"the body ends within a chunk")
        except Exception as error:
            self._error = error
        else:
            # Reading puts a new buffer in the place of the old one.
            body.buf.write(held)
