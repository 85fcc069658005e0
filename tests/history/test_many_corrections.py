"""Many corrected pieces are read in few statements, and give what each gives by itself."""

import random
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event

from flask10x.config import settings as settings_module
from flask10x.config.settings import Settings
from flask10x.database import station_columns
from flask10x.database.database import Database
from flask10x.database.insert import insert_rows, row_of
from flask10x.database.paths import database_path
from flask10x.history import charts, days, rollups
from flask10x.history.buckets import Bucket
from flask10x.history.corrections import NONE, Corrections, Segment, WrittenCorrection, resolved
from flask10x.history.parameters import SERIES, parse_query
from flask10x.history.query import Query
from flask10x.history.view import View
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from flask10x.readings.times import DAY_MS, HOUR_MS
from tests.conftest import MakeSettings
from tests.support.corrections import correct, corrected_view
from tests.support.databases import environment_of
from tests.support.new_database import lay_new_database
from tests.support.rows import insert_readings

LENGTH = 200 * DAY_MS
# Two with a change of the clock within these days, of an hour and of half an hour.
ZONES = ("Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe")
Sums = dict[tuple[str, int], tuple[int, float, float | None, float | None]]
Stored = tuple[Settings, Database, int, list[Reading]]


@pytest.fixture(scope="module", params=ZONES)
def stored(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stored]:
    """200 days of `/data`, the last readings not rolled up; not to be changed."""
    folder = tmp_path_factory.mktemp("many")
    variables = {**environment_of(folder), "FLASK10X_TIMEZONE": request.param}
    settings = settings_module.load(variables)
    zone = ZoneInfo(request.param)
    lay_new_database(database_path(settings))
    start = int(datetime(2025, 2, 1, tzinfo=zone).timestamp() * 1000)
    chance = random.Random(7)
    values = ((chance.uniform(900, 1100), chance.uniform(-10, 30)) for _ in range(500))
    readings = [Reading("data", start + chance.randrange(LENGTH), own) for own in values]
    with closing(Database(settings)) as database:
        with database.commit() as connection:
            insert_readings(connection, readings[:470])
        while rollups.follow(BUILT_IN, database):
            pass
        while days.follow(BUILT_IN, database, zone, rollups.save_at_once):
            pass
        with database.commit() as connection:
            insert_readings(connection, readings[470:])
        yield settings, database, start, readings


def some_corrections(chance: random.Random, start: int, readings: list[Reading]) -> Corrections:
    """Hidden readings, ranges of any length, whole hours and days, gains and offsets."""
    half = start + LENGTH // 2
    written = [WrittenCorrection(0, "data", "temperature", half, None, "adjust", 1.0, -0.8)]
    for number in range(1, 26):
        low = start + chance.randrange(LENGTH)
        kind, column = chance.choice(
            (("hide", None), ("hide", "pressure"), ("adjust", "temperature"))
        )
        if chance.random() < 0.5:
            low = high = chance.choice(readings).received_at
        elif chance.random() < 0.5:
            low = low // HOUR_MS * HOUR_MS
            high = low + chance.choice((1, 24, 30)) * HOUR_MS - 1
        else:
            high = low + chance.randrange(3 * DAY_MS)
        gain, offset = (
            (chance.uniform(0.5, 2), chance.uniform(-5, 5)) if kind == "adjust" else (None, None)
        )
        written.append(WrittenCorrection(number, "data", column, low, high, kind, gain, offset))
    return resolved(tuple(written))


def query_of(settings: Settings, start: int, text: str) -> Query:
    pairs = [(name, value) for name, _, value in (p.partition("=") for p in text.split("&"))]
    return parse_query(pairs, settings, start, SERIES)


def sums_of(found: charts.Chart) -> Sums:
    return {
        (line.measurement.column, place): (b.count, b.total, b.minimum, b.maximum)
        for line in found.lines
        for place, b in line.buckets.items()
    }


