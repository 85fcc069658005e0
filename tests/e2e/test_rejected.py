"""Refused readings over real processes: kept, shown, replayed while the service runs."""

import json

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.load import Load, check_rows
from tests.e2e.service import Service, wait_until

HALF = {"mh_z19": {"co2": 650}, "mq_2": {"analog_value": 12, "voltage": 1}, "ds18b20": None}


def kept(service: Service) -> int:
    (number,) = service.rows("SELECT count(*) FROM rejected")[0]
    assert isinstance(number, int)
    return number


def rejected(service: Service, *arguments: str) -> str:
    done = service.command("rejected", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.tools
def test_refused_kept_and_replayed_after_a_change_of_settings(service: MakeService) -> None:
    running = service()
    answer = running.post("data4", HALF)
    assert answer.status == 400
    running.stop()
    assert kept(running) == 1
    ((received_at,),) = running.rows("SELECT received_at FROM rejected")

    running.environment["FLASK10X_PARTIAL_READINGS"] = "data4=accept"
    running.start()
    (shown,) = running.get("/history/rejected/json").json
    assert json.loads(shown["body"]) == HALF
    assert shown["reasons"] == answer.json["details"]
    assert running.get("/history/rejected").status == 200
    load = Load(running.port)
    with load.running():
        load.burst()
        assert rejected(running, "replay").startswith("1 stored, 0 still rejected\n")
        assert rejected(running, "replay").startswith("0 stored, 0 still rejected\n")
    assert load.statuses.keys() == {200}
    stored = running.rows(
        "SELECT received_at, co2, humidity_dht11 FROM readings WHERE endpoint = 'data4'"
    )
    assert stored == [(received_at, 650.0, None)]
    assert running.post("data4", HALF).json["status"] == "accepted_with_warnings"
    running.stop()
    numbers = running.rows("SELECT gas_resistance FROM readings WHERE endpoint = 'data2'")
    assert sorted(int(number) for (number,) in numbers) == sorted(load.acknowledged)


@pytest.mark.tools
def test_they_are_kept_within_seconds_and_at_the_latest_by_a_stop(service: MakeService) -> None:
    running = service()
    for number in range(20):
        assert running.post("data", {"pressure": number}).status == 400
    wait_until(lambda: kept(running) > 0, 60, "the first of them are kept")
    running.stop()
    assert kept(running) == 20


@pytest.mark.tools
@pytest.mark.parametrize("garbage", [400, pytest.param(1500, marks=pytest.mark.long)])
def test_a_flood_of_garbage_does_not_hold_up_good_readings(
    service: MakeService, garbage: int
) -> None:
    """Garbage from a sender as fast as it is answered, beside the usual load."""
    running = service()
    load = Load(running.port, clients=2)
    refused = 0
    with load.running():
        load.burst()
        while refused < garbage:
            assert running.post("data", b"\xffgarbage" * 20).status == 400
            refused += 1
    load.check_answers()
    assert load.statuses.keys() == {200}
    running.stop()
    check_rows(running, [load])
    details = running.rows("SELECT value FROM counters WHERE name = 'rejected_dropped'")
    dropped = sum(value for (value,) in details)
    # Two workers hold 640 such rows each; nothing is uncounted.
    assert kept(running) + dropped == refused
