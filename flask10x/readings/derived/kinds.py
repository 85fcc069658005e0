"""The kinds of derived values: what each needs, its unit, and within which limits it holds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from flask10x.readings.bands import Band
from flask10x.readings.derived import formulas
from flask10x.translation import N_

Source = Literal["reading", "earlier", "outside"]
"""What it is computed from: values of one reading; the station's earlier ones too; or those of the
station outside too."""
Limits = tuple[float, float]

# 気象庁 gives no pressure at sea level of stations that are higher.
HIGHEST_M = 800
# The shore of the Dead Sea.
LOWEST_M = -430
TREND_HOURS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One kind of derived value."""

    name: str
    """As queries and files call it."""
    quantity: str
    unit: str
    label: str
    """Its name; the catalogue has the Japanese one."""
    inputs: tuple[str, ...]
    """The quantities it needs, in the order of the formula's arguments."""
    limits: tuple[Limits, ...]
    """Of each input: beyond them there is no value."""
    result: Limits
    """Of the value itself, likewise."""
    formula: Callable[..., Any] | None = None
    """Of one reading; None where other readings are needed."""
    needs_altitude: bool = False
    source: Source = "reading"
    bands: tuple[Band, ...] = ()


# The range of the Magnus formula; below 1 % no sensor of a house is right.
_MAGNUS: tuple[Limits, ...] = ((-45, 60), (1, 100))
UNITS: Mapping[str, str] = MappingProxyType(
    {"temperature": "°C", "humidity": "%", "pressure": "hPa"}
)
"""What an input has to be measured in."""

_ALL = (
    Kind(
        name="dew_point",
        quantity="temperature",
        unit="°C",
        label=N_("Dew point"),
        inputs=("temperature", "humidity"),
        limits=_MAGNUS,
        result=(-45, 60),
        formula=formulas.dew_point,
    ),
    Kind(
        name="absolute_humidity",
        quantity="absolute_humidity",
        unit="g/m³",
        label=N_("Absolute humidity"),
        inputs=("temperature", "humidity"),
        limits=_MAGNUS,
        result=(0, 200),
        formula=formulas.absolute_humidity,
    ),
    # No range is published. These are the temperatures for which the words that go with the index
    # (from below 50 "cold" to above 85 "unbearably hot") mean something.
    Kind(
        name="discomfort_index",
        quantity="discomfort_index",
        unit="",
        label=N_("Discomfort index"),
        inputs=("temperature", "humidity"),
        limits=((0, 45), (1, 100)),
        result=(0, 120),
        formula=formulas.discomfort_index,
    ),
    # Fitted to the summers of six Japanese cities: it says nothing of cold air.
    Kind(
        name="wbgt",
        quantity="wbgt",
        unit="°C",
        label=N_("Estimated WBGT"),
        inputs=("temperature", "humidity"),
        limits=((20, 40), (20, 100)),
        result=(0, 60),
        formula=formulas.wbgt,
        # 日本生気象学会「日常生活における熱中症予防指針」Ver.4 (2022): from these values on.
        bands=(
            Band(above=25, label=N_("Caution")),
            Band(above=28, level="warning", label=N_("Severe caution")),
            Band(above=31, level="warning", label=N_("Danger")),
        ),
    ),
    # What weather charts show. Further out a sensor is broken, or not where ALTITUDE_M says.
    Kind(
        name="sea_level_pressure",
        quantity="sea_level_pressure",
        unit="hPa",
        label=N_("Sea-level pressure"),
        inputs=("pressure", "temperature"),
        limits=((800, 1150), (-50, 50)),
        result=(850, 1100),
        formula=formulas.sea_level_pressure,
        needs_altitude=True,
    ),
    Kind(
        name="pressure_trend",
        quantity="pressure_trend",
        unit="hPa",
        label=N_("3-hour pressure trend"),
        inputs=("pressure",),
        limits=((300, 1150),),
        result=(-100, 100),
        source="earlier",
    ),
    Kind(
        name="outdoor_difference",
        quantity="temperature_difference",
        unit="°C",
        label=N_("Indoor minus outdoor"),
        inputs=("temperature",),
        limits=((-50, 150),),
        result=(-200, 200),
        source="outside",
    ),
)
KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _ALL})
"""Each kind by its name, in the order in which they are shown."""
