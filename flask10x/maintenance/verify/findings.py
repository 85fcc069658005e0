"""What a comparison of all copies has found, and what a repair needs of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, select

from flask10x.config.settings import Settings
from flask10x.database.database import Database, all_rows
from flask10x.database.insert import HEAD, existing_columns
from flask10x.database.tables import measurement, readings
from flask10x.database.verified import Copy, Difference
from flask10x.export.comparison import ComparedFile
from flask10x.export.rows import ROW_COLUMNS

# A person looks at the first of them; then it is no bit that has changed.
NOTED_MAX = 2000

Row = dict[str, Any]
"""A reading by its columns."""
Sums = list[dict[str, Any]]
UNKNOWN: Any = object()
"""What a backup has of a reading that it can't have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A difference, and what a repair needs of it."""

    difference: Difference
    stored: Row | None = None
    """The reading as the table has it; None where it has none."""
    right: Row | None = None
    """The reading that is to be put into the table."""
    kept: Sums = field(default_factory=list)
    """The sums of an hour of removed readings as they should be."""
    places: frozenset[tuple[str, int]] = frozenset()
    """The hours of the reading: endpoint and hour."""


@dataclass(slots=True)
class SavedReadings:
    """The readings of a backup."""

    connection: Connection
    columns: list[str] = field(default_factory=list)
    """Those of the table that it has, too."""
    last: int = 0
    """The id of its last reading."""
    compared: int = 0
    differing: dict[int, Row | None] = field(default_factory=dict)

    def row(self, number: int, stored: Row | None) -> Any:
        """Return the reading, None where it should be there and is not, or UNKNOWN."""
        return self.differing.get(number, stored if number <= self.last else UNKNOWN)


@dataclass(slots=True)
class Comparison:
    """What was compared, and where copies differ."""

    settings: Settings
    database: Database
    readings: int = 0
    lines: int = 0
    hours: int = 0
    backup: str = ""
    """The path of the backup whose readings are compared; empty without one."""
    left_out: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    files: dict[str, ComparedFile] = field(default_factory=dict)
    """By the endpoints."""
    saved: SavedReadings | None = None
    is_damaged: bool = False
    """Whether pages of the database are broken, not values: then nothing is repaired."""
    out_of_index: set[int] = field(default_factory=set)

    @property
    def out_of_order(self) -> set[Copy]:
        """The derived tables that are to be made again as a whole."""
        trees = (each.difference for each in self.findings if each.difference.kind == "tree")
        return {name for each in trees for name in each.wrong}

    def add(self, difference: Difference, **of_repair: Any) -> None:
        """Note a difference, with what a repair needs of it."""
        if len(self.findings) < NOTED_MAX:
            self.findings.append(Finding(difference=difference, **of_repair))


def rows_query(names: Sequence[str], after: int, until: int) -> Any:
    """Return the statement for the readings with `after < id <= until`: the id, these columns."""
    columns = [readings.c[name] if name in HEAD else measurement(name) for name in names]
    query = select(readings.c.id, *columns)
    return query.where(readings.c.id > after, readings.c.id <= until).order_by(readings.c.id)


def columns_of(*connections: Connection) -> list[str]:
    """Return the columns of `readings` without the id that all of these databases have."""
    names = [existing_columns(connection) for connection in connections]
    return [*HEAD, *sorted(set.intersection(*names).difference(ROW_COLUMNS))]


def row_of(connection: Connection, number: int) -> Row | None:
    """Return the reading as the table has it."""
    names = columns_of(connection)
    rows = all_rows(connection, rows_query(names, number - 1, number))
    return dict(zip(names, rows[0][1:], strict=True)) if rows else None
