"""A measurement as the page calls it."""

from flask10x.readings.derived.kinds import UNITS
from flask10x.readings.derived.registry import Derived, measurement_of
from flask10x.readings.labels import COLUMNS, column_name
from flask10x.readings.stations import Stations
from flask10x.translation import Translation
from flask10x.web.pages.history.model import Column


def column(name: str, stations: Stations, t: Translation) -> Column:
    """The column or derived value of this name, in the reader's language; KeyError when no station
    has it."""
    measurement = measurement_of(stations, name)
    return Column(name=name, label=column_name(measurement, t), unit=measurement.unit)


def limits_of(one: Derived, t: Translation) -> str:
    """`Estimated WBGT is only computed for: …`, with the limits of each of its inputs."""
    inputs = []
    for quantity, ends in zip(one.kind.inputs, one.kind.limits, strict=True):
        low, high = (f"{end:g}" for end in ends)
        name, unit = t(COLUMNS[quantity]), UNITS[quantity]
        inputs.append(t("{name} {low} to {high} {unit}", name=name, low=low, high=high, unit=unit))
    return t(
        "{name} is only computed for: {inputs}.",
        name=column_name(one.measurement, t),
        inputs=t.listed(inputs),
    )
