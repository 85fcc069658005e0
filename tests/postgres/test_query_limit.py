"""On PostgreSQL the time of a query is that of all its statements together."""

import pytest
from sqlalchemy import Connection

from flask10x.config import settings as settings_module
from flask10x.database.database import Database
from flask10x.database.error_codes import QueryTooLong
from flask10x.database.postgres import driver
from tests.support import postgres

SET = "SET LOCAL statement_timeout = "


def sleep(connection: Connection, seconds: float) -> None:
    connection.exec_driver_sql(f"SELECT pg_sleep({seconds})")


def test_a_long_statement_is_broken_off(empty_database: Database) -> None:
    with pytest.raises(QueryTooLong), empty_database.query() as connection:
        sleep(connection, 60)


def test_one_whose_rows_come_in_portions_is_broken_off(empty_database: Database) -> None:
    with pytest.raises(QueryTooLong), empty_database.query() as connection:
        streamed = connection.execution_options(yield_per=10)
        streamed.exec_driver_sql("SELECT pg_sleep(4)").all()


def test_many_short_ones_have_the_time_together(empty_database: Database) -> None:
    done = 0
    # So long that a busy machine gets through the first of them.
    with pytest.raises(QueryTooLong), empty_database.query(3) as connection:
        for _ in range(100):
            sleep(connection, 0.3)
            done += 1
    assert 0 < done <= 10


def test_a_statement_has_what_others_have_left(empty_database: Database) -> None:
    with pytest.raises(QueryTooLong), empty_database.query() as connection:
        sleep(connection, 0.4)
        limits = connection.exec_driver_sql("SHOW statement_timeout").scalar_one()
        assert 0 < int(limits.removesuffix("ms")) <= 600
        sleep(connection, 60)


def test_quick_statements_set_no_limit_again(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(driver.PatientConnection, "add", lambda _, text: said.append(text))
    with empty_database.query(60) as connection:
        for _ in range(20):
            connection.exec_driver_sql("SELECT 1")
    assert len([one for one in said if SET in one]) == 1


def test_the_next_query_has_its_own_time(empty_database: Database) -> None:
    with pytest.raises(QueryTooLong), empty_database.query() as connection:
        sleep(connection, 60)
    with empty_database.query() as connection:
        sleep(connection, 0.01)


def test_a_float_comes_as_it_is_whatever_the_server_says(empty_database: Database) -> None:
    server = postgres.shared()
    name = "few_digits"
    server.create(name)
    try:
        with server.connect() as admin:
            admin.execute(f"ALTER DATABASE {name} SET extra_float_digits = -6".encode())
        values = {"DATA_DIR": empty_database.path.parent, "DATABASE_URL": server.url(name)}
        settings = settings_module.load({f"FLASK10X_{key}": str(v) for key, v in values.items()})
        few = Database(settings)
        with few.query() as connection:
            total = connection.exec_driver_sql("SELECT 0.1::float8 + 0.2::float8").scalar_one()
        few.close()
        assert total == 0.1 + 0.2
    finally:
        server.drop(name)
