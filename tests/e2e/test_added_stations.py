"""A fifth station on a running service: it comes by a reload, is taken everywhere, and goes."""

import itertools
import json

import pytest

from flask10x.config import settings as settings_module
from flask10x.database.paths import shown_name
from tests.e2e.conftest import MakeService
from tests.e2e.load import Load, check_rows
from tests.e2e.service import Service, wait_until
from tests.e2e.test_stopping import reload_workers
from tests.support.both_engines import POSTGRES, write_lock

ENDPOINTS = ["data", "data2", "data3", "data4"]
BALCONY = """
[stations.balcony]
label = "Balcony (SHT31)"
label_ja = "ベランダ（SHT31）"
csv_file = "Balcony.csv"

[stations.balcony.measurements.temperature]
unit = "°C"
minimum = -50
maximum = 150

[stations.balcony.measurements.soil_moisture]
path = "soil.moisture"
label = "Soil"
unit = ""
minimum = 0
"""

CELLAR = """
[stations.cellar.measurements.level]
unit = ""
"""


def body_of(number: int) -> dict[str, object]:
    return {"temperature": "20.5C", "soil": {"moisture": number}}


def put(service: Service, text: str) -> None:
    """Write the file of stations and let the service take it over."""
    (service.data_dir / "stations.toml").write_text(text, encoding="utf-8")
    reload_workers(service)


def stored(service: Service) -> list[int]:
    query = "SELECT soil_moisture FROM readings WHERE endpoint = 'balcony' ORDER BY 1"
    return [int(number) for (number,) in service.rows(query)]


def check_taken_everywhere(service: Service) -> None:
    """What a person and a program see of the station, whose first reading has number 1."""
    metrics = service.get("/metrics").json
    assert metrics["last_received"].keys() == {*ENDPOINTS, "balcony"}
    assert metrics["last_received"]["balcony"] is not None
    assert metrics["inactivity_seconds"].keys() == {*ENDPOINTS, "balcony"}
    answer = service.get("/history/json?endpoint=balcony&soil_moisture__lt=2").json
    assert [row["data"] for row in answer] == [{"temperature": 20.5, "soil": {"moisture": 1.0}}]
    for path in ("/", "/history"):
        assert "Balcony (SHT31)" in service.get(path).body.decode(), path
    assert service.get("/history/series?endpoint=balcony").status in (200, 503)


@pytest.mark.tools
def test_a_reload_brings_a_station_and_a_mistake_changes_nothing(service: MakeService) -> None:
    running = service(commit_interval_sec=0)
    refused = running.post("balcony", body_of(7))
    assert (refused.status, refused.json["error"]) == (404, "not found")
    assert "flask10x stations add balcony" in refused.json["hint"]

    # What the hint says and a reload are enough, with what was refused as the example.
    wait_until(lambda: running.rows("SELECT 1 FROM rejected") != [], 60, "the body is kept")
    added = running.command("stations", "add", "balcony", "--yes").stdout
    named = shown_name(settings_module.load(running.environment))
    assert f"{named}: a new column: moisture\n" in added
    reload_workers(running)
    assert running.post("balcony?dry_run=1", body_of(1)).json["status"] == "dry_run"

    put(running, BALCONY)
    assert running.post("balcony", body_of(1)).json == {"status": "enqueued"}
    running.wait_for_rows(1)
    check_taken_everywhere(running)
    # What was refused before is kept, and can be stored now.
    assert running.rows("SELECT endpoint, body FROM rejected") == [
        ("balcony", json.dumps(body_of(7)).encode())
    ]
    assert running.command("rejected", "replay").stdout.startswith("1 stored, 0 still rejected")
    assert stored(running) == [1, 7]
    running.export()
    lines = (running.csv_dir / "Balcony.csv").read_text().splitlines()
    assert [line.partition(",")[2] for line in lines] == [
        "temperature,soil_moisture",
        "20.5,1.0",
        "20.5,7.0",
    ]

    put(running, BALCONY + "minimun = 3\n")
    assert running.post("balcony", body_of(2)).status == 200
    running.wait_for_line("Reload failed")
    (line,) = [line for line in running.log() if "Reload failed" in line]
    assert f"{running.data_dir / 'stations.toml'}: line {BALCONY.count(chr(10)) + 1}: " in line
    assert "minimun" in line and "minimum" in line


@pytest.mark.long
def test_columns_that_cannot_be_added_leave_all_and_a_station_left_out_its_rows(
    service: MakeService,
) -> None:
    running = service(start=False, commit_interval_sec=0)
    running.data_dir.mkdir(parents=True)
    (running.data_dir / "stations.toml").write_text(BALCONY, encoding="utf-8")
    running.start()
    for number in (1, 2, 7):
        assert running.post("balcony", body_of(number)).status == 200
    running.wait_for_rows(3)

    with write_lock(running.database):
        put(running, BALCONY + CELLAR)
    assert running.post("cellar", {"level": 1}).status == 404
    running.wait_for_line("Reload failed")
    (line,) = [line for line in running.log() if "Reload failed" in line]
    assert ("55P03" if POSTGRES else "SQLITE_BUSY") in line
    put(running, BALCONY + CELLAR)
    assert running.post("cellar", {"level": 1}).status == 200

    put(running, "")
    gone = running.post("balcony", body_of(3))
    assert (gone.status, gone.json["error"]) == (404, "not found")
    assert list(running.get("/metrics").json["last_received"]) == ENDPOINTS
    assert running.get("/history").status == running.get("/history/json").status == 200
    assert stored(running) == [1, 2, 7]
    running.wait_for_line("balcony, cellar not accepted any more")
    told = [line.partition(" Stations of this reload: ")[::2] for line in running.log()]
    assert [(head.split()[-1], what) for head, what in told if what] == [
        ("INFO", "cellar added"),
        ("WARNING", "balcony, cellar not accepted any more, its readings stay"),
    ]
    running.stop()

    (running.data_dir / "stations.toml").write_text("[stations.data5]\n")
    running.launch()
    wait_until(lambda: running.process.poll() is not None, 25, "a start is refused")
    assert running.process.poll() == 1
    assert f"{running.data_dir / 'stations.toml'}: line 1: " in running.output()


@pytest.mark.long
def test_reloads_that_bring_and_take_stations_lose_nothing(service: MakeService) -> None:
    """Old senders notice nothing; of the new station every reading that was accepted is a row."""
    running = service()
    old = Load(running.port, itertools.count(1))
    with old.running():
        put(running, BALCONY)
        new = Load(running.port, itertools.count(1), 2, body_of, endpoint="balcony")
        with new.running():
            new.burst()
            put(running, BALCONY.replace("Soil", "Moist soil"))
            new.burst()
            put(running, "")
    assert old.statuses.keys() == {200}
    assert old.broken == new.broken == []
    assert new.statuses.keys() == {200, 404}
    old.check_answers()
    running.stop()
    check_rows(running, [old])
    assert stored(running) == sorted(new.acknowledged)
    running.check_integrity()
