"""The queries of reference/database.md, run as it says; the answers were worked out by hand."""

import re
import sqlite3
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from flask10x.database.database import Database
from flask10x.readings.stations import BUILT_IN, Station
from tests.contract.test_docs import (
    blocks,
    example,
    file_of,
    in_both_languages,
    read,
    table,
)

READINGS: list[tuple[str, str, dict[str, float]]] = [
    ("data", "2025-08-23 23:59:30", {"pressure": 1013.2, "temperature": 25.1}),
    ("data2", "2025-08-24 08:58:00", {"co2": 900, "temperature": 25, "humidity": 52}),
    ("data2", "2025-08-24 09:00:00", {"co2": 1100, "temperature": 25, "humidity": 52}),
    ("data2", "2025-08-24 09:01:00", {"co2": 1200, "temperature": 25, "humidity": 52}),
    ("data4", "2025-08-24 09:02:00", {"co2": 700, "temperature_ds18b20": 24.5}),
    ("data2", "2025-08-24 09:03:00", {"co2": 800, "temperature": 25, "humidity": 52}),
    ("data2", "2025-08-24 09:10:00", {"co2": 1300, "temperature": 25, "humidity": 52}),
    ("data2", "2025-08-25 10:00:00", {"co2": 1050, "temperature": 25, "humidity": 52}),
    ("data2", "2025-08-25 10:30:00", {"co2": 500, "temperature": 26, "humidity": 53}),
]
LATEST = [
    ("data", "2025-08-23 23:59:30", 25.1, None, 1013.2, None),
    ("data2", "2025-08-25 10:30:00", 26.0, 53.0, None, 500.0),
    ("data3", None, None, None, None, None),
    ("data4", "2025-08-24 09:02:00", 24.5, None, None, 700.0),
]
HOURS = [("08:00", 1, 900.0, 900.0, 900.0), ("09:00", 4, 800.0, 1100.0, 1300.0)]
GAPS = [
    ("data2", "2025-08-24 09:03:00", "2025-08-24 09:10:00", 7.0),
    ("data2", "2025-08-24 09:10:00", "2025-08-25 10:00:00", 1490.0),
    ("data2", "2025-08-25 10:00:00", "2025-08-25 10:30:00", 30.0),
]
PER_DAY = [("2025-08-25", 0, 2, 0, 0), ("2025-08-24", 0, 5, 0, 1), ("2025-08-23", 1, 0, 0, 0)]
# On the 24th 1 and 2 minutes until the next reading, and 3 of the 1490 that follow 09:10.
STUFFY = [("2025-08-24", 1300.0, 6.0), ("2025-08-25", 1050.0, 3.0)]
FAST_HOURS = [("08:00", 1, 900.0), ("09:00", 4, 1100.0)]
# By the label of the query in the documents.
ANSWERS: dict[str, list[Any]] = {
    **{"latest": LATEST, "hours": HOURS, "gaps": GAPS, "per day": PER_DAY},
    **{"stuffy": STUFFY, "fast hours": FAST_HOURS},
}


pytestmark = pytest.mark.sqlite_only("queries for the sqlite3 shell")


def rows_to_insert() -> Iterator[dict[str, Any]]:
    """READINGS as rows of the table; their times are those of Tokyo."""
    for endpoint, local, values in READINGS:
        received_at = int(datetime.fromisoformat(f"{local}.250+09:00").timestamp() * 1000)
        yield {"endpoint": endpoint, "received_at": received_at} | values


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """SQLite's `localtime` is the zone of the process."""
    with monkeypatch.context() as context:
        context.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def shell(database: Database, tokyo: None) -> Iterator[sqlite3.Connection]:
    """The database with READINGS, opened as the page says."""
    with database.commit() as connection:
        for row in rows_to_insert():
            connection.exec_driver_sql(
                f"INSERT INTO readings ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
                tuple(row.values()),
            )
    shell = sqlite3.connect(f"file:{database.path}?mode=ro", uri=True)
    yield shell
    shell.close()


@pytest.mark.parametrize("label", ANSWERS)
def test_each_query_gives_its_answer(shell: sqlite3.Connection, label: str) -> None:
    query = example("reference/database", "en", label, "sql")

    assert shell.execute(query).fetchall() == ANSWERS[label]


@in_both_languages
def test_each_query_has_a_label(language: str) -> None:
    text = read(file_of("reference/database", language))
    labels = re.findall(r"^(?:<!-- example: (.+) -->)?\n```sql$", text, re.MULTILINE)
    on_postgres = {f"{label} on PostgreSQL" for label in ("role", *ANSWERS)}

    assert sorted(labels) == sorted({*ANSWERS} | on_postgres)


def without_alias(query: str) -> list[str]:
    """What follows the end of each subquery in FROM that has no name of its own."""
    unnamed = []
    for opened in re.finditer(r"\b(?:FROM|JOIN) \(\s*SELECT\b", query):
        depth, end = 1, query.index("(", opened.start()) + 1
        while depth:
            depth += {"(": 1, ")": -1}.get(query[end], 0)
            end += 1
        if not re.match(r"\s+AS \w+", query[end:]):
            unnamed.append(query[end:].strip())
    return unnamed


@in_both_languages
def test_each_subquery_has_a_name_without_which_postgresql_15_refuses_it(language: str) -> None:
    """PostgreSQL 16 and SQLite make one up, so only a look at the text shows it there."""
    queries = blocks(read(file_of("reference/database", language)), "sql")
    assert sum(len(re.findall(r"FROM \(\s*SELECT", query)) for query in queries) == 4
    assert [text for query in queries for text in without_alias(query)] == []


@in_both_languages
@pytest.mark.parametrize("station", BUILT_IN.all, ids=lambda station: station.endpoint)
def test_each_view_has_the_documented_columns(
    shell: sqlite3.Connection, station: Station, language: str
) -> None:
    view = f"v_{station.endpoint}"
    (documented,) = table(read(file_of("reference/database", language)))[f"`{view}`"]

    names = [row[1] for row in shell.execute(f"PRAGMA table_info({view})")]
    assert re.findall(r'`"?([\w.]+)"?`', documented) == names
    assert names == ["id", "time", *(m.path for m in station.measurements)]
