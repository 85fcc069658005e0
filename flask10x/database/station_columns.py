"""What the stations of an installation need in its database: columns, views, roll-ups that fit.

A column is only ever added: what a former station has sent stays, and its views with it. Each
station has two views, for people at a shell and for Grafana and the like; a view of that name that
another program has made stays. Nothing here is written when nothing is missing, so a start only
looks.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache, partial
from itertools import product
from zlib import crc32

from sqlalchemy import (
    Connection,
    bindparam,
    delete,
    insert,
    literal,
    null,
    or_,
    select,
    tuple_,
    update,
)

from flask10x.database import counters as totals
from flask10x.database import dialects, removed
from flask10x.database.database import Database
from flask10x.database.expressions import unindexed, upsert
from flask10x.database.insert import existing_columns
from flask10x.database.tables import (
    NUMBER,
    counters,
    followers,
    measurement,
    readings,
    rollup_days,
    rollup_zone,
    rollups,
)
from flask10x.readings.stations import BUILT_IN, Stations

# The counter that holds for which stations the roll-ups are; a database without it was never used
# with others than the built-in ones.
ROLLED_UP = "rollups.stations"

# The roll-ups of hours and those of days.
_ROLLUP_TABLES = (rollups, rollup_days)

# The views of each station, by what their names begin with; the measurements follow.
_VIEWS = {
    # As in the first migration: in the time zone of the session.
    "v_": "SELECT id, {local_time} AS time, ",
    # For Grafana and others that want seconds. A condition on `received_at` finds the index, one on
    # `time` does not (docs/decisions/0030).
    "epoch_": "SELECT id, received_at / 1000 AS time, received_at, ",
}


def missing_columns(connection: Connection, stations: Stations) -> list[str]:
    """The columns of these stations that `readings` lacks, in their order."""
    existing = existing_columns(connection)
    return [name for name in stations.columns if name not in existing]


def fits(connection: Connection, stations: Stations) -> bool:
    """Whether the database has all that these stations need."""
    return (
        not missing_columns(connection, stations)
        and not stale_views(connection, stations)
        and rollups_fit(connection, stations)
    )


def add_missing(database: Database, stations: Stations) -> list[str]:
    """Add the columns that `readings` lacks; their names. To be called while a service runs, too.

    SQLite reads the whole table for each of them (docs/decisions/0004). So each is a transaction of
    its own: other commits come in between. Raises LockTimeout or sqlalchemy.exc.DBAPIError; what
    was added before stays.
    """
    with database.reader.begin() as connection:
        missing = missing_columns(connection, stations)
    add(database, missing)
    return missing


def add(database: Database, names: Iterable[str]) -> None:
    """Add these columns, each in a transaction of its own; one that is there stays as it is.

    Raises as `add_missing` does.
    """
    for name in names:
        database.commit_change(partial(_add, name=name))


def fit(database: Database, stations: Stations) -> list[str]:
    """Add and change all that `fits` looks for; the columns that were added.

    Before the first reading of a new station is stored. Raises as `add_missing` does.
    """
    added = add_missing(database, stations)
    database.commit_change(partial(_fit, stations=stations))
    return added


def rollups_fit(connection: Connection, stations: Stations) -> bool:
    """Whether the roll-ups are those of these stations, each with these measurements.

    Until they do, a process with these stations neither updates nor reads them.
    """
    return is_mark_of(totals.value_of(connection, ROLLED_UP), stations)


def is_mark_of(value: int, stations: Stations) -> bool:
    """The same by the value of the counter ROLLED_UP, 0 where there is none."""
    return (value or mark(BUILT_IN)) == mark(stations)


def _add(connection: Connection, name: str) -> None:
    # Another process may have added it since.
    if name not in existing_columns(connection):
        quoted = dialects.statements_of(connection).quote(name)
        number = NUMBER.compile(dialect=connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE readings ADD COLUMN {quoted} {number}")


def _fit(connection: Connection, stations: Stations) -> None:
    engine = dialects.statements_of(connection)
    for name, (old, new) in stale_views(connection, stations).items():
        engine.make_view(connection, name, new, replaces=bool(old))
    if not rollups_fit(connection, stations):
        _fit_rollups(connection, stations)
        statement = upsert(counters)
        connection.execute(statement.values(name=ROLLED_UP, value=mark(stations)))


@lru_cache(maxsize=8)
def mark(stations: Stations) -> int:
    """A number for the measurements of all these stations; never 0."""
    pairs = sorted(f"{s.endpoint} {name}" for s in stations.all for name in s.columns)
    return crc32("\n".join(pairs).encode()) + 1


def _fit_rollups(connection: Connection, stations: Stations) -> None:
    """Give each station the roll-ups of its measurements, and forget those of others.

    A column without a value needs no reading. For another one the follower recomputes
    all roll-ups: it has one position for all stations.
    """
    for endpoint, name in ((s.endpoint, name) for s in stations.all for name in s.columns):
        removed.fill_removed_hours(connection, endpoint, name)
    rolled_up: defaultdict[str, set[str]] = defaultdict(set)
    for endpoint, name in _pairs(connection):
        rolled_up[endpoint].add(name)
    for endpoint, names in rolled_up.items():
        station = stations.by_endpoint.get(endpoint)
        gone = names.difference(station.columns if station else ())
        for name, table in product(gone, _ROLLUP_TABLES):
            of_one = table.c.endpoint == endpoint, table.c.measurement == name
            connection.execute(delete(table).where(*of_one))
    for station in stations.all:
        present = rolled_up[station.endpoint].intersection(station.columns)
        lacking = set(station.columns) - present
        if not lacking or not _is_rolled_up(connection, station.endpoint):
            continue
        has_values = _is_rolled_up(connection, station.endpoint, lacking) or (
            removed.have_values(connection, station.endpoint, lacking)
        )
        if not present or has_values:
            for table in _ROLLUP_TABLES:
                connection.execute(delete(table))
            connection.execute(delete(rollup_zone))
            removed.restore_removed_hours(connection)
            of_rollups = update(followers).where(followers.c.name == rollups.name)
            connection.execute(of_rollups.values(last_id=0))
            return
        for name in lacking:
            _fill(connection, station.endpoint, name, min(present))


def _pairs(connection: Connection) -> Iterator[tuple[str, str]]:
    """Yield the endpoint and the name of each measurement that has roll-ups.

    One after the other is found: SQLite would read the whole table for a DISTINCT.
    """
    place = tuple_(rollups.c.endpoint, rollups.c.measurement)
    following = (
        select(rollups.c.endpoint, rollups.c.measurement)
        .where(place > tuple_(bindparam("endpoint"), bindparam("measurement")))
        .order_by(rollups.c.endpoint, rollups.c.measurement)
        .limit(1)
    )
    last = {"endpoint": "", "measurement": ""}
    while row := connection.execute(following, last).one_or_none():
        last = {"endpoint": row[0], "measurement": row[1]}
        yield row[0], row[1]


def _is_rolled_up(connection: Connection, endpoint: str, names: Collection[str] = ()) -> bool:
    """Whether the follower has passed a reading of this station, or one with a value of these."""
    # The follower has the name of its table.
    position = select(followers.c.last_id).where(followers.c.name == rollups.name)
    query = (
        select(readings.c.id)
        .where(readings.c.endpoint == endpoint)
        .where(unindexed(readings.c.id) <= position.scalar_subquery())
    )
    if names:
        query = query.where(or_(*(measurement(name).is_not(None) for name in names)))
    return connection.execute(query.limit(1)).first() is not None


def _fill(connection: Connection, endpoint: str, name: str, like: str) -> None:
    """The roll-ups of a measurement without a value, in each hour and day that another one has."""
    for table, time in ((rollups, rollups.c.hour), (rollup_days, rollup_days.c.day)):
        empty = select(
            *(table.c.endpoint, literal(name), time, table.c.readings),
            *(literal(0), literal(0.0), null(), null()),
        )
        rows = empty.where(table.c.endpoint == endpoint, table.c.measurement == like)
        connection.execute(insert(table).from_select(table.c.keys(), rows))


def stale_views(connection: Connection, stations: Stations) -> dict[str, tuple[str, str]]:
    """The views to make: by name their present statement, empty without one, and the new one."""
    engine = dialects.statements_of(connection)
    existing = engine.views(connection)
    stale = {}
    for station in stations.all:
        columns = []
        for measured in station.measurements:
            path, column = measured.path, engine.quote(measured.column)
            # Named by its path; by its column if that is too long for a name.
            fits_a_name = engine.NAME_BYTES is None or len(path.encode()) <= engine.NAME_BYTES
            is_renamed = path != measured.column and fits_a_name
            columns.append(f"{column} AS {engine.quote(path)}" if is_renamed else column)
        rest = f"{', '.join(columns)} FROM readings WHERE endpoint = '{station.endpoint}'"
        for prefix, selected in _VIEWS.items():
            name = f"{prefix}{station.endpoint}"
            selects = selected.format(local_time=engine.LOCAL_TIME)
            # A view that begins otherwise is not ours.
            ours = f"CREATE VIEW {engine.quote(name)} AS {selects}"
            old = existing.get(name)
            if old != ours + rest and (old is None or old.startswith(ours)):
                stale[name] = old or "", ours + rest
    return stale
