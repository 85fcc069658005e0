"""The bands of the lines of a chart, as `/history/series` has them."""

from collections.abc import Iterable

from flask10x.history.lines import Line
from flask10x.web.texts.catalog import Texts


def of_lines(lines: Iterable[Line], t: Texts) -> list[dict[str, object]]:
    """Each band with the line that it is of; labels in the reader's language."""
    return [
        {
            "endpoint": line.station.endpoint,
            "measurement": line.measurement.column,
            "above": band.above,
            "below": band.below,
            "level": band.level,
            "label": t.band(band),
        }
        for line in lines
        for band in line.station.bands_of(line.measurement)
    ]
