"""What boards really put on the wire, byte for byte, and bodies made to do harm."""

import html
import json
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from http.client import parse_headers
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.senders import (
    JSON_TYPE,
    Answer,
    check_ingest_answer,
    exchange,
    raw_connection,
    read_answer,
)
from tests.e2e.service import Service

GOOD = b'{"pressure": "1013.25hPa", "temperature": "25.1C"}'
STORED = ("data", 1013.25, 25.1)
ALL_MISSING = {
    "pressure": "required field missing",
    "temperature": "required field missing",
}
LIMIT_BYTES = 65_536


def newest(service: Service) -> tuple[object, ...]:
    query = "SELECT endpoint, pressure, temperature FROM readings ORDER BY id DESC LIMIT 1"
    return service.rows(query)[0]


def check_stored(service: Service, answer: Answer, before: int, row: tuple[object, ...]) -> None:
    """The answer is the contract's 200, and exactly this row was added."""
    check_ingest_answer(answer)
    assert (answer.status, answer.json) == (200, {"status": "enqueued"}), answer
    service.wait_for_rows(before + 1)
    assert newest(service) == row


def check_refused(service: Service, answer: Answer, before: int) -> Mapping[str, str]:
    """The answer is the contract's 400, and the next good reading is the only row added."""
    check_ingest_answer(answer)
    assert answer.status == 400, answer
    assert answer.json["error"] == "validation failed"
    details: dict[str, str] = answer.json["details"]
    assert details
    check_stored(service, service.post("data", GOOD), before, STORED)
    return details


def request(body: bytes, *headers: str, line: str = "POST /data HTTP/1.1") -> bytes:
    head = "\r\n".join([line, *headers, "", ""])
    return head.encode() + body


def chunked(body: bytes, chunk_bytes: int = 4096) -> bytes:
    pieces = [body[start : start + chunk_bytes] for start in range(0, len(body), chunk_bytes)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])


def padded(total_bytes: int) -> bytes:
    """A good reading, made as long as this by a key that nobody knows."""
    empty = json.dumps({"pressure": 1013.25, "temperature": 25.1, "device": ""}).encode()
    body = empty.replace(b'""', b'"' + b"x" * (total_bytes - len(empty)) + b'"')
    assert len(body) == total_bytes
    return body


TYPE, LENGTH, PI = f"Content-Type: {JSON_TYPE}", f"Content-Length: {len(GOOD)}", "Host: pi:8888"
WIRE = {
    "http 1.0 without host": request(
        GOOD,
        f"Content-Type: {JSON_TYPE}",
        f"Content-Length: {len(GOOD)}",
        line="POST /data HTTP/1.0",
    ),
    "lower-case header names": request(
        GOOD,
        "host: 192.168.0.10:8888",
        f"content-type: {JSON_TYPE}",
        f"content-length: {len(GOOD)}",
        "connection: close",
    ),
    "no content type": request(GOOD, "Host: pi:8888", f"Content-Length: {len(GOOD)}"),
    "http 1.0 without content type": request(
        GOOD, f"Content-Length: {len(GOOD)}", line="POST /data HTTP/1.0"
    ),
    "content type with a charset": request(
        GOOD,
        "Host: pi:8888",
        f"Content-Type: {JSON_TYPE}; charset=UTF-8",
        f"Content-Length: {len(GOOD)}",
    ),
    # MicroPython: urequests.post(url, json=..., headers={"Content-Type": "application/json"}).
    "urequests of 2018": request(
        GOOD, "Host: 192.168.0.10", TYPE, TYPE, LENGTH, line="POST /data HTTP/1.0"
    ),
    "two equal content types": request(GOOD, PI, TYPE, TYPE, LENGTH),
    "chunked body": request(
        chunked(GOOD, 7),
        "Host: pi:8888",
        f"Content-Type: {JSON_TYPE}",
        "Transfer-Encoding: chunked",
    ),
}


# Nginx itself refuses these.
WITHOUT_NGINX = {
    "every header twice": request(GOOD, PI, PI, TYPE, TYPE, LENGTH, LENGTH),
    "transfer coding identity": request(GOOD, PI, TYPE, LENGTH, "Transfer-Encoding: identity"),
}


