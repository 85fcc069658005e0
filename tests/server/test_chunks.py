"""Where a chunked body ends, against gunicorn's own reader."""

import pytest
from gunicorn.http.body import ChunkedReader
from gunicorn.http.unreader import IterUnreader
from hypothesis import given
from hypothesis import strategies as st

from flask10x.server.chunks import LINE_MAX_BYTES, Chunks


def fed(wire: bytes, step: int = 1) -> Chunks:
    chunks = Chunks()
    for start in range(0, len(wire), step):
        chunks.feed(wire[start : start + step])
    return chunks


@given(
    st.lists(st.binary(min_size=1, max_size=40)),
    st.sampled_from([b"", b";a=b", b' ; name="quo;ted"']),
    st.sampled_from([b"", b"X-Trailer: 1\r\n", b"A: 1\r\nB: 2\r\n"]),
    st.integers(1, 50),
)
def test_it_ends_with_its_last_byte_and_not_before(
    pieces: list[bytes], extension: bytes, trailer: bytes, step: int
) -> None:
    lines = [b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces]
    wire = b"".join([*lines, b"0%s\r\n" % extension, trailer, b"\r\n"])
    assert not fed(wire[:-1], step).ended
    whole = fed(wire, step)
    assert whole.ended
    assert whole.size_bytes == sum(map(len, pieces))
    after = fed(wire + b"GET / HTTP/1.1\r\n\r\n", step)
    assert (after.ended, after.size_bytes) == (True, whole.size_bytes)


@pytest.mark.parametrize("step", [1, 3, 1000])
@pytest.mark.parametrize(
    "wire", [b"\r\n", b"x\r\n", b"-1\r\n", b"5\nhello", b"5 5\r\n", b"1" * 17 + b"\r\n"]
)
def test_a_broken_frame_is_nothing_to_wait_for(wire: bytes, step: int) -> None:
    assert fed(wire, step).ended


def test_a_size_line_has_a_bound() -> None:
    assert not fed(b"5;" + b"x" * (LINE_MAX_BYTES - 2)).ended
    assert fed(b"5;" + b"x" * (LINE_MAX_BYTES - 1)).ended


@given(st.text("0123af;x \r\n", max_size=30).map(str.encode))
def test_whatever_comes_gunicorn_never_reads_past_its_end(wire: bytes) -> None:
    """When it has ended, gunicorn's reader comes to an end or an error within the same bytes."""
    chunks = fed(wire)
    if not chunks.ended:
        return
    end = next(n for n in range(len(wire) + 1) if fed(wire[:n]).ended)
    source = Counted(wire[:end])
    try:
        body = ChunkedReader(source.request, source).read(1_000_000)
    except Exception:
        return
    assert not source.asked_for_more
    assert len(body) == chunks.size_bytes


class Counted(IterUnreader):  # type: ignore[misc]
    """Gunicorn's unreader over some bytes; it notes when more than these are asked for."""

    def __init__(self, wire: bytes) -> None:
        super().__init__(iter([wire]))
        self.asked_for_more = False
        self.request = Trailers()

    def chunk(self, size_hint: int | None = None) -> bytes:
        """The bytes, once."""
        piece: bytes = super().chunk(size_hint)
        self.asked_for_more |= not piece
        return piece


class Trailers:
    """What gunicorn's reader needs of a request."""

    limit_request_field_size = 8190
    max_buffer_headers = 8190
    trailers: object = None

    def parse_headers(self, data: bytes, from_trailer: bool = False) -> list[object]:
        """Nothing of a trailer is kept."""
        return []
