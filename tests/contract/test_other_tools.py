"""howto/other-tools.md: each example is run as it stands there, on a database that is in use."""

import importlib.util
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pandas as pd
import pytest

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.maintenance import datasette
from flask10x.readings.parse import Reading
from tests.contract.test_docs import blocks, example, in_both_languages, on_sqlite
from tests.e2e.service import reserved_port, wait_until
from tests.support.databases import environment_of
from tests.support.rows import insert_readings
from tests.support.speaking import speaking
from tests.support.stations import WITH_BALCONY

PAGE = "howto/other-tools"
DOCUMENTED = "/var/lib/flask10x/flask10x.sqlite3"
# Midnight in Tokyo, so 15:00 of the day before in UTC.
MIDNIGHT_MS = 1_755_961_200_000
HOUR_MS = 3_600_000
CO2 = (600.0, 800.0, 1000.0, 700.0)
# What Grafana puts in place of its variables.
FROM_MS, TO_MS = MIDNIGHT_MS + HOUR_MS, MIDNIGHT_MS + 3 * HOUR_MS

of_the_file = pytest.mark.sqlite_only("a tool on the file")
needs_duckdb = pytest.mark.skipif(
    importlib.util.find_spec("duckdb_extension_sqlite_scanner") is None,
    reason="DuckDB is not installed: needs `make .venv/.tools`",
)
needs_datasette = pytest.mark.skipif(
    importlib.util.find_spec("datasette") is None,
    reason="Datasette is not installed: needs `make .venv/.tools`",
)


@pytest.fixture
def path(database: Database) -> Path:
    """A reading of the bedroom each hour from midnight, the connection of the writer still open."""
    rows = [bedroom(MIDNIGHT_MS + n * HOUR_MS + 250, co2, 20 + n) for n, co2 in enumerate(CO2)]
    with database.commit() as connection:
        insert_readings(connection, rows)
        connection.exec_driver_sql(
            "INSERT INTO rollups (endpoint, measurement, hour, readings, count, total)"
            f" VALUES ('data2', 'co2', {FROM_MS // HOUR_MS}, 2, 2, 1500.0)"
        )
    return database.path


def bedroom(at: int, co2: float, temperature: float) -> Reading:
    """A reading of data2."""
    return Reading("data2", at, (co2, temperature, 52.0, 1013.25, 8500.0))


def grafana(label: str, language: str) -> str:
    """A query of the page as the plugin sends it."""
    query = example(PAGE, language, label, "text")
    return query.replace("$__from", str(FROM_MS)).replace("$__to", str(TO_MS))


