"""When a request is whole, and that gunicorn's parser reads from it what was sent."""

from collections.abc import Iterable
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import (
    ChunkMissingTerminator,
    InvalidChunkExtension,
    InvalidChunkSize,
    InvalidHeader,
    InvalidHeaderName,
    InvalidRequestLine,
    LimitRequestHeaders,
)
from hypothesis import given
from hypothesis import strategies as st

from flask10x.readings.json_body import BODY_MAX_BYTES
from flask10x.server.arrivals import FRAMING_MAX_BYTES, HEAD_MAX_BYTES, Arrivals

CFG = Config()
PEER = ("127.0.0.1", 1)


def request(body: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"POST /data HTTP/1.1", b"Host: pi", *headers, b"", body])


def sized(body: bytes) -> bytes:
    return request(body, b"Content-Length: %d" % len(body))


def chunked(body: bytes, chunk_bytes: int = 7) -> bytes:
    pieces = [body[n : n + chunk_bytes] for n in range(0, len(body), chunk_bytes)]
    lines = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    return request(lines, b"Transfer-Encoding: chunked")


def pieces_of(wire: bytes, step: int) -> Iterable[bytes]:
    return (wire[n : n + step] for n in range(0, len(wire), step))


def fed(wire: bytes, step: int = 1) -> Arrivals:
    arrivals = Arrivals(CFG, PEER)
    for piece in pieces_of(wire, step):
        arrivals.feed(piece)
    return arrivals


@given(st.binary(max_size=200), st.sampled_from([sized, chunked]), st.integers(1, 300))
def test_a_request_is_ready_with_its_last_byte(body: bytes, framed: Any, step: int) -> None:
    wire = framed(body)
    assert not fed(wire[:-1], step).ready
    arrivals = fed(wire, step)
    assert arrivals.ready and arrivals.whole
    asked = next(arrivals)
    assert (asked.method, asked.path) == ("POST", "/data")
    assert asked.body.read() == body


@given(st.lists(st.tuples(st.binary(max_size=50), st.sampled_from([sized, chunked])), min_size=1))
def test_requests_that_come_behind_each_other_are_each_read(asked: list[Any]) -> None:
    arrivals = fed(b"".join(framed(body) for body, framed in asked), 10_000)
    for body, _ in asked:
        assert arrivals.ready
        assert next(arrivals).body.read() == body
        arrivals.begin()
    assert arrivals.silent and not arrivals.ready


@given(st.binary(min_size=1, max_size=200), st.sampled_from([sized, chunked]), st.data())
def test_a_request_is_the_last_one_until_its_body_is_read(
    body: bytes, framed: Any, data: st.DataObject
) -> None:
    asked = next(fed(framed(body), 50))
    assert asked.should_close()
    for _ in range(data.draw(st.integers(0, 3))):
        asked.body.read(data.draw(st.integers(1, 100)))
        asked.body.readline(data.draw(st.integers(1, 100)))
    assert asked.should_close() == (asked.body.read() != b"")
    assert not asked.should_close()


@pytest.mark.parametrize("framed", [sized, chunked])
def test_a_request_without_a_body_is_not_the_last_one(framed: Any) -> None:
    assert not next(fed(framed(b""), 50)).should_close()
    assert not next(fed(b"GET / HTTP/1.1\r\nHost: pi\r\n\r\n")).should_close()
    assert next(fed(b"GET / HTTP/1.1\r\nHost: pi\r\nConnection: close\r\n\r\n")).should_close()


def test_the_head_alone_is_no_request() -> None:
    arrivals = fed(b"GET / HTTP/1.0\r\nHost: pi\r\n")
    assert not arrivals.ready and not arrivals.silent
    assert arrivals.progress == "26 bytes and no end of the head"
    arrivals.feed(b"\r\n")
    assert arrivals.ready and arrivals.whole


def test_what_is_missing_of_a_body_is_told() -> None:
    assert fed(sized(b"0123456789")[:-1]).progress == "9 of the 10 bytes of Content-Length"
    assert fed(chunked(b"0123456789")[:-1]).progress == "10 bytes in chunks and no last chunk"


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        (b"GET / HTTP/1.1\n", InvalidRequestLine),
        (b"GET / HTTP/1.1\r\nHost: pi\n", InvalidHeader),
        (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", InvalidHeader),
        (b"nonsense\r\n\r\n", InvalidRequestLine),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * HEAD_MAX_BYTES, LimitRequestHeaders),
    ],
)
def test_a_bad_head_is_ready_at_once_and_raises_what_gunicorn_says(
    wire: bytes, error: type[Exception]
) -> None:
    for step in (1, len(wire)):
        arrivals = fed(wire, step)
        assert arrivals.ready and not arrivals.whole
        with pytest.raises(error):
            next(arrivals)


