"""The rows of `/records` as CSV (docs/en/reference/http-api.md)."""

from datetime import tzinfo

from flask10x.history.period_tables import FoundPeriod, PeriodRow
from flask10x.readings.times import local_text
from flask10x.web.pages.records.asked import AskedRecords

HEADER = ("period", "lowest", "lowest_at", "mean", "highest", "highest_at", "readings")


def lines(question: AskedRecords, found: FoundPeriod, zone: tzinfo | None) -> str:
    """A line a row, those without readings too; CRLF, numbers as Python's `str(float)`."""
    header = list(HEADER)
    if question.limit:
        side = "above" if question.limit.above else "below"
        header.append(f"hours_{side}_{question.limit.value}")
    rows = [_cells(row, zone, passed=question.limit is not None) for row in found.rows]
    return "".join(",".join(cells) + "\r\n" for cells in (header, *rows))


def _cells(row: PeriodRow, zone: tzinfo | None, *, passed: bool) -> list[str]:
    cells = [
        row.span.name,
        _number(row.bucket.minimum),
        _time(row.lowest_at, zone),
        _number(row.mean),
        _number(row.bucket.maximum),
        _time(row.highest_at, zone),
        str(row.bucket.count),
    ]
    return [*cells, _number(row.passed_hours)] if passed else cells


def _number(value: float | None) -> str:
    return "" if value is None else str(value)


def _time(ms: int | None, zone: tzinfo | None) -> str:
    return "" if ms is None else local_text(ms, zone)
