"""What a house has to have, kept beside it: nothing here asks the program.

Each reading carries a number of its own in one of its values. So a row of the table, a line of a
CSV file and a reading of an answer can be told from all others.
"""

import csv
import io
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Tokyo")
# The value that carries the number, how it is made of it, and the headings of each station's file.
NUMBERED = {"data": "pressure", "data2": "gas_resistance"}
BASE_HPA, HPA = 500.0, 0.01
HEADINGS = {
    "Pressure": "pressure",
    "Tempereture": "temperature",
    "CO2": "co2",
    "Humidity": "humidity",
    "GasResistance": "gas_resistance",
}
COLUMNS = {
    "data": ("pressure", "temperature"),
    "data2": ("co2", "temperature", "humidity", "pressure", "gas_resistance"),
}
# Those of the station of `stations.toml`, whatever it is called.
OWN_COLUMNS = ("pulse", "temperature", "humidity")

Cells = dict[str, float | None]


class Broken(AssertionError):
    """A promise that was broken: the promise up to the first colon, then what was found."""


@dataclass(frozen=True, slots=True)
class Row:
    """A reading as it has to be stored."""

    endpoint: str
    at_ms: int
    """When it was received or measured, in UTC epoch milliseconds."""
    cells: Mapping[str, float | None]
    by_import: bool = False

    def line(self, headings: Iterable[str]) -> str:
        """Return its line in a CSV file with these headings, without the end of the line."""
        at = datetime.fromtimestamp(self.at_ms // 1000, ZONE)
        cells = (self.cells.get(HEADINGS.get(heading, heading)) for heading in headings)
        return ",".join([f"{at:%Y-%m-%d %H:%M:%S}", *("" if c is None else str(c) for c in cells)])


def cells_of(endpoint: str, number: int, *, is_humid: bool = True) -> Cells:
    """Return the values of the reading with this number."""
    temperature = 15.0 + number % 40 / 4
    if endpoint == "data":
        return {"pressure": round(BASE_HPA + number * HPA, 2), "temperature": temperature}
    if endpoint == "data2":
        humidity = 52.0 if number % 5 else None
        common = {"co2": 600.0 + number % 7, "temperature": temperature, "humidity": humidity}
        return {**common, "pressure": 1013.2, "gas_resistance": float(number)}
    own: Cells = {"pulse": float(number), "temperature": temperature}
    return {**own, "humidity": 40.0 + number % 9} if is_humid else own


def number_of(cells: Mapping[str, float | None]) -> int:
    """Return the number that these values carry."""
    for name in ("pulse", "gas_resistance"):
        if (value := cells.get(name)) is not None:
            return int(value)
    pressure = cells.get("pressure")
    if pressure is None:
        raise Broken(f"a reading that nobody sent: {cells}")
    return round((pressure - BASE_HPA) / HPA)


@dataclass
class Model:
    """What is in the database: a backup of it is a copy, a restore the copy in its place."""

    rows: dict[int, Row] = field(default_factory=dict)
    removed: dict[int, Row] = field(default_factory=dict)
    """Readings that retention has removed; charts still have them."""
    refused: dict[int, Row] = field(default_factory=dict)
    """Readings that are kept as rejected, and are good once the limit is higher."""
    keyed: dict[int, str] = field(default_factory=dict)
    """The stations of readings that were sent with a key."""
    corrections: dict[str, tuple[float, float] | None] = field(default_factory=dict)
    """Gain and offset of a station's temperature, or None where it is hidden."""

    def copy(self) -> "Model":
        return deepcopy(self)

    def check_rows(self, database: Path) -> None:
        """Each acknowledged reading is stored once, with its time and values, and no other one."""
        found = stored(database)
        doubled = [number for number, rows in found.items() if len(rows) > 1]
        if doubled:
            number = doubled[0]
            raise Broken(f"a reading is stored once: {len(doubled)} twice, as {found[number]}")
        if lost := self.rows.keys() - found.keys():
            raise Broken(f"an acknowledged reading is stored: {len(lost)} are not, {sorted(lost)}")
        if strange := found.keys() - self.rows.keys():
            raise Broken(f"only what was acknowledged is stored: also {sorted(strange)}")
        for number, (row,) in found.items():
            if row != (expected := self.plain(number)):
                raise Broken(f"a reading is stored as it was sent: {row}, sent {expected}")

    def plain(self, number: int) -> Row:
        """Return the row as the table has it: without values that are missing."""
        row = self.rows[number]
        cells = {name: value for name, value in row.cells.items() if value is not None}
        return Row(row.endpoint, row.at_ms, cells)

    def shown(self, endpoint: str) -> list[Row]:
        """Return the station's stored readings, as they are corrected."""
        return [self._corrected(row) for row in self.rows.values() if row.endpoint == endpoint]

    def sums(self, endpoint: str) -> dict[str, tuple[int, float, float, float]]:
        """Return count, total, least and greatest value of each measurement, removed ones too."""
        values: dict[str, list[float]] = defaultdict(list)
        for row in (*self.rows.values(), *self.removed.values()):
            if row.endpoint == endpoint:
                for name, value in self._corrected(row).cells.items():
                    if value is not None:
                        values[name].append(value)
        return {n: (len(v), sum(v), min(v), max(v)) for n, v in values.items()}

    def _corrected(self, row: Row) -> Row:
        change = self.corrections.get(row.endpoint, (1.0, 0.0))
        value = row.cells.get("temperature")
        if value is not None:
            value = None if change is None else change[0] * value + change[1]
        return replace(row, cells={**row.cells, "temperature": value})


def stored(database: Path) -> dict[int, list[Row]]:
    """Return the rows of the table by their numbers, seen from a connection of the test's own."""
    found: dict[int, list[Row]] = defaultdict(list)
    with closing(sqlite3.connect(f"file:{database}?mode=ro", timeout=10, uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        for row in map(dict, connection.execute("SELECT * FROM readings")):
            at = {name: row.pop(name) for name in ("id", "endpoint", "received_at", "arrived_at")}
            cells = {name: value for name, value in row.items() if value is not None}
            found[number_of(cells)].append(Row(at["endpoint"], at["received_at"], cells))
    return found


# CSV files


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a CSV file."""

    number: int
    text: str
    headings: tuple[str, ...]


def lines_of(content: bytes) -> Iterator[Line]:
    """Yield the lines of a file that are whole."""
    whole = content[: content.rfind(b"\n") + 1].decode()
    rows = csv.reader(io.StringIO(whole, newline=""))
    headings = tuple(next(rows, ()))[1:]
    for row in rows:
        cells = zip(headings, row[1:], strict=True)
        values = {HEADINGS.get(name, name): float(cell) for name, cell in cells if cell}
        yield Line(number_of(values), ",".join(row), headings)


class Files:
    """The CSV files of a house: no byte that was once in one of them goes."""

    def __init__(self, *folders: Path) -> None:
        self._folders = folders
        self._before: dict[Path, bytes] = {}

    def now(self) -> dict[Path, bytes]:
        """Return the contents of the files, those that a rebuild has kept left out."""
        return {
            path: path.read_bytes() for folder in self._folders for path in folder.glob("*.csv")
        }

    def check(self, *, replaced: bool = False, torn: bool = False) -> None:
        """Each file begins with the bytes that it had, or they were set aside.

        That a file is another one than before is right only where it was `replaced`. Where its
        writer was killed (`torn`) the end of it may be taken back later.
        """
        now = self.now()
        kept = [*now.values()]
        for folder in self._folders:
            kept += [path.read_bytes() for path in folder.glob("*.csv.old*")]
        for path, content in self._before.items():
            if now.get(path, b"").startswith(content):
                continue
            if not any(other.startswith(content) for other in kept):
                raise Broken(
                    f"no byte of a CSV file goes: {path.name}, {_differs(content, now, path)}"
                )
            if not replaced:
                raise Broken(f"a CSV file is append-only: {path.name} was replaced")
        if not torn:
            self._before = now

    def lines(self) -> dict[int, list[Line]]:
        """Return all lines by their numbers."""
        found: dict[int, list[Line]] = defaultdict(list)
        for content in self.now().values():
            for line in lines_of(content):
                found[line.number].append(line)
        return found


def _differs(content: bytes, now: Mapping[Path, bytes], path: Path) -> str:
    new = now.get(path)
    if new is None:
        return "it is gone"
    place = next(
        (i for i, (a, b) in enumerate(zip(content, new, strict=False)) if a != b), len(new)
    )
    return f"from byte {place}: {content[place:][:60]!r} is now {new[place:][:60]!r}"


def check_lines(model: Model, files: Files, *endpoints: str) -> None:
    """Each stored reading of these stations has one line, equal to what this model writes.

    One that was imported may have none: its file may lie elsewhere.
    """
    found = files.lines()
    doubled = {number: lines for number, lines in found.items() if len(lines) > 1}
    if doubled:
        number, lines = next(iter(doubled.items()))
        raise Broken(f"a row is in the CSV files once: {len(doubled)} twice, {number} as {lines}")
    for number, row in model.rows.items():
        if row.endpoint not in endpoints:
            continue
        lines = found.get(number, [])
        if not lines and not row.by_import:
            raise Broken(f"an exported row is in a CSV file: {number} is not, {row}")
        for line in lines:
            if line.text != (expected := row.line(line.headings)):
                raise Broken(f"a line is as the row: {line.text!r}, not {expected!r}")


# Answers


def check_json(expected: list[Row], answer: list[dict[str, Any]], names: Collection[str]) -> None:
    """`/history/json` has these readings of a station with measurements of these names."""
    found = Counter(_comparable(each["timestamp"], each["data"], names) for each in answer)
    wanted = Counter(_comparable(row.line(()), _payload(row), names) for row in expected)
    if found != wanted:
        more, less = [*(found - wanted)][:3], [*(wanted - found)][:3]
        raise Broken(f"/history/json has the rows: {more} instead of {less}")


def _payload(row: Row) -> dict[str, float | None]:
    names = {"gas_resistance": "gas_res"}
    return {names.get(name, name): value for name, value in row.cells.items()}


def _comparable(
    time: str, data: Mapping[str, float | None], names: Collection[str]
) -> tuple[object, ...]:
    values = sorted((name, value) for name, value in data.items() if value is not None)
    return time, *(pair for pair in values if pair[0] in names)


def check_series(
    sums: Mapping[str, tuple[int, float, float, float]], answer: Mapping[str, Any], endpoint: str
) -> None:
    """The lines of `/history/series` add up to these sums."""
    lines = {line["measurement"]: line for line in answer["series"]}
    if lines.keys() != sums.keys():
        raise Broken(f"charts have all lines: {sorted(lines)} instead of {sorted(sums)}")
    for name, (count, total, least, greatest) in sums.items():
        line = lines[name]
        found_total = sum(a * c for a, c in zip(line["avg"], line["count"], strict=True))
        found = sum(line["count"]), min(line["min"]), max(line["max"])
        # An average is rounded: to two digits more than pages show, or to seven telling ones.
        is_total = abs(found_total - total) <= 0.01 * count
        if not is_total or found != (count, least, greatest):
            found_all, wanted = (*found, found_total), (count, least, greatest, total)
            raise Broken(f"charts add up to the rows: /{endpoint} {name} {found_all}, not {wanted}")