@pytest.mark.parametrize(
    "wire", [*WIRE.values(), *WITHOUT_NGINX.values()], ids=[*WIRE, *WITHOUT_NGINX]
)
def test_a_good_reading_is_stored_however_it_is_sent(running: Service, wire: bytes) -> None:
    before = running.count()
    check_stored(running, exchange(running.port, wire), before, STORED)


CONFLICTING = {
    "Content-Type": (f"text/plain, {JSON_TYPE}", ("Content-Type: text/plain", TYPE, LENGTH), GOOD),
    "Host": ("pi:8888, other", (PI, "Host: other", TYPE, LENGTH), GOOD),
    # Nobody knows where its body ends, so it has none.
    "Content-Length": (f"{len(GOOD)}, 5", (TYPE, LENGTH, "Content-Length: 5"), b""),
}


@pytest.mark.parametrize("name", CONFLICTING)
def test_lines_that_differ_are_refused_and_shown(running: Service, name: str) -> None:
    values, lines, body = CONFLICTING[name]
    before = running.count()
    with raw_connection(running.port) as sock:
        sock.sendall(request(GOOD, *lines))
        answer = read_answer(sock)
        if name == "Content-Length":
            assert sock.recv(100) == b"", "what follows could be a body to somebody else"
    check_ingest_answer(answer)
    reason = f"this header comes with different values ({values}): send it once"
    assert (answer.status, answer.json) == (
        400,
        {"error": "validation failed", "details": {name: reason}},
    )
    page = html.unescape(running.get("/status?sensor=data").body.decode())
    assert "answered 400" in page
    assert body.decode() in page
    assert name == "Host" or f"{name}: {values}" in page
    assert running.count() == before


def test_a_sender_may_wait_for_100_continue(running: Service) -> None:
    before = running.count()
    head = request(
        b"",
        "Host: pi:8888",
        f"Content-Type: {JSON_TYPE}",
        f"Content-Length: {len(GOOD)}",
        "Expect: 100-continue",
    )
    with raw_connection(running.port) as sock:
        sock.sendall(head)
        assert sock.recv(1024).startswith(b"HTTP/1.1 100 ")
        sock.sendall(GOOD)
        check_stored(running, read_answer(sock), before, STORED)


def test_one_connection_carries_several_readings(running: Service) -> None:
    wire = request(
        GOOD, "Host: pi:8888", f"Content-Type: {JSON_TYPE}", f"Content-Length: {len(GOOD)}"
    )
    with raw_connection(running.port) as sock:
        for _ in range(3):
            before = running.count()
            sock.sendall(wire)
            check_stored(running, read_answer(sock), before, STORED)


def test_a_length_counted_in_characters_is_explained(running: Service) -> None:
    before = running.count()
    text = '{"pressure": "1013.25hPa", "temperature": "25.1°C"}'
    body = text.encode()
    assert len(body) == len(text) + 1
    wire = request(
        body,
        f"content-type: {JSON_TYPE}",
        f"content-length: {len(text)}",
        line="POST /data HTTP/1.0",
    )
    answer = exchange(running.port, wire)
    details = check_refused(running, answer, before)
    assert details == ALL_MISSING
    assert "Content-Length" in answer.json["hint"]
    assert "bytes" in answer.json["hint"]


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/octet-stream"]
)
def test_another_content_type_reads_as_an_empty_object(running: Service, content_type: str) -> None:
    before = running.count()
    answer = running.post("data", GOOD, content_type)
    assert check_refused(running, answer, before) == ALL_MISSING


def sized(body: bytes) -> bytes:
    return request(
        body, "Host: pi:8888", f"Content-Type: {JSON_TYPE}", f"Content-Length: {len(body)}"
    )


def in_chunks(body: bytes) -> bytes:
    return request(
        chunked(body), "Host: pi:8888", f"Content-Type: {JSON_TYPE}", "Transfer-Encoding: chunked"
    )


def test_a_body_as_long_as_the_limit_is_stored(running: Service) -> None:
    for wire in (sized(padded(LIMIT_BYTES)), in_chunks(padded(LIMIT_BYTES))):
        before = running.count()
        check_stored(running, exchange(running.port, wire), before, STORED)


