"""Says of each reading that copies have otherwise which of them is right.

A line of a CSV file that has the checksum of the last export is proven by that checksum: so it was
in the table when it was exported. Else the majority of table, newest sound backup and line is
right, and of the time of a reading the index says it once more. A backup that has the value of the
table counts for no more than the table itself, of which it is a copy, where a proven line says
otherwise. What no two copies decide is said to be so, never guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from flask10x.database import engines
from flask10x.database.removed import NOTHING_REMOVED, Removed, load_removed
from flask10x.database.sqlite.index import is_in_index
from flask10x.database.verified import Copy, Difference
from flask10x.maintenance.verify.findings import UNKNOWN, Comparison, Row, row_of
from flask10x.readings.numbers import lines_without_minus_zero
from flask10x.readings.times import FIRST_DATE_MS, HOUR_MS, LAST_DATE_MS

# So many copies have to agree.
COPIES_MIN = 2
INDEX = "ix_readings_endpoint_received_at"


def judge_readings(result: Comparison) -> None:
    """Say of each reading that copies have otherwise which is right."""
    numbers = result.out_of_index.union(result.saved.differing if result.saved else ())
    numbers = numbers.union(*(compared.lines for compared in result.files.values()))
    is_index_wrong = False
    with engines.engine_of(result.settings).plain_reader() as table, table.begin() as connection:
        removed = load_removed(connection)
        for number in sorted(numbers):
            reading = _reading(result, connection, number)
            gone = [removed.get(row["endpoint"], NOTHING_REMOVED) for row in reading.rows]
            is_removed = not gone or any(number <= each.last_id for each in gone)
            if reading.stored is None and is_removed:
                # Meanwhile.
                continue
            right, is_clear = _right(result, connection, reading)
            is_missed = number in result.out_of_index
            if is_clear:
                is_index_wrong |= is_missed and right == reading.stored
                if wrong := _wrong_copies(result, reading, right):
                    _add(result, reading, right, wrong)
            elif not (is_missed and is_index_wrong and len(reading.candidates) == 1):
                # Else it is only missed, as others are by an index that is out of order.
                _add(result, reading, None, ())
        if is_index_wrong:
            result.add(Difference(kind="tree", wrong=("index",), path=INDEX))
        _add_loose_lines(result, connection, removed)


def _add_loose_lines(result: Comparison, table: Connection, removed: Mapping[str, Removed]) -> None:
    """Note each line of a file as the last export left it for which the table has no reading."""
    for endpoint, compared in result.files.items():
        last_removed = removed.get(endpoint, NOTHING_REMOVED).last_id
        for before, line in compared.loose if compared.is_intact else ():
            if before < last_removed:
                continue
            number = before + 1
            # The ids between may be readings of other stations.
            while row_of(table, number) is not None:
                number += 1
            times = compared.times_of(line)
            difference = Difference(
                kind="line",
                station=endpoint,
                number=number,
                at_ms=times[0] if times else None,
                path=str(compared.target.path),
                values={"csv": _said(line)},
            )
            places = frozenset((endpoint, ms // HOUR_MS) for ms in times or ())
            result.add(difference, places=places)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What each copy has of a reading."""

    number: int
    stored: Row | None
    """What the table has."""
    saved: Any
    """What the backup has, None or UNKNOWN."""
    candidates: list[Row | None]
    """The different readings that it may be; None for one that there is not."""

    @property
    def rows(self) -> list[Row]:
        """The readings that any copy has."""
        return [row for row in self.candidates if row is not None]


def _reading(result: Comparison, table: Connection, number: int) -> _Reading:
    stored = row_of(table, number)
    saved = result.saved.row(number, stored) if result.saved else UNKNOWN
    candidates: list[Row | None] = [stored]
    if saved is not UNKNOWN:
        candidates.append(None if saved is None else (stored or {}) | saved)
    rows = [row for row in candidates if row is not None]
    for compared in result.files.values():
        candidates += compared.reading_of(compared.lines.get(number, b""), rows)
    unique = [row for place, row in enumerate(candidates) if row not in candidates[:place]]
    return _Reading(number, stored, saved, unique)


