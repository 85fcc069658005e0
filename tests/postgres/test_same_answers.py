"""The same readings give the same answers on both engines: pages, charts, tables, files."""

import json
import math
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from flask import Flask

from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.database import removed, schema
from flask10x.database.database import Database
from flask10x.database.removed import Removed
from flask10x.database.tables import readings as table
from flask10x.history import annotations, days, pages, rollups
from flask10x.history.annotations import WrittenNote
from flask10x.history.corrections import Correction
from flask10x.history.sums import Ids
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from flask10x.readings.times import DAY_MS, HOUR_MS
from flask10x.system import clock
from flask10x.web.app import create_app
from tests.support import compared_rollups, postgres
from tests.support.pages import WITH_STORE
from tests.support.rows import insert_readings

pytestmark = pytest.mark.tools

# Each process of the tests has one.
DATABASE = f"same_answers_{os.getpid()}"
# 2025-08-01 00:00:00 in Tokyo.
BEGIN = 1_753_974_000_000
DAYS, STEP_MS = 12, HOUR_MS
# Readings that no follower has taken yet.
LATER = 30
# A sum of SQLite is of doubles and corrects its rounding as it goes (Kahan, Babuska), one of
# PostgreSQL is of decimals: both are within a bit or two of the exact one. An average of changes,
# which add up to almost nothing, has fewer bits that are right; and what lies in the middle between
# two values that can be shown may be shown as either, which none of these does.
BITS, NOTHING = 4 * 2.0**-53, 1e-12
PATHS = (
    "/history/json?limit=300",
    "/history/json?order=asc&limit=40&endpoint=data2&endpoint=data4",
    "/history/json?limit=20&cursor=before:1754500000000:400",
    "/history/json?since=100&limit=50",
    "/history/json?limit=50&temperature__gte=27&raw=1",
    "/history/json?limit=50&temperature__gte=27&co2__lt=900",
    "/history/json?limit=50&co2__isnull=1&endpoint=data2",
    "/history/json?limit=50&temperature__lt=9223372036854775808&endpoint=data2",
    "/history/json?limit=50&incomplete=1",
    "/history/json?limit=50&dew_point__lt=12&order=asc",
    "/history/json?limit=50&dew_point__gte=12&discomfort_index__gt=70",
    "/history.csv?from=2025-08-05&to=2025-08-06&measurement=dew_point&measurement=temperature",
    "/history.json?from=2025-08-05&to=2025-08-06&temperature__eq=25",
    "/history/series",
    "/history/series?from=2025-08-05T00:00&to=2025-08-05T05:00",
    "/history/series?from=2025-08-05&to=2025-08-07&compare=day",
    "/history/series?from=2025-08-01&to=2025-09-10&buckets=20",
    "/history/series?from=2025-08-03&to=2025-08-10&buckets=100&raw=1",
    "/history/series?temperature__gte=27&endpoint=data2",
    "/history/series?measurement=dew_point&measurement=outdoor_difference",
    "/history/series?measurement=pressure_trend&from=2025-08-08&buckets=40",
    "/history/series?measurement=absolute_humidity&from=2025-08-05&to=2025-08-06&compare=week",
    "/records.csv?endpoint=data2&measurement=temperature&period=2025-08",
    "/records.csv?endpoint=data2&measurement=temperature&period=2025-08&above=27.5",
    "/records.csv?endpoint=data2&measurement=co2&period=2025&below=600",
    "/records.csv?endpoint=data&measurement=pressure&period=all",
    "/notes.json",
    "/notes.csv",
)
PAGES = (
    "/records?endpoint=data2&measurement=temperature&period=all&above=27.5",
    # Another one shows the address of the database.
    *(path for path in WITH_STORE if path != "/setup"),
)


class Both(NamedTuple):
    """An application on each engine, with the same readings."""

    sqlite: Flask
    postgres: Flask
    databases: tuple[Database, Database]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    if reason := postgres.obstacle():
        pytest.skip(reason)
    server = postgres.shared()
    server.drop(DATABASE)
    server.create(DATABASE)
    folders = [tmp_path_factory.mktemp(name) for name in ("sqlite", "postgres")]
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        # On a busy machine one of the pages would be short.
        patch.setattr(pages, "SEARCH_SEC", math.inf)
        stack.callback(server.drop, DATABASE)
        every = [_settings(folders[0]), _settings(folders[1], DATABASE_URL=server.url(DATABASE))]
        databases, apps = [], []
        for settings in every:
            schema.upgrade(settings)
            databases.append(Database(settings))
            stack.callback(databases[-1].close)
            _fill(settings, databases[-1])
            apps.append(create_app(settings))
            stack.callback(apps[-1].extensions["flask10x"].close)
        yield Both(apps[0], apps[1], (databases[0], databases[1]))


def _settings(folder: Path, **given: object) -> Settings:
    values = {"DATA_DIR": folder, "TIMEZONE": "Asia/Tokyo", "QUERY_TIMEOUT_SEC": 60} | given
    return settings_module.load({f"FLASK10X_{name}": str(v) for name, v in values.items()})


