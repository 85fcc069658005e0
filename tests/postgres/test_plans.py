"""On PostgreSQL a page sorts only readings of one moment, and looks through few that it hides.

A table of some thousand rows is enough for the planner to want an index as it does in a large one.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl

import pytest
from sqlalchemy import Connection

from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.history import charts, derived_lines, pages, rollups, search
from flask10x.history.parameters import JSON, SERIES, parse_query
from flask10x.history.query import Query
from flask10x.history.view import View
from flask10x.readings.stations import BUILT_IN
from tests.postgres.explained import Explain, asked_beside
from tests.support import databases, postgres

FIRST_MS, STEP_MS, ROWS = 1_756_000_000_000, 25_000, 20_000
MIDDLE_MS, LAST_MS = FIRST_MS + ROWS // 2 * STEP_MS, FIRST_MS + ROWS * STEP_MS
MIDDLE = f"{MIDDLE_MS}:{ROWS // 2}"
FILL = f"""
INSERT INTO readings (id, endpoint, received_at, pressure, temperature, humidity, co2)
SELECT i, (array['data', 'data2', 'data3', 'data4'])[1 + i % 4], {FIRST_MS} + i * {STEP_MS}::bigint,
    1000 + i % 40, 20 + i % 10, 50, CASE WHEN i % 8 < 5 THEN 400 END
