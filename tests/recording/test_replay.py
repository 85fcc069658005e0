"""Replay: what is good by today's settings is stored, once, with its original time."""

import json
from dataclasses import replace

import pytest
from sqlalchemy import event

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.readings.stations import BUILT_IN
from flask10x.recording import batch, rejected, replay
from flask10x.recording.accepted_keys import key_of
from flask10x.recording.rejected import RejectedReading, Selection
from flask10x.recording.replay import ReplayOutcome
from flask10x.recording.shared_queue import SharedQueues, WorkerSlot
from flask10x.recording.writer import Writer
from flask10x.system.gauges import Gauges
from tests.conftest import MakeSettings
from tests.recording.test_group_commit import NO_TWO
from tests.support.both_engines import REFUSED, refuse, refuse_no_more
from tests.support.rows import execute, pico, select

AT = 1_756_000_000_000
STORED = "SELECT id, endpoint, received_at, pressure, temperature FROM readings ORDER BY id"
MARKS = "SELECT id, reading_id FROM rejected ORDER BY id"
NO_PRESSURE = b'{"pressure": null, "temperature": "25.5C"}'
NOTHING = b'{"pressure": "-", "temperature": []}'


@pytest.fixture
def accepting(make_settings: MakeSettings) -> Settings:
    return make_settings(PARTIAL_READINGS="accept")


def keep(database: Database, settings: Settings, *bodies: bytes, media_type: str = "") -> None:
    reasons = {"pressure": "required field missing"}
    refused = [
        RejectedReading("data", AT + n, media_type, body, reasons) for n, body in enumerate(bodies)
    ]
    with database.commit() as connection:
        rejected.keep(connection, refused, settings)


def replayed(settings: Settings, database: Database, **wanted: object) -> list[ReplayOutcome]:
    selection = Selection(**wanted)  # type: ignore[arg-type]
    return list(replay.replay(settings, database, selection))


def test_flat_bodies_are_good_once_partial_readings_are_accepted(
    make_settings: MakeSettings, database: Database, settings: Settings
) -> None:
    """Of a board whose server was the newest version of the old one."""
    body = b'{"co2_ppm": 650, "mq2_voltage": "0.97", "temperature_dht11": null}'
    reasons = {"mh_z19": "required field missing"}
    with database.commit() as connection:
        rejected_reading = RejectedReading("data4", AT, "application/json", body, reasons)
        rejected.keep(connection, [rejected_reading], settings)
    (outcome,) = replayed(settings, database)
    assert not outcome.good
    (outcome,) = replayed(make_settings(PARTIAL_READINGS="data4=accept"), database)
    assert outcome.good
    assert outcome.reasons["mh_z19.co2"] == "read at co2_ppm"
    assert outcome.reasons["dht11"] == "required field missing"
    query = "SELECT received_at, co2, voltage, temperature_dht11 FROM readings"
    assert select(database.path, query) == [(AT, 650.0, 0.97, None)]


def test_nothing_is_good_before_the_settings_change(database: Database, settings: Settings) -> None:
    keep(database, settings, NO_PRESSURE, NOTHING)
    assert replayed(settings, database) == [
        ReplayOutcome(1, "data", False, {"pressure": "required field missing"}),
        ReplayOutcome(
            *(2, "data", False),
            {
                "pressure": "could not convert string to float: '-'",
                "temperature": "unsupported type: list",
            },
        ),
    ]
    assert select(database.path, STORED) == []
    assert select(database.path, MARKS) == [(1, None), (2, None)]


def test_what_is_good_now_is_stored_once_with_its_time(
    database: Database, accepting: Settings, writer: Writer
) -> None:
    writer.submit(pico(1000))
    writer.step()
    keep(database, accepting, NO_PRESSURE, NOTHING, NO_PRESSURE)
    outcomes = replayed(accepting, database)
    assert [(o.id, o.good) for o in outcomes] == [(1, True), (2, False), (3, True)]
    assert outcomes[0].reasons == {"pressure": "required field missing"}
    rows = [
        (1, "data", 1_756_000_000_000, 1000.0, 25.1),
        (2, "data", AT, None, 25.5),
        (3, "data", AT + 2, None, 25.5),
    ]
    assert select(database.path, STORED) == rows
    assert select(database.path, MARKS) == [(1, 2), (2, None), (3, 3)]
    assert select(database.path, "SELECT * FROM counters") == [("warnings.data.pressure", 2)]
    assert [o.id for o in replayed(accepting, database)] == [2]
    assert select(database.path, STORED) == rows


def test_a_dry_run_changes_nothing(database: Database, accepting: Settings) -> None:
    keep(database, accepting, NO_PRESSURE)
    outcomes = list(replay.replay(accepting, database, Selection(), dry_run=True))
    assert [(o.id, o.good) for o in outcomes] == [(1, True)]
    assert select(database.path, STORED) == []
    assert select(database.path, MARKS) == [(1, None)]


def test_only_the_selection_is_replayed(database: Database, accepting: Settings) -> None:
    keep(database, accepting, *[NO_PRESSURE] * 4)
    assert [o.id for o in replayed(accepting, database, ids=(2, 9))] == [2]
    assert [o.id for o in replayed(accepting, database, since_ms=AT + 3)] == [4]
    assert [o.id for o in replayed(accepting, database, endpoints=("data2",))] == []


def test_the_content_type_still_counts(database: Database, accepting: Settings) -> None:
    keep(database, accepting, b'{"pressure": 1, "temperature": 2}', media_type="text/plain")
    assert not replayed(accepting, database)[0].good


