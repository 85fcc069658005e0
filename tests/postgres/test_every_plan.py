"""Every statement that the service runs on PostgreSQL, by its plan: none reads a large table whole.

The statements are those of the running code: pages, API, readings, export, roll-ups, retention,
alerts, a backup and a check are made on a database with statistics, and each statement is explained
where it is about to be run, with the settings of its transaction. `plans.json` has by which indexes
each part of the program reaches the large tables. Whether an index is read with its table, alone or
as a bitmap is left to the planner: it chooses by a sample, which differs from one run to the next.
When an index changes the test says so; with PLANS=renew it writes the file, to be read like any
other change.
"""

import json
import os
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Connection, Engine

from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.export.append import export
from flask10x.export.verify import verify
from flask10x.history import days, rollups
from flask10x.maintenance.backup import backup
from flask10x.maintenance.check import check
from flask10x.readings.stations import BUILT_IN
from flask10x.readings.times import DAY_MS
from flask10x.runtime.other_hosts import LOOK_EVERY_MS, OtherHosts
from flask10x.runtime.removal import StationRemoval
from flask10x.system import clock
from flask10x.system.gauges import Gauges
from flask10x.web.app import create_app
from tests.e2e.service import wait_until
from tests.postgres.explained import Explain, asked_beside
from tests.support import databases, postgres
from tests.support.pages import ADDRESSES
from tests.support.rows import insert_readings, pico

# Each of some hundred statements is run once more.
pytestmark = [pytest.mark.tools, pytest.mark.timeout(1200)]
FILE = Path(__file__).with_name("plans.json")
RENEW = os.environ.get("PLANS") == "renew"
LARGE = ("readings", "rollups", "rollup_days", "rejected", "accepted_keys", "removed_hours")
# Eight weeks of them.
ROWS, STEP_MS = 20_000, 240_000
# What reads an index in its order, wholly where nothing bounds it.
WITHOUT_BITMAP, LIMITED = ("Index Scan", "Index Only Scan"), "is limited"
EXPLAINED = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)
WITHIN_SEC = 120.0
FILL = """
INSERT INTO readings (id, endpoint, received_at, temperature, co2)
SELECT i, CASE WHEN i % 4 = 0 THEN 'data2' ELSE 'data' END,
    {last} - ({rows} - i) * {step}::bigint, 20 + i % 10, CASE WHEN i % 8 = 4 THEN 400 END
FROM generate_series(1, {rows}) AS i
"""
# What has come since the roll-ups were made, and what a house has after a year.
MORE = f"""
INSERT INTO readings (id, endpoint, received_at, temperature)
SELECT {ROWS} + i, 'data', (SELECT max(received_at) FROM readings) + i, 20
FROM generate_series(1, 500) AS i;
UPDATE log SET last_id = {ROWS} + 500 WHERE name = 'readings';
INSERT INTO accepted_keys (generation, digest, at)
SELECT 1, sha256(i::text::bytea), i FROM generate_series(1, 20000) AS i;
INSERT INTO rejected (id, endpoint, received_at, end_bytes, media_type, reasons, hint, body)
SELECT i, 'data', i * 60000, i * 100, '', '{{}}', '', '' FROM generate_series(1, 20000) AS i;
INSERT INTO log (name, last_id) VALUES ('rejected', 20000)
ON CONFLICT (name) DO UPDATE SET last_id = 20000;
INSERT INTO rollup_days (endpoint, day, measurement, readings, count)
SELECT 'former', i, 'temperature', 1, 1 FROM generate_series(1, 20000) AS i;
INSERT INTO removed_hours (endpoint, hour, measurement, readings, count)
SELECT 'data', i, 'temperature', 1, 1 FROM generate_series(1, 20000) AS i;
"""
PATHS = (
    *ADDRESSES,
    "/history?from=-24h",
    "/history?endpoint=data2&from=all",
    "/history?from=all&co2__gt=5",
    "/history/json",
    "/history/json?order=asc&limit=50",
    "/history/json?limit=50&endpoint=data2&from=-24h&to=-1h",
    "/history/json?limit=50&temperature__gt=28",
    "/history/json?limit=50&co2__isnull=1",
    f"/history/json?since={ROWS - 50}",
    "/history/series?from=-24h",
    "/history/series?from=-24h&endpoint=data2",
    "/history/series?buckets=60",
    "/history/series?endpoint=data2&measurement=co2",
    "/history/series?from=-7d&endpoint=data&temperature__gt=22",
    "/history.csv?from=-24h",
    "/history.json?endpoint=data&from=-24h",
    "/history/rejected/json",
    "/records?endpoint=data2",
    "/records.csv",
    "/api/v1/uptime",
    "/api/v1/latest",
    "/api/v1/notes",
    "/readyz",
    "/metrics",
    "/metrics/prometheus",
)