def test_a_body_too_long_is_not_waited_for_and_ends_its_connection() -> None:
    fits = request(b"", b"Content-Length: %d" % BODY_MAX_BYTES)
    assert not fed(fits).ready
    too_long = fed(request(b"", b"Content-Length: %d" % (BODY_MAX_BYTES + 1)))
    assert too_long.ready and not too_long.whole
    # The limit, and one byte more for whoever wants to see that it is passed.
    head = request(b"", b"Transfer-Encoding: chunked")
    chunk = b"%x\r\n%s" % (BODY_MAX_BYTES + 1, b"x" * BODY_MAX_BYTES)
    assert not fed(head + chunk, 1000).ready
    grown = fed(head + chunk + b"x", 1000)
    assert grown.ready and not grown.whole
    assert len(next(grown).body.read(BODY_MAX_BYTES + 1)) == BODY_MAX_BYTES + 1


@pytest.mark.parametrize("piece", [b"1;" + b"e" * 8000 + b"\r\nx\r\n", b"1\r\nx\r\n" * 100])
@pytest.mark.parametrize("step", [1, 10_000, 1_000_000])
def test_chunks_of_next_to_nothing_are_refused(piece: bytes, step: int) -> None:
    """Before they fill the memory, also when all of them are here at once."""
    number = 2 * FRAMING_MAX_BYTES // len(piece) + 1
    arrivals = Arrivals(CFG, PEER)
    arrivals.feed(request(b"", b"Transfer-Encoding: chunked"))
    for part in pieces_of(piece * number + b"0\r\n\r\n", step):
        if not arrivals.ready:
            arrivals.feed(part)
    assert not arrivals.whole
    with pytest.raises(InvalidChunkSize):
        next(arrivals)


def test_a_body_of_a_reading_may_come_byte_by_byte() -> None:
    body = b"x" * 2000
    assert next(fed(chunked(body, 1), 1000)).body.read() == body


@pytest.mark.parametrize("step", [1, 1000])
@pytest.mark.parametrize(
    ("chunks", "error"),
    [
        (b"zz\r\n", InvalidChunkSize),
        (b"2\r\n{}XX0\r\n\r\n", ChunkMissingTerminator),
        (b'2;a="\r\n{}\r\n0\r\n\r\n', InvalidChunkExtension),
        (b"2\n{}\n0\n\n", InvalidChunkSize),
        (b"2\r\n{}\r\n0\r\nHost: x\r\n\r\n", InvalidHeaderName),
        (b"2\r\n{}\r\n0\r\nno field\r\n\r\n", InvalidHeader),
    ],
)
def test_broken_chunks_are_found_before_the_application_reads_them(
    chunks: bytes, error: type[Exception], step: int
) -> None:
    arrivals = fed(request(chunks, b"Transfer-Encoding: chunked"), step)
    assert arrivals.ready and not arrivals.whole
    with pytest.raises(error):
        next(arrivals)


@pytest.mark.parametrize("framed", [sized, chunked])
def test_an_empty_line_behind_a_body_begins_no_request(framed: Any) -> None:
    arrivals = fed(framed(b"{}") + b"\r\n", 1000)
    assert next(arrivals).body.read() == b"{}"
    arrivals.begin()
    assert arrivals.silent and not arrivals.ready
    arrivals.feed(sized(b"[]"))
    assert next(arrivals).body.read() == b"[]"


def test_who_expects_100_continue_is_told_by_us_and_not_by_gunicorn() -> None:
    arrivals = fed(request(b"", b"Content-Length: 5", b"Expect: 100-continue"))
    assert arrivals.expectant
    arrivals.feed(b"hello")
    assert not next(arrivals)._expected_100_continue


@pytest.mark.parametrize("framing", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
def test_the_body_of_a_refused_request_is_not_waited_for(framing: bytes) -> None:
    heads: list[str] = []

    def is_refused(head: Any) -> bool:
        heads.append(head.path)
        return True

    arrivals = Arrivals(CFG, PEER, is_refused)
    arrivals.feed(request(b"", framing, b"Expect: 100-continue")[:-1])
    assert not arrivals.ready
    arrivals.feed(b"\n")
    assert arrivals.ready
    assert not arrivals.whole
    assert (next(arrivals).path, heads) == ("/data", ["/data"])


def test_a_head_is_asked_about_once_and_only_when_its_body_is_not_there() -> None:
    heads: list[str] = []

    def is_refused(head: Any) -> bool:
        heads.append(head.path)
        return False

    arrivals = Arrivals(CFG, PEER, is_refused)
    arrivals.feed(request(b"hello", b"Content-Length: 5"))
    assert (arrivals.ready, heads) == (True, [])
    assert next(arrivals).body.read() == b"hello"
    arrivals.begin()
    for piece in (request(b"h", b"Content-Length: 5"), b"e", b"ll"):
        arrivals.feed(piece)
        assert not arrivals.ready
    arrivals.feed(b"o")
    assert (arrivals.ready, heads) == (True, ["/data"])


def test_a_body_that_never_came_is_no_part_of_what_is_read() -> None:
    """A thread that reads on comes to an end, not to the network."""
    arrivals = fed(request(b"half", b"Content-Length: 8"))
    assert not arrivals.ready
    assert next(arrivals).body.read() == b"half"
