"""The last request of each station, in shared memory."""

import os

from flask10x.system.last_requests import PLACE_BYTES, LastRequest, LastRequests


def request(body: bytes = b"{}", agent: str = "Pico") -> LastRequest:
    return LastRequest(
        at_ms=1_756_000_000_000,
        status=400,
        protocol="HTTP/1.0",
        path="/data",
        headers={"User-Agent": agent},
        body=body,
        body_bytes=len(body),
    )


def test_another_process_sees_the_last_one_of_each_place() -> None:
    requests = LastRequests(3)
    assert requests.at(0) is None
    child = os.fork()
    if not child:
        requests.note(0, request(b"first"))
        requests.note(0, request(b"\xff\nlast"))
        requests.note(2, request(agent="寝室"))
        os._exit(0)
    os.waitpid(child, 0)
    assert requests.at(0) == request(b"\xff\nlast")
    assert requests.at(1) is None
    assert requests.at(2) == request(agent="寝室")


def test_what_is_too_long_is_cut_and_keeps_to_its_place() -> None:
    requests = LastRequests(2)
    requests.note(1, request(b"next"))
    requests.note(0, request(b"x" * 3 * PLACE_BYTES))
    found = requests.at(0)
    assert found is not None
    assert found.body_bytes == 3 * PLACE_BYTES
    assert set(found.body) == set(b"x")
    assert len(found.body) > PLACE_BYTES // 2
    assert requests.at(1) == request(b"next")


def test_one_that_is_half_written_is_none() -> None:
    requests = LastRequests(1)
    requests.note(0, request(b"0123456789"))
    requests._memory[20] ^= 1
    assert requests.at(0) is None
    requests.note(0, request(b"0123456789"))
    assert requests.at(0) is not None
