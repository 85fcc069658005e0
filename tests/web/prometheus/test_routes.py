"""What a scrape gets, parsed back by Prometheus' own parsers."""

import os
import shutil
import subprocess
import time

import pytest
from flask.testing import FlaskClient
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text
from sqlalchemy.exc import TimeoutError as PoolTimeout

from flask10x.config.settings import Settings
from flask10x.database import counters
from flask10x.database.database import Database
from flask10x.database.error_codes import QueryTooLong
from flask10x.health import copies
from flask10x.recording.shared_queue import WorkerSlot
from flask10x.recording.writer import Writer
from flask10x.runtime.store import Store
from flask10x.system.gauges import Gauges
from flask10x.web.app import create_app
from tests.conftest import MakeSettings
from tests.support.both_engines import POSTGRES, database_bytes
from tests.support.html import MINUTE, NINE
from tests.support.rows import execute, pico

ROUTE = "/metrics/prometheus"
TEXT = {"Accept": "text/plain;version=0.0.4"}
OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0,*/*;q=0.1"}
NOON_MS = 1_756_000_000_000
# Whatever else runs on this machine writes to the disk as well.
DISK_FREE = ("flask10x_disk_free_bytes", frozenset[tuple[str, str]]())

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples_of(text: str) -> Samples:
    """Each sample of the text format, by its name and its labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse_text(text)
        for sample in family.samples
    }


def scraped(client: FlaskClient) -> Samples:
    answer = client.get(ROUTE)
    assert answer.status_code == 200
    return samples_of(answer.text)


def value(found: Samples, name: str, **labels: str) -> float | None:
    return found.get((f"flask10x_{name}", frozenset(labels.items())))


def of_host(found: Samples, name: str, **labels: str) -> float | None:
    """A number that each of several hosts has for itself: on PostgreSQL it says whose it is."""
    return value(found, name, **labels, **({"host": os.uname().nodename} if POSTGRES else {}))


def test_metrics_is_json_as_ever_and_says_that_it_could_be_another(client: FlaskClient) -> None:
    for accept in ("*/*", "text/html,*/*;q=0.8", ""):
        answer = client.get("/metrics", headers={"Accept": accept})
        assert answer.is_json
        assert "Accept" in answer.headers["Vary"]


def test_both_routes_speak_both_formats(client: FlaskClient, four: None) -> None:
    for path in ("/metrics", ROUTE):
        text, openmetrics = (client.get(path, headers=h) for h in (TEXT, OPENMETRICS))
        assert text.content_type == "text/plain; version=0.0.4; charset=utf-8"
        assert (
            openmetrics.content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        )
        assert "Accept" in text.headers["Vary"]
        assert openmetrics.text.endswith("# EOF\n")
    assert client.get(ROUTE).content_type == text.content_type


def test_openmetrics_says_the_same_as_text_and_is_parsed_strictly(
    client: FlaskClient, four: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic_ns", lambda: 10**15)
    families = [*parse_openmetrics(client.get(ROUTE, headers=OPENMETRICS).text)]
    strict = {(s.name, frozenset(s.labels.items())): s.value for f in families for s in f.samples}
    found = scraped(client)
    del found[DISK_FREE], strict[DISK_FREE]
    assert strict == found
    assert len({family.name for family in families}) == len(families)
    assert all(family.name.startswith("flask10x_") for family in families)


def test_what_was_posted_is_counted_by_station(client: FlaskClient, writer: Writer) -> None:
    client.post("/data", json={"pressure": 1013.2, "temperature": 25.1})
    client.post("/data", json={"pressure": 1013.2})
    client.post("/data?dry_run=1", json={"pressure": 1013.2})
    writer.step()
    found = scraped(client)
    assert of_host(found, "readings_accepted_total", station="data") == 1
    assert of_host(found, "readings_refused_total", station="data") == 1
    assert of_host(found, "readings_turned_away_total", station="data") == 0
    assert of_host(found, "readings_accepted_total", station="data2") == 0
    assert value(found, "readings_stored_total") == 1
    assert of_host(found, "commit_readings_count") == 1
    assert of_host(found, "commit_readings_bucket", le="1.0") == 1
    assert of_host(found, "commit_duration_seconds_bucket", le="+Inf") == 1
    assert value(found, "rollups_pending_readings") == 1


def test_values_have_their_unit_and_are_left_out_where_missing(
    client: FlaskClient, four: None
) -> None:
    found = scraped(client)
    labels = {"station": "data4", "unit": "°C"}
    assert value(found, "measurement_value", measurement="temperature_dht11", **labels) == 26
    assert value(found, "measurement_value", measurement="temperature_ds18b20", **labels) is None
    at = value(found, "measurement_timestamp_seconds", station="data4")
    assert at == value(found, "station_last_received_timestamp_seconds", station="data4")
    assert at is not None
    assert at * 1000 == NINE + 3 * MINUTE


def test_a_station_that_ends_is_silent_and_then_loses_its_values(
    client: FlaskClient, writer: Writer, gauges: Gauges, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.submit(pico(1, NOON_MS))
    writer.step()
    gauges.note_received("data", 5_000_000)
    labels = {"station": "data", "measurement": "pressure", "unit": "hPa"}
    for sec, silent, expected in ((120, 0, 1), (121, 1, 1), (3600, 1, 1), (3601, 1, None)):
        monkeypatch.setattr(time, "monotonic_ns", lambda sec=sec: (5000 + sec) * 10**9)
        found = scraped(client)
        assert value(found, "station_inactivity_seconds", station="data") == sec
        assert value(found, "station_silent", station="data") == silent
        assert (value(found, "measurement_value", **labels) is not None) == bool(expected)
    assert value(found, "station_last_received_timestamp_seconds", station="data") == NOON_MS / 1000


def test_a_station_that_never_sent_is_not_called_silent(client: FlaskClient) -> None:
    found = scraped(client)
    assert value(found, "station_silent", station="data") is None
    assert value(found, "station_inactivity_seconds", station="data") is None


def test_queue_and_disk(client: FlaskClient, writer: Writer, database: Database) -> None:
    writer.submit(pico(1))
    found = scraped(client)
    assert of_host(found, "queue_length") == 1
    assert of_host(found, "queue_capacity") == 5000
    assert value(found, "database_size_bytes") == database_bytes(database.path)
    free, size = value(found, "disk_free_bytes"), value(found, "disk_size_bytes")
    assert free is not None
    assert size is not None
    assert 0 < free <= size


def test_the_newest_backup(client: FlaskClient, settings: Settings) -> None:
    assert value(scraped(client), "backup_last_timestamp_seconds") is None
    settings.backup_dir.mkdir()
    (settings.backup_dir / "flask10x-20250824-104640.sqlite3").write_bytes(b"1234")
    found = scraped(client)
    assert value(found, "backup_last_timestamp_seconds") == NOON_MS / 1000
    assert value(found, "backup_last_size_bytes") == 4


def test_every_worker_says_the_same(
    client: FlaskClient, settings: Settings, gauges: Gauges, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = create_app(settings, WorkerSlot.alone(settings, gauges, 1))
    for number, one in enumerate((client, other.test_client())):
        one.post("/data", json={"pressure": 1013.2, "temperature": number})
        one.post("/data", json={})
    store: Store = other.extensions["flask10x"]
    store.writer.step()
    monkeypatch.setattr(time, "monotonic_ns", lambda: 10**15)
    found = scraped(client)
    # Each has its own queues here.
    theirs = scraped(other.test_client())
    own = [key for key in found if key[0].startswith("flask10x_queue_")]
    for key in (*own, DISK_FREE):
        del found[key], theirs[key]
    assert theirs == found
    assert of_host(found, "readings_accepted_total", station="data") == 2
    assert of_host(found, "readings_refused_total", station="data") == 2
    store.close()


def test_a_database_that_cannot_be_read_leaves_what_is_in_memory(
    client: FlaskClient, writer: Writer, database: Database
) -> None:
    writer.submit(pico(1))
    writer.step()
    execute(database.path, "ALTER TABLE readings RENAME TO gone")
    assert client.get("/metrics").status_code == 503
    found = scraped(client)
    assert value(found, "scrape_part_success", part="database") == 0
    assert value(found, "scrape_part_success", part="disk") == 1
    assert value(found, "readings_stored_total") is None
    assert of_host(found, "readings_accepted_total", station="data") == 1
    assert value(found, "station_inactivity_seconds", station="data") == 0


@pytest.mark.parametrize("error", [QueryTooLong(2), PoolTimeout()], ids=["long", "no connection"])
def test_a_database_that_takes_too_long_holds_up_nothing(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(counters, "write_errors", fail)
    found = scraped(client)
    assert value(found, "scrape_part_success", part="database") == 0
    assert of_host(found, "queue_length") == 0


def test_a_folder_of_backups_that_cannot_be_read_hinders_nothing_else(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(copies, "newest_backup", fail)
    found = scraped(client)
    assert value(found, "scrape_part_success", part="backups") == 0
    assert value(found, "scrape_part_success", part="database") == 1


def test_a_missing_database_is_no_end_of_the_numbers(make_settings: MakeSettings) -> None:
    app = create_app(make_settings(), missing="not there")
    client = app.test_client()
    assert client.get("/metrics").status_code == 503
    answer = client.get("/metrics", headers=TEXT)
    assert answer.status_code == 200
    found = samples_of(answer.text)
    assert found == scraped(client)
    assert value(found, "scrape_part_success", part="database") == 0
    assert of_host(found, "queue_length") is None
    app.extensions["flask10x"].close()


@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool here (apt: prometheus)")
def test_promtool_finds_nothing_to_say(client: FlaskClient, four: None) -> None:
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=client.get(ROUTE).data,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
