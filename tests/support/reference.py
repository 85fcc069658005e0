"""A plain-Python reference for what the history answers, and questions to compare it by."""

import operator
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.database.paths import database_path
from flask10x.history.parameters import QueryDefaults, parse_query
from flask10x.history.query import Query
from flask10x.readings.parse import Reading
from tests.support import rows
from tests.support.databases import environment_of
from tests.support.new_database import lay_new_database

# 2025-08-24 10:46:40 in Tokyo, the zone of the tests.
T = 1_756_000_000_000

COLUMNS_OF = {
    "data": ["pressure", "temperature"],
    "data2": ["co2", "temperature", "humidity", "pressure", "gas_resistance"],
    "data3": ["temperature", "humidity", "pressure", "gas_resistance"],
    "data4": [
        *("co2", "analog_value", "voltage"),
        *("temperature_ds18b20", "temperature_dht11", "humidity_dht11"),
    ],
}


@dataclass
class Stored:
    id: int
    endpoint: str
    received_at: int
    cells: dict[str, float | None]

    @property
    def place(self) -> tuple[int, int]:
        return (self.received_at, self.id)


@dataclass
class Reference:
    settings: Settings
    database: Database
    stored: list[Stored]


def invented(count: int, pace_ms: int = 1000, times: int = 12) -> list[Reading]:
    """Readings with few distinct times and values, so that ties and matches are common.

    Their ids are in no order of time, as if many were late or imported.
    """
    chance = random.Random(7)
    readings = []
    for _ in range(count):
        name = chance.choice(list(COLUMNS_OF))
        values = [chance.choice([None, 0.0, 1.0, 2.5, -1.0]) for _ in COLUMNS_OF[name]]
        readings.append(Reading(name, T + pace_ms * chance.randrange(times), tuple(values)))
    return readings


@contextmanager
def stored_in(folder: Path, count: int = 120) -> Iterator[Reference]:
    """A database in the folder that holds that many invented readings, and the same as a list."""
    with empty_in(folder) as found:
        store(found, invented(count))
        yield found


@contextmanager
def empty_in(folder: Path) -> Iterator[Reference]:
    """A database in the folder without readings."""
    settings = settings_module.load({**environment_of(folder), "FLASK10X_TIMEZONE": "Asia/Tokyo"})
    lay_new_database(database_path(settings))
    database = Database(settings)
    yield Reference(settings, database, [])
    database.close()


def store(reference: Reference, readings: list[Reading]) -> None:
    """Store the readings in the database and in the list."""
    with reference.database.commit() as connection:
        rows.insert_readings(connection, readings)
    reference.stored += [
        Stored(
            number,
            r.endpoint,
            r.received_at,
            dict(zip(COLUMNS_OF[r.endpoint], r.values, strict=True)),
        )
        for number, r in enumerate(readings, len(reference.stored) + 1)
    ]


COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "eq": operator.eq,
}


def holds(row: Stored, name: str, text: str) -> bool:
    column, key = name.split("__")
    value = row.cells.get(column)
    if key == "isnull":
        return (value is None) == (text == "1")
    return value is not None and COMPARE[key](value, float(text))


def is_incomplete(row: Stored, chosen: list[str]) -> bool:
    return any(
        value is None and (not chosen or column in chosen) for column, value in row.cells.items()
    )


def matching(stored: list[Stored], parameters: dict[str, Any]) -> list[Stored]:
    """The rows that the parameters ask for, in the order (received_at, id)."""
    rows = sorted(stored, key=lambda row: row.place)
    chosen = parameters.get("measurement", [])
    if chosen:
        rows = [row for row in rows if set(chosen) & set(row.cells)]
    if "incomplete" in parameters:
        rows = [row for row in rows if is_incomplete(row, chosen)]
    for name, value in parameters.items():
        if name == "endpoint":
            rows = [row for row in rows if row.endpoint in value]
        elif name == "from":
            rows = [row for row in rows if row.received_at >= T + 1000 * value]
        elif name == "to":
            rows = [row for row in rows if row.received_at <= T + 1000 * value + 999]
        elif "__" in name:
            rows = [row for row in rows if holds(row, name, value)]
    return rows


def pairs_of(parameters: dict[str, Any]) -> list[tuple[str, str]]:
    pairs = [
        (name, one) for name in ("endpoint", "measurement") for one in parameters.get(name, [])
    ]
    if "incomplete" in parameters:
        pairs.append(("incomplete", "1"))
    for name in ("from", "to"):
        if name in parameters:
            # T is 2025-08-24 10:46:40 in Tokyo.
            pairs.append((name, f"2025-08-24 10:46:{40 + parameters[name]:02d}"))
    return pairs + [(name, value) for name, value in parameters.items() if "__" in name]


def no_later_than(parameters: dict[str, Any]) -> bool:
    return int(parameters.get("from", 0)) <= int(parameters.get("to", 99))


NUMBERS = st.sampled_from(["-1", "0", "1", "2.5", "2", "99"])
OPTIONS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "endpoint": st.lists(st.sampled_from(list(COLUMNS_OF)), min_size=1, unique=True),
        "measurement": st.lists(
            st.sampled_from(["co2", "temperature", "voltage", "humidity_dht11"]),
            min_size=1,
            unique=True,
        ),
        "incomplete": st.just("1"),
        "from": st.integers(0, 13),
        "to": st.integers(0, 13),
        "temperature__gt": NUMBERS,
        "temperature__lte": NUMBERS,
        "co2__gte": NUMBERS,
        "humidity__eq": NUMBERS,
        "voltage__lt": NUMBERS,
        "voltage__isnull": st.sampled_from(["0", "1"]),
        "gas_resistance__isnull": st.sampled_from(["0", "1"]),
    },
)
PARAMETERS = OPTIONS.filter(no_later_than)
ORDERS = st.sampled_from([None, "asc", "desc"])


def question(
    reference: Reference, parameters: dict[str, Any], view: QueryDefaults, **more: object
) -> Query:
    extra = [(name, str(value)) for name, value in more.items() if value is not None]
    return parse_query(pairs_of(parameters) + extra, reference.settings, T, view)