# Those that may: what they do has to look at all of it, or at any one row.
MAY = (
    # A backup says how much it copies.
    r"SELECT count\(\*\) AS count_1 \nFROM \w+$",
    # The names of its columns, and no row.
    r"SELECT \* FROM readings LIMIT 0$",
    # Retention looks through 200,000 ids at most, here that is all of them.
    r"SELECT readings\.id, readings\.received_at, greatest\(.* \nFROM readings \n"
    r"WHERE readings\.id > \S+ AND readings\.id <= ",
    # Whether there is any.
    r"SELECT rollups\.hour \nFROM rollups \n LIMIT",
    # `flask10x check` looks for times beyond those of calendars.
    r"SELECT \w+\.id \nFROM \w+ \nWHERE \w+\.received_at < \S+ OR \w+\.received_at > ",
)


class Plans:
    """What was seen, by the part of the program that is at work."""

    def __init__(self) -> None:
        self.part = ""
        self.ways: dict[str, set[str]] = defaultdict(set)
        self.whole: dict[str, str] = {}
        """Of the statements that read a large table whole: by statement the part."""
        self._seen: set[tuple[str, str]] = set()
        self._own = threading.get_ident()

    def note(self, connection: Connection, statement: str, explain: Explain) -> None:
        # What threads of the service do beside it comes at any time.
        part = self.part if threading.get_ident() == self._own else "beside"
        # Alerts are in a file of SQLite.
        if connection.dialect.name != "postgresql":
            return
        if not EXPLAINED.match(statement) or (part, statement) in self._seen:
            return
        self._seen.add((part, statement))
        for node in _nodes(explain("FORMAT JSON").scalar_one()[0]["Plan"]):
            table, kind = node.get("Relation Name"), node["Node Type"]
            if table not in LARGE or kind in ("ModifyTable", "LockRows"):
                continue
            indexes = [one["Index Name"] for one in _nodes(node) if "Index Name" in one]
            self.ways[part].update(f"{table}: {index}" for index in indexes or ["whole"])
            is_whole = kind == "Seq Scan" or (kind in WITHOUT_BITMAP and not _is_bounded(node))
            if is_whole and not any(re.match(may, statement) for may in MAY):
                self.whole[statement] = part


def _nodes(plan: Mapping[str, Any], limited: bool = False) -> Iterator[Mapping[str, Any]]:
    limited = limited or plan["Node Type"] == "Limit"
    yield {**plan, LIMITED: limited}
    for inner in plan.get("Plans", ()):
        # A bitmap of an index names no table, but the scan above it does.
        yield from _nodes(inner, limited)


def _is_bounded(node: Mapping[str, Any]) -> bool:
    """Whether a scan of an index begins or ends somewhere."""
    return "Index Cond" in node or node[LIMITED]


@contextmanager
def explained() -> Iterator[Plans]:
    plans = Plans()
    with asked_beside(Engine, plans.note):
        yield plans


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    if reason := postgres.obstacle():
        pytest.skip(reason)
    folder, server = tmp_path_factory.mktemp("every-plan"), postgres.shared()
    name = databases.name_of(folder)
    server.create(name, databases.template())
    environment = {
        "FLASK10X_DATA_DIR": str(folder),
        "FLASK10X_DATABASE_URL": server.url(name),
        "FLASK10X_TIMEZONE": "Asia/Tokyo",
        "FLASK10X_QUERY_TIMEOUT_SEC": "60",
        "FLASK10X_RETENTION_DAYS": "30",
        "FLASK10X_COMMIT_INTERVAL_SEC": "0",
        "FLASK10X_ACK": "committed",
        "FLASK10X_ACK_TIMEOUT_SEC": "8",
    }
    last_ms = clock.now_ms() - STEP_MS
    with server.connect(name) as connection:
        connection.execute(FILL.format(last=last_ms, rows=ROWS, step=STEP_MS).encode())
        connection.execute(f"UPDATE log SET last_id = {ROWS} WHERE name = 'readings'".encode())
        connection.execute("ANALYZE")
    yield settings_module.load(environment)
    server.drop(name)