def test_more_than_one_transaction(database: Database, accepting: Settings) -> None:
    keep(database, accepting, *[NO_PRESSURE, NOTHING] * 250)
    commits = []
    event.listen(database.writer, "commit", lambda _: commits.append(1))
    assert sum(outcome.good for outcome in replayed(accepting, database)) == 250
    assert len(commits) == 3
    assert select(database.path, "SELECT count(*), count(DISTINCT received_at) FROM readings") == [
        (250, 250)
    ]


def test_a_crash_between_storing_and_marking_leaves_neither(
    database: Database, accepting: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(database, accepting, NO_PRESSURE, NO_PRESSURE)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rejected, "mark_replayed", crash)
        with pytest.raises(KeyboardInterrupt):
            replayed(accepting, database)
    assert select(database.path, STORED) == []
    assert len(replayed(accepting, database)) == 2
    assert len(select(database.path, STORED)) == 2


def test_two_replays_at_once_store_it_once(
    database: Database, accepting: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one runs in full between this one's look and its transaction."""
    keep(database, accepting, NO_PRESSURE, NO_PRESSURE)
    check = replay._check

    def check_late(*arguments: object) -> object:
        with monkeypatch.context() as patched:
            patched.setattr(replay, "_check", check)
            assert len(replayed(accepting, database, ids=(1,))) <= 1
        return check(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(replay, "_check", check_late)
    assert [o.id for o in replayed(accepting, database)] == [2]
    assert select(database.path, MARKS) == [(1, 1), (2, 2)]
    assert len(select(database.path, STORED)) == 2


def test_a_reading_that_the_database_refused_can_be_replayed(
    database: Database, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """An operator's trigger refused it; it was answered with 200, so it must not be lost."""
    trigger = refuse("readings", "NEW.pressure = 2", "two is not wanted")
    execute(database.path, trigger)
    queues = SharedQueues.anonymous(settings.write_queue_maxsize)
    writer = Writer(settings, database, WorkerSlot(Gauges(BUILT_IN.by_endpoint), queues, 0))
    for number in (1, 2, 3):
        writer.submit(pico(number))
    assert writer.step() == 3
    ((reasons, body),) = select(database.path, "SELECT reasons, body FROM rejected")
    assert json.loads(reasons) == {"database": f"{REFUSED}: two is not wanted"}
    assert json.loads(body) == {"pressure": 2.0, "temperature": 25.1}
    (outcome,) = replayed(settings, database)
    assert outcome == ReplayOutcome(1, "data", False, {"database": f"{REFUSED}: two is not wanted"})
    execute(database.path, refuse_no_more("readings"))
    assert [o.good for o in replayed(settings, database)] == [True]
    assert select(database.path, STORED)[-1] == (3, "data", AT, 2.0, 25.1)


def test_a_station_that_is_gone(database: Database, accepting: Settings) -> None:
    keep(database, accepting, NO_PRESSURE)
    execute(database.path, "UPDATE rejected SET endpoint = 'data9'")
    assert replayed(accepting, database) == [
        ReplayOutcome(1, "data9", False, {"endpoint": "there is no such station"})
    ]


def test_a_late_reading_keeps_both_of_its_times(database: Database, accepting: Settings) -> None:
    """Refused by the checks, and then by the database."""
    late = RejectedReading("data", AT, "", NO_PRESSURE, {}, measured_at=AT - 5000)
    with database.commit() as connection:
        rejected.keep(connection, [late], accepting)
    assert [o.good for o in replayed(accepting, database)] == [True]
    times = "SELECT received_at, arrived_at FROM readings"
    assert select(database.path, times) == [(AT - 5000, AT)]
    execute(database.path, "DELETE FROM readings")
    entry = batch.entry_of(BUILT_IN, replace(pico(2, AT - 9000), arrived_at=AT))
    execute(database.path, NO_TWO)
    with database.commit() as connection:
        batch.insert_each(connection, [entry], accepting)
    execute(database.path, refuse_no_more("readings"))
    assert [o.good for o in replayed(accepting, database)] == [True]
    assert select(database.path, times) == [(AT - 9000, AT)]


def test_a_key_that_is_stored_is_not_stored_by_a_replay(
    database: Database, accepting: Settings
) -> None:
    """A board that sends again what was refused has all of its tries kept."""
    keys = [key_of("data", key) for key in (b"a", b"a", b"b", b"c")]
    tries = [RejectedReading("data", AT, "", NO_PRESSURE, {}, key=key) for key in keys]
    with database.commit() as connection:
        rejected.keep(connection, tries, accepting)
        entries = [batch.entry_of(BUILT_IN, pico(1), key=keys[2])]
        batch.insert_each(connection, entries, accepting)
    dry = list(replay.replay(accepting, database, Selection(), dry_run=True))
    assert [o.good for o in dry] == [True, True, False, True]
    outcomes = replayed(accepting, database)
    assert [o.good for o in outcomes] == [True, False, False, True]
    said = {"key": "a reading with its key is stored already"}
    assert [o.reasons for o in outcomes[1:3]] == [said, said]
    assert select(database.path, MARKS) == [(1, 2), (2, None), (3, None), (4, 3)]
    with database.commit() as connection:
        again = [batch.entry_of(BUILT_IN, pico(1), key=keys[3])]
        assert batch.insert_each(connection, again, accepting).duplicates == again


def test_a_body_of_a_while_is_no_key_of_a_rejected_reading(
    database: Database, accepting: Settings
) -> None:
    execute(database.path, NO_TWO)
    entries = [
        batch.entry_of(BUILT_IN, pico(2), key=key_of("data", b"a"), repeat_window_ms=window)
        for window in (0, 1000)
    ]
    with database.commit() as connection:
        batch.insert_each(connection, entries, accepting)
    kept = "SELECT digest IS NULL FROM rejected ORDER BY id"
    assert select(database.path, kept) == [(0,), (1,)]
