"""The derived values of single readings."""

from collections.abc import Sequence

from flask10x.history.pages import Row
from flask10x.readings.derived.registry import Derived
from flask10x.readings.stations import Station


def derived_values(
    row: Row, station: Station, chosen: Sequence[Derived]
) -> dict[str, float | None]:
    """Each of these by its name, from the values of the row of the station as they are shown."""
    values = dict(zip(station.columns, row.values, strict=True))
    return {one.name: one.of(values) for one in chosen}