def one_by_one(database: Database, query: Query, corrections: Corrections) -> Sums:
    """Each piece a chart of its own, corrected then: slow, and plain."""
    added: dict[tuple[str, int], Bucket] = {}
    with database.reader.begin() as connection:
        window = charts.chart(corrected_view(connection, query.registry, NONE), query).window
        assert window is not None
        for column in ("pressure", "temperature"):
            chosen = replace(query, measurements=(column,))
            for piece in corrections.segments("data", column, window.first_ms, window.last_ms):
                if not piece.hidden:
                    own = replace(window, first_ms=piece.first_ms, last_ms=piece.last_ms)
                    add_chart(
                        added,
                        charts.chart(
                            corrected_view(connection, chosen.registry, NONE), chosen, own
                        ),
                        piece,
                        window.place,
                    )
    return {key: (b.count, b.total, b.minimum, b.maximum) for key, b in added.items()}


def add_chart(
    added: dict[tuple[str, int], Bucket],
    found: charts.Chart,
    piece: Segment,
    place_of: Callable[[int], int],
) -> None:
    assert found.window is not None
    for line in found.lines:
        for place, bucket in line.buckets.items():
            ms = max(found.window.starts[place], found.window.first_ms)
            key = (line.measurement.column, place_of(ms))
            added.setdefault(key, Bucket()).add(*bucket.adjusted(piece.gain, piece.offset))


@pytest.mark.parametrize(
    "text",
    ["buckets=600", "buckets=150", "buckets=30", "buckets=8", "buckets=600&temperature__gte=-100"],
)
def test_all_pieces_together_give_what_each_gives(stored: Stored, text: str) -> None:
    settings, database, start, readings = stored
    query = query_of(settings, start, f"endpoint=data&{text}")
    corrections = some_corrections(random.Random(text), start, readings)
    if query.filters:
        # The same readings by another way: no roll-ups.
        corrections = Corrections(corrections.by_measurement)
    with database.reader.begin() as connection:
        found = sums_of(
            charts.chart(corrected_view(connection, query.registry, corrections), query)
        )
    wanted = one_by_one(database, query, corrections)
    assert found.keys() == wanted.keys()
    for key, (count, *rest) in wanted.items():
        assert found[key][0] == count
        assert found[key][1:] == pytest.approx(rest, rel=1e-9, abs=1e-9)


def test_more_pieces_take_no_more_statements(stored: Stored) -> None:
    settings, database, start, readings = stored
    query = query_of(settings, start, "endpoint=data&buckets=600")
    statements: list[str] = []
    event.listen(database.reader, "before_cursor_execute", lambda *args: statements.append(args[2]))
    taken = []
    for many in (20, 200):
        hidden = sorted(one.received_at for one in readings[:many])
        pieces = tuple(Segment(ms, ms, hidden=True) for ms in dict.fromkeys(hidden))
        statements.clear()
        with database.reader.begin() as connection:
            charts.chart(
                corrected_view(connection, query.registry, Corrections({}, {"data": pieces})), query
            )
        taken.append(len(statements))
    assert max(taken) < 30


def test_more_columns_may_be_corrected_than_a_statement_has_parts(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    rooms, columns = 64, 8
    lines = []
    for room in range(rooms):
        lines.append(f'[stations.room{room}]\nlabel = "Room"\ncsv_file = "Room{room}.csv"')
        lines += [
            f'[stations.room{room}.measurements.m{n}]\nunit = "x"\nminimum = 0\nmaximum = 9'
            for n in range(columns)
        ]
    (tmp_path / "stations.toml").write_text("\n".join(lines), encoding="utf-8")
    settings = make_settings(DATA_DIR=tmp_path)
    lay_new_database(database_path(settings))
    own = settings.stations.all[-rooms:]
    start = 1_755_961_200_000
    with closing(Database(settings)) as database:
        station_columns.fit(database, settings.stations)
        with database.commit() as connection:
            ms_of = [(station, start + n) for station in own for n in (0, 600_000)]
            readings = [Reading(each.endpoint, ms, (1.0,) * columns) for each, ms in ms_of]
            rows = [row_of(settings.stations, reading) for reading in readings]
            insert_rows(connection, settings.stations, rows)
            for number, (station, column) in enumerate((s, c) for s in own for c in s.columns):
                correct(connection, station.endpoint, column, start, start + number, offset=1.0)
        query = query_of(settings, start, "from=2025-08-23&to=2025-08-25&m0__gte=0")
        with database.query() as connection:
            chart = charts.chart(View(connection, settings.stations), query)
    totals = [sum(bucket.total for bucket in line.buckets.values()) for line in chart.lines]
    assert totals == [3.0] * rooms * columns