def _right(result: Comparison, table: Connection, reading: _Reading) -> tuple[Row | None, bool]:
    """Return the right reading, and whether it can be said."""
    with_line = [row for row in reading.rows if _has_line(result, reading, row)]
    proven = [row for row in with_line if result.files[row["endpoint"]].is_intact]
    if len(proven) == 1:
        return proven[0], True
    pool = proven or reading.candidates
    times = {(row["endpoint"], row["received_at"]) for row in reading.rows}
    votes = []
    for row in pool:
        vote = (row == reading.stored) + _is_saved(row, reading.saved) + (row in with_line)
        if row and (len(times) > 1 or reading.number in result.out_of_index):
            place = (row["endpoint"], row["received_at"])
            vote += is_in_index(table, reading.number, *place)
        votes.append(vote)
    most = max(votes)
    is_clear = most >= COPIES_MIN and votes.count(most) == 1
    return pool[votes.index(most)] if is_clear else None, is_clear


def _wrong_copies(result: Comparison, reading: _Reading, right: Row | None) -> list[Copy]:
    wrong: list[Copy] = []
    if right != reading.stored:
        wrong.append("table")
    if right and _has_line(result, reading, right) is False:
        wrong.append("csv")
    if reading.saved is not UNKNOWN and not _is_saved(right, reading.saved):
        wrong.append("backup")
    return wrong


def _has_line(result: Comparison, reading: _Reading, row: Row) -> bool | None:
    """Check whether the CSV file has the line of this reading; None if it has no line of it."""
    number, stored = reading.number, reading.stored
    compared = result.files.get(row["endpoint"])
    if compared is None or compared.left_out:
        return None
    text = compared.text_of(row)
    if number in compared.lines:
        return lines_without_minus_zero(compared.lines[number]) == text
    if stored is not None and stored["endpoint"] == row["endpoint"]:
        return compared.text_of(stored) == text if number in compared else None
    has = any(lines_without_minus_zero(line) == text for _before, line in compared.loose)
    return has if has or number in compared else None


def _add(result: Comparison, reading: _Reading, right: Row | None, wrong: Sequence[Copy]) -> None:
    rows, shown, number = reading.rows, right or reading.rows[0], reading.number
    names = [name for name in shown if len({row.get(name) for row in rows}) > 1]
    names = names if names and None not in reading.candidates else [*shown]
    values = {"table": _shown(reading.stored, names)}
    for compared in result.files.values():
        if number in compared.lines:
            values["csv"] = _said(compared.lines[number])
    for row in rows:
        of_station = result.files.get(row["endpoint"])
        for other in [*of_station.loose] if of_station else ():
            # It is told with the reading, and not once more alone.
            if of_station and lines_without_minus_zero(other[1]) == of_station.text_of(row):
                values["csv"] = _said(other[1])
                of_station.loose.remove(other)
    if reading.saved is not UNKNOWN:
        values["backup"] = _shown(reading.saved, names)
    at_ms = shown["received_at"]
    difference = Difference(
        kind="reading",
        wrong=tuple(wrong),
        station=shown["endpoint"],
        number=number,
        at_ms=at_ms if FIRST_DATE_MS <= at_ms <= LAST_DATE_MS else None,
        values=values,
        right=_shown(right, names) if right else "",
    )
    result.add(
        difference,
        stored=reading.stored,
        right=right if "table" in wrong else None,
        places=frozenset((row["endpoint"], row["received_at"] // HOUR_MS) for row in rows),
    )


def _is_saved(row: Row | None, saved: Any) -> bool:
    """Check whether a backup, which may have fewer columns, has this reading."""
    if row is None or not isinstance(saved, dict):
        return row is saved
    return {name: row.get(name) for name in saved} == saved


def _shown(row: Row | None, names: Sequence[str]) -> str:
    if row is None:
        return "–"
    return ", ".join(f"{name} {row[name]}" for name in names if row.get(name) is not None)


def _said(line: bytes) -> str:
    return line.decode(errors="backslashreplace").rstrip()
