"""What the documents say of PostgreSQL is run as it stands there: psql, SQL, other programs."""

import importlib.util
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest

from flask10x.config import settings as settings_module
from flask10x.database import schema
from flask10x.database.database import Database
from flask10x.database.tables import shared_metadata
from tests.contract.test_docs import (
    blocks,
    example,
    file_of,
    in_both_languages,
    on_postgres,
    on_sqlite,
)
from tests.contract.test_docs import read as text_of
from tests.contract.test_docs import table as rows_of_tables
from tests.contract.test_docs_sql import ANSWERS, rows_to_insert
from tests.support import postgres
from tests.support.postgres import HOST, PostgresServer, own_server

NAME = "flask10x"
DATABASE, TOOLS = "reference/database", "howto/other-tools"
# What is run on the server, for the service and for `reader`.
AS_POSTGRES = re.compile(r"^sudo -u postgres (.*)$", re.MULTILINE)
# 09:00 to 09:05 in Tokyo on 2025-08-24.
FROM_SEC, TO_SEC = 1_755_993_600, 1_755_993_900
FROM, TO = "2025-08-24T00:00:00Z", "2025-08-24T00:05:00Z"
needs_duckdb = pytest.mark.skipif(
    importlib.util.find_spec("duckdb_extension_postgres_scanner") is None,
    reason="DuckDB is not installed: needs `make .venv/.tools`",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server set up as the pages say, with the readings of `test_docs_sql.py`."""
    if reason := postgres.obstacle():
        pytest.skip(reason)
    with own_server() as server:
        for page in ("howto/move-to-postgresql", DATABASE):
            for line in AS_POSTGRES.findall(text_of(file_of(page, "en"))):
                run(server, line.replace(" --pwprompt", ""))
        url = server.url(NAME).replace("postgres@", f"{NAME}@")
        folder = tmp_path_factory.mktemp("service")
        environment = {"FLASK10X_DATA_DIR": str(folder), "FLASK10X_DATABASE_URL": url}
        settings = settings_module.load(environment)
        schema.upgrade(settings)
        with closing(Database(settings)) as database, database.commit() as connection:
            for row in rows_to_insert():
                connection.exec_driver_sql(
                    f"INSERT INTO readings ({', '.join(row)})"
                    f" VALUES ({', '.join(['%s'] * len(row))})",
                    tuple(row.values()),
                )
        yield server


@pytest.fixture
def reader(server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    with connected(server, "reader") as connection:
        yield connection


def connected(server: PostgresServer, role: str) -> psycopg.Connection[Any]:
    """A connection to the service's database, each statement of it a transaction."""
    return psycopg.connect(host=HOST, port=server.port, user=role, dbname=NAME, autocommit=True)


def run(server: PostgresServer, script: str, stdin: str = "", **variables: str) -> str:
    """What a script of a page says."""
    folder = postgres.binaries()
    assert folder is not None
    environment = os.environ | {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PGHOST": HOST,
        "PGPORT": str(server.port),
        "PGUSER": postgres.USER,
    }
    done = subprocess.run(
        ["/bin/sh", "-ec", script.replace("db.example", HOST)],
        env=environment | variables,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def plain(value: Any) -> Any:
    """As SQLite has it: dates are texts there, and there are no decimals."""
    if isinstance(value, date):
        return str(value)
    return float(value) if isinstance(value, Decimal) else value


def rows(connection: psycopg.Connection[Any], query: str) -> list[tuple[Any, ...]]:
    fetched = connection.execute(query.encode()).fetchall()
    return [tuple(map(plain, row)) for row in fetched]


def test_both_pages_make_the_same_database(server: PostgresServer) -> None:
    made = [
        set(AS_POSTGRES.findall(text_of(file_of(page, "en"))))
        for page in ("howto/move-to-postgresql", "howto/cluster")
    ]
    assert made[0] <= made[1]
    with connected(server, NAME) as connection:
        assert rows(connection, "SHOW server_encoding") == [("UTF8",)]
        assert rows(connection, f"SELECT pg_has_role('{NAME}', 'pg_monitor', 'USAGE')") == [(True,)]


@in_both_languages
@pytest.mark.parametrize("label", ANSWERS)
def test_each_query_gives_the_answer_of_sqlite(
    reader: psycopg.Connection[Any], label: str, language: str
) -> None:
    query = example(DATABASE, language, f"{label} on PostgreSQL", "sql")
    assert rows(reader, query) == ANSWERS[label]


@pytest.mark.parametrize("label", ANSWERS)
def test_none_of_those_for_sqlite_runs(reader: psycopg.Connection[Any], label: str) -> None:
    query = example(DATABASE, "en", label, "sql")
    with pytest.raises((psycopg.errors.UndefinedFunction, psycopg.errors.UndefinedColumn)):
        rows(reader, query)


def test_the_query_that_is_not_slow_finds_the_index(reader: psycopg.Connection[Any]) -> None:
    reader.execute("SET enable_seqscan = off")
    query = example(DATABASE, "en", "fast hours on PostgreSQL", "sql")
    plan = "\n".join(row[0] for row in rows(reader, f"EXPLAIN {query}"))
    assert re.search(r"Index Cond: .*endpoint = .*received_at >= .*received_at < ", plan)


def test_the_role_may_only_read(reader: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        reader.execute("DELETE FROM readings")
    reader.execute("SET default_transaction_read_only = off")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("DELETE FROM readings")


def test_the_role_of_the_service_may_be_kept_from_writing(server: PostgresServer) -> None:
    (line,) = re.findall(r"`(PGOPTIONS=.*)`", on_postgres(DATABASE, "en"))
    with pytest.raises(AssertionError, match="read-only transaction"):
        run(server, f"{line} --set ON_ERROR_STOP=1", "DELETE FROM readings;")


def test_a_narrower_role_reads_what_comes_later_too(server: PostgresServer) -> None:
    with server.connect(NAME) as connection:
        connection.execute("CREATE ROLE narrow LOGIN")
        role = example(DATABASE, "en", "role on PostgreSQL", "sql")
        connection.execute(role.replace("reader", "narrow").encode())
    with connected(server, NAME) as service:
        service.execute("CREATE VIEW later AS SELECT count(*) FROM v_data2")
    with connected(server, "narrow") as narrow:
        assert rows(narrow, "SELECT * FROM later") == [(7,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            narrow.execute("DELETE FROM readings")


def test_the_time_of_a_view_is_in_the_zone_of_the_session(server: PostgresServer) -> None:
    *_, line = blocks(on_postgres(DATABASE, "en"), "sh")[0].strip().split("\n")
    query = "SELECT time FROM v_data;\n"
    assert "2025-08-23 23:59:30" in run(server, line, query, TZ="UTC")
    assert "2025-08-23 14:59:30" in run(server, line, query, PGTZ="UTC")


def test_the_result_is_a_file(server: PostgresServer, tmp_path: Path) -> None:
    *_, line = blocks(on_postgres(DATABASE, "en"), "sh")
    run(server, f"cd {tmp_path}\n{line}")
    lines = (tmp_path / "co2.csv").read_text().splitlines()
    assert lines[:2] == ["time,co2", "2025-08-24 08:58:00,900"]
    assert len(lines) == 8


@in_both_languages
def test_each_table_that_only_postgresql_has_is_documented(language: str) -> None:
    documented = rows_of_tables(on_postgres(DATABASE, language))
    assert {name.strip("`") for name in documented} - {"table", "テーブル", "---"} == {
        *shared_metadata.tables
    }


def test_names_and_types_are_as_documented(reader: psycopg.Connection[Any]) -> None:
    kinds = rows(
        reader,
        "SELECT DISTINCT data_type FROM information_schema.columns WHERE table_schema = 'public'"
        " AND table_name <> 'alembic_version'",
    )
    assert {kind for (kind,) in kinds} == {"bigint", "double precision", "text", "bytea"}
    with pytest.raises(psycopg.errors.SyntaxError):
        reader.execute("SELECT offset FROM corrections")
    assert rows(reader, 'SELECT "offset" FROM corrections') == []


# Other programs


@in_both_languages
def test_grafana_may_ask_as_it_asks_sqlite(
    server: PostgresServer, reader: psycopg.Connection[Any], language: str
) -> None:
    hour = FROM_SEC // 3600
    with connected(server, NAME) as service:
        service.execute(
            "INSERT INTO rollups (endpoint, measurement, hour, readings, count, total)"
            f" VALUES ('data2', 'co2', {hour}, 2, 2, 1500.0) ON CONFLICT DO NOTHING"
        )
    asked = [
        query.replace("$__from", str(FROM_SEC * 1000)).replace("$__to", str(TO_SEC * 1000))
        for query in (
            example(TOOLS, language, label, "text") for label in ("Grafana", "Grafana by hours")
        )
    ]
    expected = [(FROM_SEC, 1100.0), (FROM_SEC + 60, 1200.0), (FROM_SEC + 180, 800.0)]
    assert rows(reader, asked[0]) == expected
    assert rows(reader, asked[1]) == [(hour * 3600, 750.0)]
    (column,) = re.findall(r"`\$__timeFilter\((.*)\)`", on_postgres(TOOLS, language))
    other = re.sub("received_at BETWEEN .*", f"{column} BETWEEN '{FROM}' AND '{TO}'", asked[0])
    assert rows(reader, other) == expected


@in_both_languages
def test_pandas_reads_it(server: PostgresServer, language: str) -> None:
    (opened,) = blocks(on_postgres(TOOLS, language), "python")
    (code,) = blocks(on_sqlite(TOOLS, language), "python")
    read = code.split("import pandas as pd\n")[1].split("\n", 2)[2].strip().split("\n")
    names: dict[str, Any] = {"pd": pd}
    exec(opened.replace("db.example", f"{HOST}:{server.port}"), names)
    exec("\n".join(read[:-3]), names)
    assert str(names["bedroom"].index[0]) == "2025-08-24 08:58:00.250000+09:00"
    assert eval(read[-3], names).iloc[1] == 1100
    counts: pd.DataFrame = eval(read[-1], names)
    assert dict(zip(counts["endpoint"], counts["readings"], strict=True)) == {
        "data": 1,
        "data2": 7,
        "data4": 1,
    }
    names["home"].dispose()


@pytest.mark.tools
@needs_duckdb
@in_both_languages
def test_duckdb_reads_it(server: PostgresServer, language: str) -> None:
    import duckdb  # noqa: PLC0415
    import duckdb_extension_postgres_scanner as scanner  # noqa: PLC0415

    (opened,) = blocks(on_postgres(TOOLS, language), "sql")
    (script,) = blocks(on_sqlite(TOOLS, language), "sql")
    # Without a network: it lies in a package instead of being fetched.
    (extension,) = Path(str(scanner.__file__)).parent.rglob("*.duckdb_extension")
    opened = opened.replace("INSTALL postgres;\nLOAD postgres;", f"LOAD '{extension}';")
    opened = opened.replace("host=db.example", f"host={HOST} port={server.port}")
    query = script.split("READ_ONLY);\n")[1]
    with duckdb.connect() as other:
        other.execute(opened)
        days = [(str(day.date()), *rest) for day, *rest in other.execute(query).fetchall()]
        types = other.execute("DESCRIBE home.epoch_data2").fetchall()
    # 08:58 in Tokyo is of the day before in UTC.
    assert days == [
        ("2025-08-23", 25.0, 900.0),
        ("2025-08-24", 25.0, 1300.0),
        ("2025-08-25", 25.5, 1050.0),
    ]
    assert ("co2", "DOUBLE") in [row[:2] for row in types]
