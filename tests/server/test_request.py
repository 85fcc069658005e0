"""What the parser makes of heads with lines that stand there twice, and of dangerous ones."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import ParseException

from flask10x.server import request as request_module
from flask10x.server.request import Head, Request, Requests

JSON, LENGTH, HOST = b"Content-Type: application/json", b"Content-Length: 2", b"Host: pi:8888"
USUAL = (HOST, JSON, LENGTH)
CHUNKED, IDENTITY = b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"
BEHIND = b"GET /behind HTTP/1.1\r\n\r\n"


def parsed(*lines: bytes, version: bytes = b"1.1", body: bytes = b"{}" + BEHIND) -> Request:
    """The first request of a connection that brings these lines and this behind them."""
    head = b"\r\n".join([b"POST /data HTTP/" + version, *lines, b"", b""])
    request: Request = next(Requests(Config(), [head + body], ("127.0.0.1", 1)))
    return request


def refused(*lines: bytes, version: bytes = b"1.1") -> bool:
    try:
        parsed(*lines, version=version)
    except ParseException:
        return True
    return False


@pytest.mark.parametrize(
    "lines",
    [
        (HOST, JSON, JSON, LENGTH),
        (HOST, JSON, LENGTH, b"content-type:\tapplication/json  "),
        (HOST, HOST, JSON, LENGTH),
        (HOST, JSON, LENGTH, LENGTH),
        (HOST, HOST, HOST, JSON, JSON, LENGTH, LENGTH, LENGTH),
        (HOST, JSON, LENGTH, IDENTITY),
        (HOST, JSON, b"Transfer-Encoding: Identity", IDENTITY, LENGTH),
    ],
)
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_equal_lines_count_as_one(lines: tuple[bytes, ...], version: bytes) -> None:
    request = parsed(*lines, version=version)
    assert request.body.read() == b"{}"
    assert sorted(request.headers) == [
        ("CONTENT-LENGTH", "2"),
        ("CONTENT-TYPE", "application/json"),
        ("HOST", "pi:8888"),
    ]
    assert not request.conflicts


@pytest.mark.parametrize(
    ("lines", "conflicts", "body"),
    [
        (
            (HOST, b"Content-Type: text/plain", JSON, LENGTH),
            {"Content-Type": "text/plain, application/json"},
            b"{}",
        ),
        ((HOST, b"host: other", JSON, LENGTH), {"Host": "pi:8888, other"}, b"{}"),
        (
            (HOST, b"Host:", JSON, b"Content-Type: Application/JSON", LENGTH),
            {"Host": "pi:8888, ", "Content-Type": "application/json, Application/JSON"},
            b"{}",
        ),
        # How long the body is cannot be known.
        ((*USUAL, b"Content-Length: 20"), {"Content-Length": "2, 20"}, b""),
        ((*USUAL, b"Content-Length: +2"), {"Content-Length": "2, +2"}, b""),
        ((*USUAL, b"Content-Length: 02", IDENTITY), {"Content-Length": "2, 02"}, b""),
    ],
)
def test_different_lines_are_noted(
    lines: tuple[bytes, ...], conflicts: Mapping[str, str], body: bytes
) -> None:
    request = parsed(*lines)
    assert request.conflicts == conflicts
    assert request.body.read() == body


def test_only_a_request_whose_length_was_said_once_is_not_the_last() -> None:
    """A proxy on the way may have understood the others otherwise, and see a second request."""
    assert not parsed(*USUAL).should_close()
    assert not parsed(*USUAL, JSON, HOST).should_close()
    for line in (LENGTH, IDENTITY, b"Content-Length: 3"):
        assert parsed(*USUAL, line).should_close()


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_identity_without_a_length_is_a_request_without_a_body(version: bytes) -> None:
    """What follows may be its body to a proxy, so it is no second request."""
    for lines in ((HOST, IDENTITY), (HOST, IDENTITY, b"transfer-encoding: Identity")):
        request = parsed(*lines, version=version)
        assert request.body.read() == b""
        assert (request.headers, request.conflicts) == ([("HOST", "pi:8888")], {})
        assert request.should_close()


DANGEROUS = {
    "a length and chunks": (*USUAL, CHUNKED),
    "chunks and a length": (HOST, JSON, CHUNKED, LENGTH),
    "two lengths and chunks": (*USUAL, LENGTH, CHUNKED),
    "two lengths that differ, and chunks": (*USUAL, b"Content-Length: 3", CHUNKED),
    "chunks twice": (HOST, JSON, CHUNKED, CHUNKED),
    "chunks twice in a line": (HOST, JSON, CHUNKED + b", chunked"),
    "chunks, then identity": (HOST, JSON, CHUNKED, IDENTITY),
    "a length, identity and chunks": (*USUAL, IDENTITY, CHUNKED),
    "a length, and chunks behind identity": (*USUAL, IDENTITY + b", chunked"),
    "gzip behind identity": (HOST, JSON, IDENTITY, b"Transfer-Encoding: gzip"),
    "gzip": (*USUAL, b"Transfer-Encoding: gzip"),
    "an unknown coding": (*USUAL, b"Transfer-Encoding: xchunked"),
    "an empty coding": (*USUAL, b"Transfer-Encoding:"),
    "identity with something": (*USUAL, b"Transfer-Encoding: identity;q=1"),
    "a vertical tab before chunked": (*USUAL, b"Transfer-Encoding: \x0bchunked"),
    "a length twice in a line": (HOST, JSON, b"Content-Length: 2, 2"),
    "a negative length twice": (HOST, JSON, b"Content-Length: -2", b"Content-Length: -2"),
    "a length with a sign twice": (HOST, JSON, b"Content-Length: +2", b"Content-Length: +2"),
    "an empty length twice": (HOST, JSON, b"Content-Length:", b"Content-Length:"),
    "a folded line behind a repeat": (HOST, JSON, JSON, b" charset=utf-8", LENGTH),
    "a folded length": (HOST, JSON, b"Content-Length:", b" 2"),
    "a space before a colon": (HOST, JSON, JSON, b"Content-Length : 2"),
    "a space before the colon of a repeat": (HOST, JSON, b"Content-Type : application/json"),
    "a bare line feed in a repeat": (HOST, JSON, JSON + b"\nX: 1", LENGTH),
    "a bare carriage return in a repeat": (HOST, HOST + b"\rX: 1", JSON, LENGTH),
    "NUL in a repeat": (HOST, b"Host: pi\0", JSON, LENGTH),
    "a control letter in a repeat": (*USUAL, JSON + b"\x07"),
    "a repeat, and a line without a colon": (*USUAL, JSON, b"hello"),
    "a repeat, and a name that is none": (*USUAL, JSON, b"X Y: 1"),
    "a long s for an s": (b"Ho\xc5\xbft: pi", b"Ho\xc5\xbft: pi", JSON, LENGTH),
}


@pytest.mark.parametrize("lines", DANGEROUS.values(), ids=DANGEROUS.keys())
def test_what_could_be_two_requests_to_a_proxy_is_refused(lines: tuple[bytes, ...]) -> None:
    assert refused(*lines)


def test_chunks_in_http_1_0_are_refused() -> None:
    assert refused(HOST, JSON, CHUNKED, version=b"1.0")
    assert refused(HOST, JSON, JSON, CHUNKED, version=b"1.0")


def test_a_repeat_in_a_trailer_is_refused() -> None:
    trailer = b"2\r\n{}\r\n0\r\nContent-Type: a\r\nContent-Type: a\r\n\r\n"
    request = parsed(HOST, JSON, CHUNKED, body=trailer)
    with pytest.raises(ParseException):
        request.body.read()


def test_what_follows_a_request_with_repeats_is_the_next_one() -> None:
    head = b"\r\n".join([b"POST /data HTTP/1.1", *USUAL, JSON, b"", b""])
    requests = Requests(Config(), [head + b"{}" + BEHIND], ("127.0.0.1", 1))
    assert [request.path for request in (next(requests), next(requests))] == ["/data", "/behind"]


def twins(*lines: bytes) -> Iterator[bytes]:
    """The head with these lines, and heads that are nearly the same."""
    usual = b"\r\n".join([b"POST /data HTTP/1.1", *lines, b"", b""])
    yield usual
    yield usual.replace(b"POST ", b"post ")
    yield usual.replace(b"/data ", b"/data2 ")
    yield usual.replace(b"/data ", b"/data?token=x ")
    yield usual.replace(b"HTTP/1.1", b"HTTP/1.0")
    yield usual.replace(b": ", b":  ")
    yield usual.replace(b"Length: 2", b"Length: 1")
    yield usual.replace(b"Host", b"host")
    yield b"\r\n" + usual
    for line in (b"X-Api-Key: x", b"Expect: 100-continue", b"Connection: close", JSON, LENGTH):
        yield usual[:-2] + line + b"\r\n\r\n"


def facts(head: bytes, heads: dict[Any, Head] | None) -> object:
    """What the parser says of the requests of a connection that begins with this head."""
    found: list[object] = []
    requests = Requests(Config(), [head + b"{}" + BEHIND], ("127.0.0.1", 1), ("::", 8888), heads)
    try:
        for request in requests:
            of_this = ("head", "unreader", "body", "cfg")
            known = {k: v for k, v in vars(request).items() if k not in of_this}
            found += [known, request.should_close(), request.body.read()]
    except ParseException as error:
        found.append(repr(error))
    return found


@pytest.mark.parametrize("lines", [USUAL, (*USUAL, JSON), *DANGEROUS.values()])
def test_a_remembered_head_is_judged_as_before_and_so_are_its_near_twins(
    lines: tuple[bytes, ...],
) -> None:
    heads: dict[Any, Head] = {}
    judged = {head: facts(head, None) for head in twins(*lines)}
    for _ in range(2):
        assert {head: facts(head, heads) for head in judged} == judged


def test_only_a_plain_post_of_the_same_peer_and_listener_is_remembered() -> None:
    heads: dict[Any, Head] = {}
    for head in twins(*USUAL):
        facts(head, heads)
    kept = [head for _, _, head in heads]
    assert all(head.startswith(b"POST /data") and b"?" not in head for head in kept)
    assert not [head for head in kept if b"Key" in head or b"Expect" in head]
    assert {(listener, peer) for listener, peer, _ in heads} == {(("::", 8888), "127.0.0.1")}
    # A peer by a socket in the file system, as nginx is one, may say anything of its client.
    next(Requests(Config(), [next(twins(*USUAL)) + b"{}"], "", "/run/front", heads))
    assert len(heads) == len(kept)


def test_the_oldest_of_too_many_heads_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_module, "HEADS_MAX", 2)
    heads: dict[Any, Head] = {}
    for path in (b"/data", b"/data2", b"/data3"):
        facts(next(twins(*USUAL)).replace(b"/data", path), heads)
    assert [head.split()[1] for _, _, head in heads] == [b"/data2", b"/data3"]
    facts(next(twins(*USUAL, b"User-Agent: " + bytes(600).replace(b"\0", b"a"))), heads)
    assert len(heads) == 2
