"""On PostgreSQL what a page asks goes to the server as one text, each value with its type."""

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import (
    BigInteger,
    Connection,
    Select,
    Text,
    bindparam,
    func,
    literal_column,
    select,
)

from flask10x.database.database import Database
from flask10x.database.error_codes import QueryTooLong
from flask10x.database.postgres.statements import rows_together

NUMBER = select(bindparam("number", type_=BigInteger) + 1)
NAME = select(bindparam("text", type_=Text).like("a%") & literal_column("'%' = '%'"))


def ask(connection: Connection, number: int | None, text: str = "abc") -> list[Any]:
    rows = rows_together(connection, [(NUMBER, {"number": number}), (NAME, {"text": text})])
    return [value for ((value,),) in rows]


def test_it_answers_for_all_values(empty_database: Database) -> None:
    with empty_database.query() as connection:
        assert ask(connection, -7) == [-6, True]
        assert ask(connection, 2**40, "%") == [2**40 + 1, False]
        assert ask(connection, 0, "a'%s\\") == [1, True]


def test_a_value_keeps_its_type(empty_database: Database) -> None:
    """Not that of what is beside it, a whole number."""
    highest = select(func.greatest(bindparam("value"), literal_column("1")))
    with empty_database.query() as connection:
        for value in (1.25, 2, 1.5, None):
            asked = rows_together(connection, [(highest, {"value": value})])
            assert asked == [[(value or 1,)]]
        assert rows_together(connection, [(NUMBER, {"number": Decimal(7)})]) == [[(8,)]]
        is_null: Select[Any] = select(bindparam("value").is_(None))
        assert rows_together(connection, [(is_null, {"value": None})]) == [[(True,)]]


def test_after_a_text_that_failed_the_next_one_is_answered(empty_database: Database) -> None:
    unknown: Any = object()
    with pytest.raises(Exception, match="adapt"), empty_database.query() as connection:
        rows_together(connection, [(NUMBER, {"number": 1}), (NAME, {"text": unknown})])
    with pytest.raises(QueryTooLong), empty_database.query() as connection:
        rows_together(connection, [(NUMBER, {"number": 1}), (select(func.pg_sleep(60)), {})])
    with empty_database.query() as connection:
        assert ask(connection, 1) == [2, True]