def _readings() -> Iterator[Reading]:
    """Half of them with values as sensors send them, half with all the bits that a float has."""
    chance = Random(15)
    for number in range(DAYS * DAY_MS // STEP_MS):
        at = BEGIN + number * STEP_MS
        digits = (1, 17)[number % 2]
        value = partial(_value, chance, digits)
        yield Reading("data", at, (value(990, 1030), value(20, 30)))
        co2 = None if number % 7 == 0 else value(400, 1200)
        inside = (co2, value(22, 29), value(30, 70), value(990, 1030), value(1000, 9000))
        yield Reading("data2", at + 1, inside)
        outside = (value(400, 700), value(100, 500), 1e-05, None, value(20, 30), value(30, 70))
        yield Reading("data4", at - 1, outside)


def _value(chance: Random, digits: int, low: float, high: float) -> float:
    return round(chance.uniform(low, high), digits)


def _fill(settings: Settings, database: Database) -> None:
    every = list(_readings())
    with database.commit() as connection:
        insert_readings(connection, every[:-LATER])
    while rollups.follow(BUILT_IN, database):
        pass
    while days.follow(BUILT_IN, database, settings.zone, rollups.save_at_once):
        pass
    _remove_first_hours(database)
    with database.commit() as connection:
        insert_readings(connection, every[-LATER:])
        for written in _written():
            annotations.add(connection, written)
    while rollups.apply_corrections(BUILT_IN, database):
        pass


def _remove_first_hours(database: Database) -> None:
    """As the retention does with the readings of two hours of `data`."""
    columns = BUILT_IN.by_endpoint["data"].columns
    of_first = (table.c.endpoint == "data", table.c.received_at < BEGIN + 2 * HOUR_MS)
    with database.commit() as connection:
        ids = list(connection.execute(table.select().where(*of_first)).scalars())
        for hour in (BEGIN // HOUR_MS, BEGIN // HOUR_MS + 1):
            gone = rollups.of_readings("data", columns, connection, hour, Ids(max(ids)))
            removed.keep_removed_hours(connection, gone)
        connection.execute(table.delete().where(*of_first))
        latest = BEGIN + 2 * HOUR_MS - STEP_MS
        removed.note_removed(connection, "data", Removed(max(ids), latest, len(ids)))


def _written() -> Iterator[WrittenNote | Correction]:
    at = BEGIN + 10 * DAY_MS + 12_345
    yield WrittenNote(endpoint=None, first_ms=at, last_ms=at, text="窓を拭いた", written_at=at)
    adjusted = ("data2", "temperature", at, at + 3 * DAY_MS, "adjust", 1.1, -2.05)
    hidden = ("data", None, at + DAY_MS, at + DAY_MS + 5 * HOUR_MS, "hide", None, None)
    for endpoint, name, first, last, kind, gain, offset in (adjusted, hidden):
        yield Correction(
            endpoint=endpoint,
            measurement=name,
            first_ms=first,
            last_ms=last,
            kind="hide" if kind == "hide" else "adjust",
            gain=gain,
            offset=offset,
            reason="動作確認",
            written_at=at,
        )


@pytest.mark.parametrize("path", PATHS)
def test_the_answer_is_the_same(both: Both, path: str) -> None:
    of_sqlite, of_postgres = _get(both.sqlite, path), _get(both.postgres, path)
    assert of_sqlite == _nearly(of_postgres)


@pytest.mark.parametrize("operator", ["gt", "gte", "lt", "lte"])
def test_corrected_values_are_compared_with_fractions(both: Both, operator: str) -> None:
    """Beside the whole numbers of a condition a limit of 22.3 became 22, and hours were missing."""
    found = 0
    for tenths in range(203, 340, 6):
        limit = f"temperature__{operator}={tenths / 10}"
        path = f"/history/json?endpoint=data2&limit=1000&{limit}"
        of_sqlite, of_postgres = _get(both.sqlite, path), _get(both.postgres, path)
        assert of_sqlite == _nearly(of_postgres), limit
        found += len(of_sqlite)
    assert found > 0


@pytest.mark.parametrize("path", PAGES)
def test_the_page_is_the_same(both: Both, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A page says of which minute it is.
    now_ms = clock.now_ms()
    monkeypatch.setattr(clock, "now_ms", lambda: now_ms)
    of_sqlite, of_postgres = (
        [re.sub(r'data-age="[0-9]+"', "", line) for line in _get(app, path)]
        for app in (both.sqlite, both.postgres)
    )
    assert of_sqlite == of_postgres


def test_all_roll_ups_are_what_the_readings_give(both: Both) -> None:
    for database in both.databases:
        looked = list(compared_rollups.hours(BUILT_IN, database))
        assert sum(one.compared for one in looked) > 3 * 24 * (DAYS - 1)
        assert not [one.differences for one in looked if one.differences]
        of_days = list(compared_rollups.of_days(BUILT_IN, database))
        assert sum(one.compared for one in of_days) >= 3 * DAYS
        assert not [one.differences for one in of_days if one.differences]


def _get(app: Flask, path: str) -> Any:
    answer = app.test_client().get(path)
    assert answer.status_code == 200, answer.text
    if answer.content_type.startswith("application/json"):
        return json.loads(answer.text)
    return answer.text.splitlines()


def _nearly(value: Any, *, is_average: bool = False) -> Any:
    """What equals it; averages, alone, but for their last bits."""
    if isinstance(value, dict):
        return {name: _nearly(one, is_average=name == "avg") for name, one in value.items()}
    if isinstance(value, list):
        return [_nearly(one, is_average=is_average) for one in value]
    return pytest.approx(value, rel=BITS, abs=NOTHING) if value and is_average else value