def test_a_body_one_byte_longer_is_refused(running: Service) -> None:
    # The chunked one is a good reading within the limit, and only spaces are beyond it.
    late = GOOD + b" " * (LIMIT_BYTES + 1 - len(GOOD))
    long = padded(LIMIT_BYTES + 1)
    for wire in (sized(long), in_chunks(long), in_chunks(late)):
        before = running.count()
        answer = exchange(running.port, wire)
        check_ingest_answer(answer)
        assert answer.status == 413, answer
        check_stored(running, running.post("data", GOOD), before, STORED)


DEEP = 30_000
DIGITS = b"1" * 5000
DANGERS = {
    "NaN": b'{"pressure": NaN, "temperature": 25.1}',
    "Infinity": b'{"pressure": Infinity, "temperature": 25.1}',
    "-Infinity": b'{"pressure": 1013.25, "temperature": -Infinity}',
    "bare nan": b'{"pressure": nan, "temperature": 25.1}',
    "NaN as text": b'{"pressure": "NaN", "temperature": 25.1}',
    "1e400": b'{"pressure": 1e400, "temperature": 25.1}',
    "1e400 as text": b'{"pressure": "1e400", "temperature": 25.1}',
    "5,000 digits": b'{"pressure": %s, "temperature": 25.1}' % DIGITS,
    "5,000 digits as text": b'{"pressure": "%s", "temperature": 25.1}' % DIGITS,
    "2 to the 63rd": b'{"pressure": 9223372036854775808, "temperature": 25.1}',
    "true": b'{"pressure": true, "temperature": 25.1}',
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * 9_000 + b"1" + b"}" * 9_000,
    "deep lists in a field": b'{"pressure": %s%s, "temperature": 25.1}'
    % (b"[" * DEEP, b"]" * DEEP),
    "deep and never closed": b"[" * (2 * DEEP),
    "lone surrogate": b'{"pressure": "\\ud800", "temperature": 25.1}',
    "lone surrogate after a number": b'{"pressure": "1013.25\\udfff", "temperature": 25.1}',
    "NUL": b'{"pressure": "1013.25\\u0000", "temperature": 25.1}',
    "invalid UTF-8": b'{"pressure": "1013.25\xff", "temperature": 25.1}',
    "cut UTF-8": b'{"pressure": 1013.25, "temperature": "25.1\xc2',
    "list": b"[1013.25, 25.1]",
    "list of lists": b'[["pressure", 1013.25], ["temperature", 25.1]]',
    "string": b'"1013.25"',
    "number": b"1013.25",
    "null": b"null",
    "two objects": GOOD + GOOD,
    "empty": b"",
    "spaces": b"   \r\n",
    "duplicate key, the last one bad": b'{"pressure": 1013.25, "temperature": 1, "pressure": []}',
}


@pytest.mark.parametrize("body", DANGERS.values(), ids=DANGERS.keys())
def test_a_dangerous_body_is_refused_and_the_next_reading_is_stored(
    running: Service, body: bytes
) -> None:
    before = running.count()
    check_refused(running, running.post("data", body), before)


def test_of_a_key_given_twice_the_last_value_counts(running: Service) -> None:
    before = running.count()
    body = b'{"pressure": [], "temperature": 25.1, "pressure": 1000, "temperature": "26.5C"}'
    check_stored(running, running.post("data", body), before, ("data", 1000.0, 26.5))


def test_a_lone_surrogate_in_an_unknown_key_does_no_harm(running: Service) -> None:
    before = running.count()
    body = b'{"pressure": 1000, "temperature": 26.5, "\\ud800": "\\udfff"}'
    check_stored(running, running.post("data", body), before, ("data", 1000.0, 26.5))
    assert running.get("/history/json").status == 200


