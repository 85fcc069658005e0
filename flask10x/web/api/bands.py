"""The bands of the lines of a chart, as `/history/series` has them."""

from collections.abc import Iterable

from flask10x.history.lines import Line
from flask10x.readings.labels import band_name
from flask10x.translation import Translation


def of_lines(lines: Iterable[Line], t: Translation) -> list[dict[str, object]]:
    """Each band with the line that it is of; labels in the reader's language."""
    return [
        {
            "endpoint": line.station.endpoint,
            "measurement": line.measurement.column,
            "above": band.above,
            "below": band.below,
            "level": band.level,
            "label": band_name(band, t),
        }
        for line in lines
        for band in line.station.bands_of(line.measurement)
    ]
