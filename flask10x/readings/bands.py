"""Bands: ranges of a measurement that pages colour and name. Alerts have rules of their own."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from flask10x.translation import N_

Level = Literal["notice", "warning"]
LEVELS: tuple[Level, ...] = ("notice", "warning")
"""In ascending order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """The values beyond a limit, in the unit of the measurement; exactly one of the two is set."""

    above: float | None = None
    """The limit itself is outside the band, as in rules such as "1000 ppm at most"."""
    below: float | None = None
    level: Level = "notice"
    label: str
    """Its name on pages: colour is never the only sign."""
    label_ja: str = ""
    """Its name on Japanese pages; empty: the label."""

    def holds(self, value: float) -> bool:
        """Whether the value is in the band."""
        if self.above is not None:
            return value > self.above
        return self.below is not None and value < self.below


def band_of(bands: Iterable[Band], value: float | None) -> Band | None:
    """The band of a value; of several the worst, and of one level the narrowest.

    None for a value that is in no band or missing. The bands of a measurement are
    `Station.bands_of(measurement)`.
    """
    matching = [band for band in bands if value is not None and band.holds(value)]
    return max(matching, key=_rank, default=None)


def _rank(band: Band) -> tuple[int, float]:
    limit = band.above if band.above is not None else -(band.below or 0)
    return LEVELS.index(band.level), limit


# 1000 ppm and 28 °C at most, 40 % at least: 建築物環境衛生管理基準, the Japanese standard for the
# air of large buildings (建築物衛生法施行令, article 2, as of April 2022). 1500 ppm at most, 30 %
# at least: 学校環境衛生基準, that for class rooms (as of April 2022). 31 °C by the dry bulb: where
# 厳重警戒 begins in 日本スポーツ協会's 熱中症予防運動指針 (2019).
USUAL: Mapping[tuple[str, str], tuple[Band, ...]] = MappingProxyType(
    {
        ("co2", "ppm"): (
            Band(above=1000, label=N_("Air the room")),
            Band(above=1500, level="warning", label=N_("Air the room now")),
        ),
        ("temperature", "°C"): (
            Band(above=28, label=N_("Hot")),
            Band(above=31, level="warning", label=N_("Very hot")),
        ),
        ("humidity", "%"): (
            Band(below=40, label=N_("Dry")),
            Band(below=30, level="warning", label=N_("Very dry")),
        ),
    }
)
"""The default bands of rooms, by quantity and unit."""
