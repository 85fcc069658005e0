"""Chunks: how far a body with `Transfer-Encoding: chunked` has come (RFC 9112, section 7.1)."""

import re

# Gunicorn's own bound of a size line with its extensions; beyond it, it refuses.
LINE_MAX_BYTES = 8190
SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?", re.DOTALL)


class Chunks:
    """Follows the framing of one body as its bytes come in, and keeps none of the body.

    `ended` turns true with the last byte of the body, or where the framing is broken: whoever
    reads the bytes finds that out as well and refuses them. `size_bytes` is what the chunks hold
    so far, `framing_bytes` the length of the lines around it.
    """

    def __init__(self) -> None:
        self.ended = False
        self.size_bytes = 0
        self.framing_bytes = 0
        # What is left of the chunk at hand, with the CRLF behind it.
        self._left = 0
        self._line = bytearray()
        self._last = False

    def feed(self, data: bytes) -> None:
        """The next bytes, in pieces of any size; what follows the end is ignored."""
        start = 0
        while start < len(data) and not self.ended:
            start = self._skip(data, start) if self._left else self._read_line(data, start)

    def _skip(self, data: bytes, start: int) -> int:
        step = min(self._left, len(data) - start)
        self.size_bytes += max(0, min(step, self._left - 2))
        self._left -= step
        return start + step

    def _read_line(self, data: bytes, start: int) -> int:
        """Up to the end of a size line or of a line of the trailer, which may be cut anywhere."""
        end = data.find(b"\n", start)
        stop = len(data) if end < 0 else end + 1
        self._line += data[start:stop]
        self.framing_bytes += stop - start
        if len(self._line) > LINE_MAX_BYTES:
            self.ended = True
        elif end >= 0:
            line = bytes(self._line)
            self._line.clear()
            self._take(line)
        return stop

    def _take(self, line: bytes) -> None:
        if not line.endswith(b"\r\n"):
            self.ended = True
        elif self._last:
            self.ended = line == b"\r\n"
        elif size := SIZE.fullmatch(line[:-2]):
            self._last = int(size[1], 16) == 0
            self._left = 0 if self._last else int(size[1], 16) + 2
        else:
            self.ended = True