# What the old server (2025-08-24) answered under gunicorn 23.0.0 with two threads, recorded from
# it: status and JSON of each answer until the connection ended, and how many readings it stored,
# which are all 1013.25 and 25.1. `<70000 x>` stands for as many letters.
OLD_SERVER = Path(__file__).parent / "old_server.jsonl"
# Where ours answers otherwise: the statuses, and how many readings are stored. Each has its line in
# docs/en/explanation/differences.md.
OTHERWISE: dict[str, tuple[list[int], int]] = {
    # Taken, or told what is wrong.
    "an empty line before": ([200], 1),
    "an empty line behind the body": ([200], 1),
    "two requests together with an empty line between": ([200, 200], 2),
    "two equal Content-Length": ([200], 1),
    "no Content-Type": ([200], 1),
    "Content-Type: ": ([200], 1),
    "an object in an array": ([200], 1),
    "an array of arrays": ([400], 0),
    "a number": ([400], 0),
    "LF for every line end": ([400], 0),
    "LF for the empty line": ([400], 0),
    "no Content-Length": ([400, 400], 0),
    "too short a Content-Length": ([400, 400], 0),
    "noise behind the body": ([200, 400], 1),
    "chunked with LF": ([400], 0),
    "chunked with a size that is none": ([400], 0),
    "chunked with a size of 0x2a": ([400], 0),
    "chunked without its last chunk": ([400], 0),
    "a request line of 5,000 bytes": ([414], 0),
    "an asterisk": ([400], 0),
    "Latin-1 in the path": ([400], 0),
    # Stored by the old server, refused by ours.
    "two different Host": ([400], 0),
    "Content-Type twice, JSON last": ([400], 0),
    "Content-Type twice, JSON first": ([400], 0),
    "Content-Type twice, with and without charset": ([400], 0),
    "too great a Content-Length": ([400], 0),
    "gzip without chunked": ([400], 0),
    "Expect: something": ([417], 0),
    "no slash": ([400], 0),
    "Latin-1 in the query": ([400], 0),
    "a value with a control letter": ([400], 0),
    "70,000 bytes": ([413], 0),
}


def answers_of(received: bytes, method: str) -> list[tuple[int, Any]]:
    """The status of each answer, and its body where that is JSON; without interim ones."""
    found, stream = [], BytesIO(received)
    while line := stream.readline():
        status, headers = int(line.split()[1]), parse_headers(stream)
        if status == 100:
            continue
        body = b"" if method == "HEAD" else stream.read(int(headers.get("Content-Length", -1)))
        is_json = headers.get_content_type() == JSON_TYPE
        found.append((status, json.loads(body) if is_json and body else None))
    return found


def test_raw_requests_are_answered_as_by_the_old_server(running: Service) -> None:
    cases = [json.loads(line) for line in OLD_SERVER.read_bytes().splitlines()]
    assert len(cases) == 178
    others, stored = {}, running.count()
    ((newest_id,),) = running.rows("SELECT coalesce(max(id), 0) FROM readings")
    for case in cases:
        text = re.sub("<([0-9]+) x>", lambda match: "x" * int(match[1]), case["request"])
        answers = answers_of(sent_and_ended(running.port, text.encode("latin-1")), text[:4])
        rows = OTHERWISE.get(case["name"], ([], case["stored"]))[1]
        running.wait_for_rows(stored + rows)
        stored += rows
        if not is_alike(answers, case["answers"]) or rows != case["stored"]:
            others[case["name"]] = ([status for status, _ in answers], rows)
    assert others == OTHERWISE
    query = "SELECT DISTINCT pressure, temperature FROM readings WHERE id > ?"
    assert running.rows(query, newest_id) == [(1013.25, 25.1)]


def is_alike(ours: list[tuple[int, Any]], old: list[list[Any]]) -> bool:
    """Whether the statuses are the same, and what is JSON, but for hints, which ours adds."""
    if [status for status, _ in ours] != [status for status, *_ in old]:
        return False
    bodies = [
        (body, old_body)
        for (_, body), (_, *rest) in zip(ours, old, strict=True)
        for old_body in rest
    ]
    return all(
        {k: v for k, v in body.items() if k != "hint"} == old_body for body, old_body in bodies
    )


def sent_and_ended(port: int, data: bytes) -> bytes:
    """All that comes for it, when the sender has closed its end behind it."""
    received = b""
    with raw_connection(port) as sock, suppress(ConnectionResetError, BrokenPipeError):
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        while piece := sock.recv(65536):
            received += piece
    return received


def test_nothing_of_all_this_was_an_unexpected_failure(running: Service) -> None:
    lines = running.settled_log()
    assert [line for line in lines if "Unexpected failure" in line or "Traceback" in line] == []
    assert "Traceback" not in running.output()
