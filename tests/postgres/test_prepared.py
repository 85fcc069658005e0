"""On PostgreSQL what a query asks again with other values is planned once in each session."""

from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    Connection,
    Select,
    Text,
    bindparam,
    column,
    func,
    literal_column,
    select,
    table,
)

from flask10x.database.database import Database
from flask10x.database.error_codes import QueryTooLong
from flask10x.database.postgres import driver
from flask10x.database.postgres.statements import rows_together
from tests.support import postgres

NUMBER = select(bindparam("number", type_=BigInteger) + 1)
NAME = select(bindparam("text", type_=Text).like("a%") & literal_column("'%' = '%'"))
PREPARED = "SELECT count(*) FROM pg_prepared_statements"


def prepared_in(connection: Connection) -> int:
    return int(connection.exec_driver_sql(PREPARED).scalar_one())


def ask(connection: Connection, number: int | None, text: str = "abc") -> list[Any]:
    rows = rows_together(connection, [(NUMBER, {"number": number}), (NAME, {"text": text})])
    return [value for ((value,),) in rows]


def test_it_is_prepared_once_and_answers_for_all_values(empty_database: Database) -> None:
    with empty_database.query() as connection:
        assert ask(connection, -7) == [-6, True]
        assert ask(connection, 2**40, "%") == [2**40 + 1, False]
    with empty_database.query() as connection:
        assert ask(connection, 0, "a'%s\\") == [1, True]
        assert prepared_in(connection) == 2
        generic = "SELECT sum(generic_plans) >= 5, sum(custom_plans) FROM pg_prepared_statements"
        assert connection.exec_driver_sql(generic).one() == (True, 0)


def test_a_value_keeps_its_type(empty_database: Database) -> None:
    """Not the one that the server would find: beside a whole number another one."""
    highest = select(func.greatest(bindparam("value"), literal_column("1")))
    with empty_database.query() as connection:
        for value in (1.25, 2, 1.5, None):
            asked = rows_together(connection, [(highest, {"value": value})])
            assert asked == [[(value or 1,)]]
        assert prepared_in(connection) == 2
        # These have no type that is known, and go as they are.
        assert rows_together(connection, [(NUMBER, {"number": Decimal(7)})]) == [[(8,)]]
        is_null: Select[Any] = select(bindparam("value").is_(None))
        assert rows_together(connection, [(is_null, {"value": None})]) == [[(True,)]]
        assert prepared_in(connection) == 2


def test_values_go_by_their_names(empty_database: Database) -> None:
    with empty_database.query() as connection:
        session = driver.connection_of(connection)
        for values in ({"a": 5, "b": 3}, {"b": 3, "a": 5}):
            statement, given = session.prepared("SELECT %(a)s - %(b)s", values)
            with closing(session.cursor()) as cursor:
                assert cursor.execute(statement.encode(), given).fetchall() == [(2,)]


def test_without_a_limit_of_time_nothing_is_prepared(empty_database: Database) -> None:
    """Its settings are others, and a plan would keep them."""
    with empty_database.reader.begin() as connection:
        assert ask(connection, 1) == [2, True]
        assert prepared_in(connection) == 0


def test_after_a_text_that_failed_all_is_prepared_again(empty_database: Database) -> None:
    with empty_database.query() as connection:
        ask(connection, 1)
    with pytest.raises(QueryTooLong), empty_database.query() as connection:
        rows_together(connection, [(NUMBER, {"number": 1}), (select(func.pg_sleep(60)), {})])
    with empty_database.query() as connection:
        assert ask(connection, 1) == [2, True]
        assert prepared_in(connection) == 2


def test_what_was_never_sent_is_not_taken_for_prepared(empty_database: Database) -> None:
    unknown: Any = object()
    with pytest.raises(Exception, match="adapt"), empty_database.query() as connection:
        rows_together(connection, [(NUMBER, {"number": 1}), (NAME, {"text": unknown})])
    with empty_database.query() as connection:
        assert ask(connection, 1) == [2, True]


def test_a_session_keeps_no_more_than_so_many(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "MOST_PREPARED_CHARS", 100)
    with empty_database.query() as connection:
        for number in range(40):
            statement = select(bindparam("number", type_=BigInteger).label(f"n{number}"))
            pair = [(statement, {"number": number}), (NUMBER, {"number": number})]
            assert rows_together(connection, pair) == [[(number,)], [(number + 1,)]]
            assert prepared_in(connection) <= 3


def test_it_is_planned_again_once_a_view_is_another_one(empty_database: Database) -> None:
    """As that of a station that gets a measurement."""
    statement: Select[Any] = select(column("value")).select_from(table("prepared_view"))
    with postgres.shared().connect() as admin:
        for value in (1, 2):
            admin.execute("DROP VIEW IF EXISTS prepared_view")
            admin.execute(
                f"CREATE VIEW prepared_view AS SELECT 0 AS other, {value} AS value".encode()
            )
            with empty_database.query() as connection:
                assert rows_together(connection, [(statement, {})]) == [[(value,)]]
        admin.execute("DROP VIEW prepared_view")
