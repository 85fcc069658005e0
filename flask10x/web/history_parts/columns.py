"""A measurement as the page calls it."""

from flask10x.readings.derived.registry import measurement_of
from flask10x.readings.stations import Stations
from flask10x.web.history_model import Column
from flask10x.web.texts.catalog import Texts


def column(name: str, stations: Stations, t: Texts) -> Column:
    """The column or derived value of this name, in the reader's language; KeyError when no station
    has it."""
    measurement = measurement_of(stations, name)
    return Column(name=name, label=t.column(measurement), unit=measurement.unit)
