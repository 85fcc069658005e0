"""The compared lines of a chart, as `/history/series` has them."""

from flask10x.history.comparing.compared import ComparedLine, Comparison


def of_comparison(comparison: Comparison | None) -> dict[str, object] | None:
    """None where nothing is compared."""
    if comparison is None:
        return None
    return {
        "by": comparison.by,
        "bucket_ms": comparison.bucket_ms,
        "has_leap_day": comparison.has_leap_day,
        "series": [_line(one) for one in comparison.lines],
    }


def _line(compared: ComparedLine) -> dict[str, object]:
    line = compared.line
    return {
        "endpoint": line.station.endpoint,
        "measurement": line.measurement.column,
        "quantity": line.measurement.quantity,
        "unit": line.measurement.unit,
        "gap_ms": line.gap_ms,
        "times_ms": compared.times_ms,
        "own_ms": compared.own_ms,
        "avg": compared.averages,
    }
