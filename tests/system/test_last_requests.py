"""The last request of each station, and names that no station has, in shared memory."""

import os

from flask10x.system.last_requests import (
    PLACE_BYTES,
    UNKNOWN_MAX,
    UNKNOWN_OF_ONE_SENDER_MAX,
    LastRequest,
    LastRequests,
    UnknownName,
    UnknownNames,
)


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
    last = requests.at(0)
    assert last is not None
    assert last.body_bytes == 3 * PLACE_BYTES
    assert set(last.body) == set(b"x")
    assert len(last.body) > PLACE_BYTES // 2
    assert requests.at(1) == request(b"next")


def test_one_that_is_half_written_is_none() -> None:
    requests = LastRequests(1)
    requests.note(0, request(b"0123456789"))
    requests._memory[20] ^= 1
    assert requests.at(0) is None
    requests.note(0, request(b"0123456789"))
    assert requests.at(0) is not None


def test_names_that_no_station_has_are_counted_by_all_workers() -> None:
    names = UnknownNames(2)
    assert names.all(2) == []
    child = os.fork()
    if not child:
        for at_ms in (5, 7):
            names.note(1, "freezer", "/freezer", "192.0.2.7", at_ms)
        os._exit(0)
    os.waitpid(child, 0)
    names.note(0, "freezer", "/Freezer/", "192.0.2.8", 6)
    names.note(0, "data9", "/data9", "192.0.2.8", 9)
    assert names.all(2) == [
        UnknownName("freezer", "/freezer", "192.0.2.7", 7, 3),
        UnknownName("data9", "/data9", "192.0.2.8", 9, 1),
    ]


def test_a_board_that_goes_on_sending_stays_whatever_strangers_name() -> None:
    names = UnknownNames(1)
    for at_ms in range(2000):
        if at_ms % 50 < 2:
            names.note(0, "freezer", "/freezer", "192.0.2.7", at_ms)
        # One address with a name each time, and as many addresses as there are.
        names.note(0, f"s{at_ms}", f"/s{at_ms}", "192.0.2.66", at_ms)
        names.note(0, f"t{at_ms}", f"/t{at_ms}", f"2001:db8::{at_ms:x}", at_ms)
    rows = names.all(1)
    assert len(rows) == UNKNOWN_MAX
    assert [(row.times, row.at_ms) for row in rows if row.name == "freezer"] == [(80, 1951)]
    assert sum(row.sender == "192.0.2.66" for row in rows) <= UNKNOWN_OF_ONE_SENDER_MAX


def test_one_address_leaves_room_for_the_others() -> None:
    names = UnknownNames(1)
    for at_ms in range(100):
        for name in ("a", "b", "c", f"s{at_ms}", f"s{at_ms}"):
            names.note(0, name, f"/{name}", "192.0.2.66", at_ms)
    names.note(0, "freezer", "/freezer", "192.0.2.7", 100)
    assert "freezer" in [row.name for row in names.all(1)]
    assert len(names.all(1)) == UNKNOWN_OF_ONE_SENDER_MAX + 1


def test_the_longest_name_has_room() -> None:
    names = UnknownNames(2)
    names.note(
        1, "n" * 32, "/" + "\U0001f600" * 90, f"{'2001:db8:' * 5} through {'f' * 300}", 2**62
    )
    names.note(0, "a", "/a", "192.0.2.7", 1)
    first, second = names.all(2)
    assert (first.name, len(first.path), len(first.sender), first.at_ms) == (
        "n" * 32,
        60,
        100,
        2**62,
    )
    assert second.name == "a"