@of_the_file
@in_both_languages
def test_grafana_gets_seconds_and_the_query_finds_the_index(path: Path, language: str) -> None:
    query = grafana("Grafana", language)
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as other:
        assert other.execute(query).fetchall() == [
            (MIDNIGHT_MS // 1000 + 3600, 800.0),
            (MIDNIGHT_MS // 1000 + 7200, 1000.0),
        ]
        (plan,) = other.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()
    assert "endpoint=? AND received_at>? AND received_at<?" in plan[3]


@of_the_file
@in_both_languages
def test_grafana_gets_hours_from_the_roll_ups(path: Path, language: str) -> None:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as other:
        assert other.execute(grafana("Grafana by hours", language)).fetchall() == [
            (FROM_MS // 1000, 750.0)
        ]


@of_the_file
@in_both_languages
def test_each_line_for_pandas_gives_something(path: Path, language: str) -> None:
    (code,) = blocks(on_sqlite(PAGE, language), "python")
    *setup, hourly, night, counted = code.replace(DOCUMENTED, str(path)).strip().split("\n")
    names: dict[str, Any] = {}
    exec("\n".join(setup), names)
    with closing(names["home"]):
        assert list(eval(hourly, names)) == list(CO2)
        assert str(names["bedroom"].index[0]) == "2025-08-24 00:00:00.250000+09:00"
        assert eval(night, names) == max(CO2)
        counts: pd.DataFrame = eval(counted, names)
    assert counts.to_dict("records") == [{"endpoint": "data2", "readings": len(CO2)}]


@pytest.mark.tools
@of_the_file
@needs_duckdb
@in_both_languages
def test_duckdb_reads_the_file(path: Path, language: str) -> None:
    import duckdb  # noqa: PLC0415
    import duckdb_extension_sqlite_scanner as scanner  # noqa: PLC0415

    (script,) = blocks(on_sqlite(PAGE, language), "sql")
    script = script.replace(DOCUMENTED, str(path))
    # Without a network: it lies in a package instead of being fetched.
    (extension,) = Path(str(scanner.__file__)).parent.rglob("*.duckdb_extension")
    script, replaced = re.subn(r"INSTALL sqlite;\nLOAD sqlite;", f"LOAD '{extension}';", script)
    assert replaced == 1
    with duckdb.connect() as other:
        rows = [(str(day.date()), *rest) for day, *rest in other.execute(script).fetchall()]
    # All four hours are before 09:00 in Tokyo, so of the day before in UTC.
    assert rows == [("2025-08-23", 21.5, 1000.0)]


@pytest.fixture
def metadata(settings: Settings) -> dict[str, Any]:
    return datasette.metadata(settings)


def test_datasette_is_told_of_units_and_of_what_is_the_programs_own(
    metadata: dict[str, Any], settings: Settings
) -> None:
    tables = metadata["databases"]["flask10x"]["tables"]
    assert tables["readings"]["columns"]["co2"] == "co2 [ppm]"
    assert tables["v_data2"]["columns"]["gas_res"] == "gas_resistance [Ω]"
    assert tables["rejected"] == {"hidden": True}


@pytest.fixture
def described(path: Path, tmp_path: Path) -> Iterator[str]:
    """A real Datasette with what `flask10x datasette` writes; its address."""
    here = Path(sys.executable).parent
    environment = os.environ | environment_of(tmp_path)
    with (tmp_path / "flask10x-datasette.json").open("wb") as file:
        subprocess.run([here / "flask10x", "datasette"], stdout=file, env=environment, check=True)
    with reserved_port() as port:
        command = [here / "datasette", "--metadata", file.name, "--port", str(port), path]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        address = f"http://127.0.0.1:{port}/flask10x"
        try:
            wait_until(lambda: answers(address), 30, "Datasette answers")
            yield address
        finally:
            process.terminate()
            process.wait(25)


def answers(address: str) -> bool:
    try:
        return bool(fetched(address))
    except URLError:
        return False


def fetched(address: str) -> str:
    with urlopen(address, timeout=10) as answer:
        text: str = answer.read().decode()
    return text


@pytest.mark.tools
@of_the_file
@needs_datasette
def test_datasette_shows_units_and_what_is_stored_meanwhile(
    described: str, database: Database
) -> None:
    page = fetched(f"{described}/readings")
    assert "A row for each reading" in page
    assert "co2 [ppm]" in page
    assert fetched(f"{described}/readings.csv?_shape=array&_col=co2").split()[1].endswith(",700.0")
    with database.commit() as connection:
        insert_readings(connection, [bedroom(MIDNIGHT_MS + 9 * HOUR_MS, 1234, 20)])
    assert fetched(f"{described}/readings.csv?_col=co2").split()[1].endswith(",1234.0")
    tables = json.loads(fetched(f"{described}.json"))["tables"]
    assert [table["name"] for table in tables if not table["hidden"]] == ["readings"]


def test_added_stations_are_described_too(settings: Settings) -> None:
    with speaking("ja"):
        found = datasette.metadata(replace(settings, stations=WITH_BALCONY))
    tables = found["databases"]["flask10x"]["tables"]
    assert set(tables["v_balcony-1"]["columns"]) > {"id", "time", "soil.wet"}
    assert tables["epoch_balcony-1"] == {"hidden": True}
