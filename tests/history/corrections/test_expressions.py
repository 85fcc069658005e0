"""Corrected values in SQL are those of `Corrections.shown`, in expressions that stay short."""

import random
import re
import sqlite3

from sqlalchemy import Integer, Select, column, select
from sqlalchemy.dialects.sqlite import dialect

from flask10x.history.corrections import Correction, Corrections, resolved
from flask10x.history.statements import shown_value


def written(*entries: tuple[int, int | None, float | None]) -> Corrections:
    """Of `data.pressure`, each from, to, and an offset or None for hidden."""
    return resolved(
        tuple(
            Correction("data", "pressure", low, high, "hide", id=number)
            if offset is None
            else Correction("data", "pressure", low, high, "adjust", 1.0, offset, id=number)
            for number, (low, high, offset) in enumerate(entries)
        )
    )


def sql_of(corrections: Corrections) -> str:
    value, at = column("value", Integer), column("at", Integer)
    found: Select[tuple[object]] = select(
        shown_value(value, at, corrections.of("data", "pressure"))
    )
    return str(found.compile(dialect=dialect(), compile_kwargs={"literal_binds": True}))


def test_each_moment_is_shown_as_the_corrections_say() -> None:
    chance = random.Random(3)
    for _ in range(40):
        entries = []
        for _ in range(12):
            low = chance.randrange(60)
            high = low + chance.choice((0, 0, 1, 5, 30))
            entries.append((low, high, chance.choice((None, None, 1.5, -2.0))))
        corrections = written(*entries, (20, None, 0.25))
        statement = sql_of(corrections)
        with sqlite3.connect(":memory:") as connection:
            for at in range(100):
                (found,) = connection.execute(
                    f"{statement} FROM (SELECT 7 AS value, {at} AS at)"
                ).fetchone()
                assert found == corrections.shown("data", "pressure", at, 7)
        connection.close()


def test_hidden_readings_do_not_divide_an_offset() -> None:
    alone = sql_of(written((0, None, 0.5)))
    hidden = sql_of(written((0, None, 0.5), *((10 * n, 10 * n, None) for n in range(1, 200))))
    assert alone.count("0.5") == hidden.count("0.5") == 1
    assert hidden.count("THEN NULL") == 1


def test_a_reading_is_compared_with_few_of_the_corrections() -> None:
    hidden = sql_of(written((0, None, 0.5), *((10 * n, 10 * n, None) for n in range(1, 200))))
    depths, depth = [0], 0
    for word in re.findall(r"CASE WHEN|END", hidden):
        depth += 1 if word == "CASE WHEN" else -1
        depths.append(depth)
    # Of 400 ends each comparison leaves a half.
    assert max(depths) == 9
