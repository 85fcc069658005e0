"""A measurement as the page calls it."""

from flask10x.readings.derived.kinds import UNITS
from flask10x.readings.derived.registry import Derived, measurement_of
from flask10x.readings.stations import Stations
from flask10x.web.pages.history.model import Column
from flask10x.web.texts.catalog import Texts


def column(name: str, stations: Stations, t: Texts) -> Column:
    """The column or derived value of this name, in the reader's language; KeyError when no station
    has it."""
    measurement = measurement_of(stations, name)
    return Column(name=name, label=t.column(measurement), unit=measurement.unit)


def limits_of(one: Derived, t: Texts) -> str:
    """`Estimated WBGT is only computed for: …`, with the limits of each of its inputs."""
    inputs = []
    for quantity, ends in zip(one.kind.inputs, one.kind.limits, strict=True):
        low, high = (f"{end:g}" for end in ends)
        name, unit = t.quantity(quantity), UNITS[quantity]
        inputs.append(t("limits.input", name=name, low=low, high=high, unit=unit))
    return t("limits.of", name=t.column(one.measurement), inputs=t("caption.join").join(inputs))