FROM generate_series(1, {ROWS}) AS i
"""
PLACE = "ix_readings_endpoint_received_at"
Plan = list[str]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    if reason := postgres.obstacle():
        pytest.skip(reason)
    folder, server = tmp_path_factory.mktemp("plans"), postgres.shared()
    name = databases.name_of(folder)
    server.create(name, databases.template())
    environment = {"FLASK10X_DATA_DIR": str(folder), "FLASK10X_DATABASE_URL": server.url(name)}
    with server.connect(name) as connection:
        connection.execute(FILL)
        connection.execute(f"UPDATE log SET last_id = {ROWS} WHERE name = 'readings'")
        connection.execute("ANALYZE")
    yield settings_module.load(environment | {"FLASK10X_TIMEZONE": "Asia/Tokyo"})
    server.drop(name)


@pytest.fixture(scope="module")
def database(settings: Settings) -> Iterator[Database]:
    database = Database(settings)
    while rollups.follow(BUILT_IN, database):
        pass
    with database.writer.begin() as connection:
        connection.exec_driver_sql("ANALYZE")
    yield database
    database.close()


@contextmanager
def plans_of(database: Database) -> Iterator[list[Plan]]:
    """The plan of each SELECT of readings or roll-ups in the block, as PostgreSQL tells it."""
    plans: list[Plan] = []

    def note(_connection: Connection, statement: str, explain: Explain) -> None:
        asked = re.search(r"\b(FROM|JOIN) (readings|rollups)\b", statement)
        if asked and not statement.startswith("EXPLAIN"):
            plans.append([line.strip() for line in explain("COSTS OFF").scalars()])

    with asked_beside(database.reader, note):
        yield plans


def ask(settings: Settings, text: str) -> Query:
    return parse_query(parse_qsl(text), settings, LAST_MS, JSON)


def scans(plan: Plan) -> list[str]:
    return [step.removeprefix("->").strip() for step in plan if " Scan" in step]


def sorts(plan: Plan) -> list[str]:
    return [step for step in plan if re.match(r"(->\s*)?(Incremental )?Sort\b(?! Key)", step)]


@pytest.mark.parametrize(
    ("text", "limits", "hidden"),
    [
        ("", "", ""),
        ("order=asc", "", ""),
        (f"cursor=before:{MIDDLE}", f"(received_at <= '{MIDDLE_MS}'", "(received_at, id) < "),
        (
            f"order=asc&cursor=after:{MIDDLE}",
            f"(received_at >= '{MIDDLE_MS}'",
            "(received_at, id) > ",
        ),
        ("from=2025-08-24", "(received_at >= ", "(received_at, id) > "),
        ("to=2025-08-24", "(received_at <= ", "(received_at, id) < "),
        (
            f"from=2025-08-01&to=2025-08-27&cursor=before:{MIDDLE}",
            f"(received_at <= '{MIDDLE_MS}'",
            "(received_at, id) < ",
        ),
        ("co2__isnull=1", "", ""),
        ("endpoint=data2", "", ""),
        (
            f"endpoint=data2&cursor=before:{MIDDLE}",
            f"(received_at <= '{MIDDLE_MS}'",
            "(received_at, id) < ",
        ),
    ],
)
def test_each_branch_is_a_range_of_the_index_and_only_one_moment_is_sorted(
    database: Database,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    limits: str,
    hidden: str,
) -> None:
    """The index has the times: readings of the same one are put in order, or left out, by id."""
    monkeypatch.setattr(search, "MOST_ROWS_BEHIND", -1)
    query = ask(settings, f"limit=20&{text}")
    with plans_of(database) as plans, database.reader.begin() as connection:
        assert pages.page(View(connection, settings.stations), query).rows
    # What lies beyond a cursor is read after the page.
    plan = next(plan for plan in plans if sorts(plan))
    scanned = scans(plan)
    assert len(scanned) == (1 if "endpoint" in text else 4)
    assert all(re.match(rf"Index Scan (Backward )?using {PLACE} on readings", s) for s in scanned)
    assert [step.removeprefix("->").strip() for step in sorts(plan)] == ["Incremental Sort"] * len(
        scanned
    )
    presorted = [step for step in plan if step.startswith("Presorted Key: ")]
    assert len(presorted) == len(scanned)
    assert all(re.fullmatch(r"Presorted Key: (readings(_\d)?\.)?received_at", s) for s in presorted)
    ranges = [step for step in plan if step.startswith("Index Cond: ")]
    assert len(ranges) == len(scanned)
    assert all("(endpoint = " in step and limits in step for step in ranges)
    filters = [step for step in plan if step.startswith("Filter: ") and "ROW" in step]
    assert len(filters) == (len(scanned) if hidden else 0)
    assert all(f"ROW{hidden}" in step for step in filters)


def test_the_pages_of_both_indexes_are_full(settings: Settings) -> None:
    """A number more in an entry, and PostgreSQL would fill them to little more than a half."""
    sizes = f"SELECT pg_relation_size('{PLACE}'), pg_relation_size('readings_pkey')"
    with postgres.shared().connect(databases.name_of(settings.data_dir)) as connection:
        (found,) = connection.execute(sizes).fetchall()
    of_places, of_ids = found
    assert of_places / ROWS < 35
    assert of_ids / ROWS < 22


def test_a_deep_page_reads_as_much_as_the_first(database: Database, settings: Settings) -> None:
    """Counted in blocks, which nothing else changes."""
    scanned = []

    def note(_connection: Connection, statement: str, explain: Explain) -> None:
        if "FROM readings" in statement and not statement.startswith("EXPLAIN"):
            plan = explain("ANALYZE, BUFFERS, COSTS OFF, TIMING OFF").scalars().all()
            buffers = next(line for line in plan if "Buffers:" in line)
            scanned.append(sum(map(int, re.findall(r"(?:hit|read)=(\d+)", buffers))))

    with asked_beside(database.reader, note):
        for text in ("", f"&cursor=before:{MIDDLE}", f"&cursor=before:{FIRST_MS + 10**6}:40"):
            with database.query() as connection:
                assert pages.page(
                    View(connection, settings.stations), ask(settings, f"limit=20{text}")
                ).rows
    first, *_others = scanned
    # 20 rows of four stations, with the way down into each part of the index.
    assert first < 60
    assert max(scanned) < first + 20


@pytest.mark.parametrize("text", ["", "&endpoint=data", "&incomplete=1&co2__gt=5"])
def test_what_is_new_is_a_range_of_ids(database: Database, settings: Settings, text: str) -> None:
    with plans_of(database) as plans, database.query() as connection:
        pages.newer(
            View(connection, settings.stations),
            ask(settings, f"since={ROWS - 50}{text}"),
            ROWS - 50,
        )
    (found,) = scans(plans[-1])
    assert found == "Index Scan using readings_pkey on readings"
    assert sorts(plans[-1]) == []


def test_what_was_last_received_is_a_step_into_the_index_for_each_station(
    database: Database,
) -> None:
    with plans_of(database) as plans, database.query() as connection:
        assert View(connection, BUILT_IN).last_received
    last_id, times, recent = (scanned for scanned in map(scans, plans) if scanned)
    assert "Index Only Scan Backward using readings_pkey on readings" in last_id
    assert all(f"using {PLACE} on readings" in scan for scan in times)
    assert len(times) == 8
    assert recent == ["Index Scan using readings_pkey on readings"]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize(
    "text",
    ["temperature__gt=28", "incomplete=1", "humidity__lt=15&temperature__gt=7&incomplete=1"],
)
def test_a_search_walks_keys_and_reads_the_hours_that_it_needs(
    database: Database, settings: Settings, text: str, order: str
) -> None:
    with plans_of(database) as plans, database.query() as connection:
        pages.page(
            View(connection, settings.stations), ask(settings, f"limit=20&order={order}&{text}")
        )
    # One looks at the last id, and at small tables beside it.
    searches = [plan for plan in plans if not any(" on log" in scan for scan in scans(plan))]
    walked = {scan for plan in searches for scan in scans(plan) if scan.startswith("Seq Scan")}
    assert searches
    assert walked == set()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "endpoint=data2&measurement=co2&buckets=30",
        "from=2025-08-25T03:00&to=2025-08-25T06:00",
        "from=2025-08-25&to=2025-08-25&temperature__gte=27",
        "measurement=dew_point",
        "measurement=pressure_trend&buckets=30",
    ],
)
def test_a_chart_looks_through_no_readings_but_its_own(
    database: Database, settings: Settings, text: str
) -> None:
    query = parse_query(parse_qsl(text), settings, LAST_MS, SERIES)
    with plans_of(database) as plans, database.query() as connection:
        charts.first_ms(View(connection, query.registry), query)
        assert derived_lines.chart(View(connection, query.registry), query).lines
    of_readings = [scan for plan in plans for scan in scans(plan) if " on readings" in scan]
    assert of_readings
    assert not [scan for scan in of_readings if scan.startswith("Seq Scan")]