def analyze(settings: Settings) -> None:
    with postgres.shared().connect(databases.name_of(settings.data_dir)) as connection:
        connection.execute("ANALYZE")


def followed(settings: Settings) -> None:
    database = Database(settings)
    try:
        while rollups.follow(BUILT_IN, database):
            pass
        while days.follow(BUILT_IN, database, settings.zone, rollups.save_at_once):
            pass
    finally:
        database.close()


def asked(app: Flask) -> None:
    client = app.test_client()
    wrong = {
        path: answer.status for path in PATHS if (answer := client.get(path)).status_code != 200
    }
    assert wrong == {}


def stored(app: Flask) -> None:
    client, reading = app.test_client(), {"temperature": 21.5, "pressure": 1013.25}
    assert client.post("/data", json=reading).status_code == 200
    for _ in range(2):
        keyed = client.post("/data", json=reading, headers={"Idempotency-Key": "one"})
        assert keyed.status_code == 200
    items = [{"endpoint": "data", "id": f"b{n}", "data": reading} for n in range(20)]
    for _ in range(2):
        assert client.post("/api/v1/readings", json=items).status_code == 200
    assert client.post("/data", json={"temperature": "x"}).status_code == 400


def exported(settings: Settings) -> None:
    database = Database(settings)
    try:
        export(settings, database)
        assert list(verify(settings, database)) is not None
    finally:
        database.close()


def removed(settings: Settings) -> None:
    database, before_ms = Database(settings), clock.now_ms() - settings.retention_days * DAY_MS
    try:
        for station in (BUILT_IN.by_endpoint[endpoint] for endpoint in ("data", "data2")):
            removal = StationRemoval(settings, database, station)
            assert sum(removal.step(before_ms).readings for _ in range(3)) > 0
    finally:
        database.close()


def looked_at_others(settings: Settings) -> None:
    """What came to another host since the last look."""
    database, now_ms = Database(settings), iter(range(0, 10**6, LOOK_EVERY_MS))
    gauges = Gauges(BUILT_IN.by_endpoint)
    task = OtherHosts(database, gauges, BUILT_IN.by_endpoint, monotonic_ms=lambda: next(now_ms))
    try:
        assert task.step()
        with database.commit() as connection:
            insert_readings(connection, [pico(1)])
        assert task.step()
    finally:
        database.close()


def test_no_statement_reads_a_large_table_whole(settings: Settings, tmp_path: Path) -> None:
    followed(settings)
    with postgres.shared().connect(databases.name_of(settings.data_dir)) as connection:
        connection.execute(MORE.encode())
    with explained() as plans:

        def run(part: str, work: Callable[[], object]) -> None:
            analyze(settings)
            plans.part = part
            work()

        run("roll-ups", lambda: followed(settings))
        run("export", lambda: exported(settings))
        run("retention", lambda: removed(settings))
        run("other hosts", lambda: looked_at_others(settings))
        run("backup", lambda: backup(settings, tmp_path / "backups"))
        run("check", lambda: check(settings))
        app = create_app(settings)
        store = app.extensions["flask10x"]
        store.open()
        try:
            run("readings", lambda: stored(app))
            run("pages", lambda: asked(app))
            wait_until(lambda: plans.ways["beside"], WITHIN_SEC, "the alerts were evaluated")
        finally:
            store.close()
    found = {part: sorted(ways) for part, ways in sorted(plans.ways.items()) if part != "beside"}
    if RENEW:
        FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    assert plans.whole == {}
    assert found == json.loads(FILE.read_text(encoding="utf-8"))
