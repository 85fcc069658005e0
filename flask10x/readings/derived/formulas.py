"""The formulas of derived values, each with its source.

Arguments and results are floats, or expressions of SQL with the functions for those. Within which
limits a formula holds is said in `kinds.py`; nothing is checked here.
"""

from typing import Any

from flask10x.readings.derived.functions import Functions

CELSIUS_ZERO_K = 273.15
# WMO-No. 8, Guide to Meteorological Instruments and Methods of Observation, annex 4.B: the Magnus
# formula with the coefficients of Sonntag (1990), over water, from -45 to 60 °C. Its factor for
# moist air, f(p) = 1.005 at most, is left out: in the dew point it cancels out.
MAGNUS_HPA, MAGNUS_FACTOR, MAGNUS_C = 6.112, 17.62, 243.12
# 100 Pa/hPa * 1000 g/kg / 461.5 J/(kg K), the gas constant of water vapour.
VAPOUR_GK_PER_HPA = 216.68
# 気象庁「気象観測の手引き」, on the pressure at sea level: gravity (the standard one here), the gas
# constant of dry air, and half of 0.5 °C per 100 m as the mean temperature below the station.
GRAVITY_M_S2, DRY_AIR_J_KG_K, HALF_LAPSE_C_M = 9.80665, 287.05, 0.0025


def saturation_hpa(temperature: Any, given: Functions) -> Any:
    """The vapour pressure over water, in hPa, at which air of this temperature is saturated."""
    return MAGNUS_HPA * given.exp(MAGNUS_FACTOR * temperature / (MAGNUS_C + temperature))


def dew_point(temperature: Any, humidity: Any, given: Functions) -> Any:
    """To which temperature, in °C, the air can be cooled before dew falls (over water).

    WMO-No. 8, annex 4.B: the formula of the saturation, solved for the temperature.
    """
    exponent = given.ln(humidity / 100.0) + MAGNUS_FACTOR * temperature / (MAGNUS_C + temperature)
    return MAGNUS_C * exponent / (MAGNUS_FACTOR - exponent)


def absolute_humidity(temperature: Any, humidity: Any, given: Functions) -> Any:
    """How many grams of water vapour a cubic metre of the air holds.

    The equation of state of water vapour, with the saturation of WMO-No. 8.
    """
    vapour_hpa = humidity / 100.0 * saturation_hpa(temperature, given)
    return VAPOUR_GK_PER_HPA * vapour_hpa / (temperature + CELSIUS_ZERO_K)


def discomfort_index(temperature: Any, humidity: Any, _given: Functions) -> Any:
    """不快指数, the temperature-humidity index: a number that reads like °F.

    As in 新版NHK気象ハンドブック and all over Japan.
    """
    return 0.81 * temperature + 0.01 * humidity * (0.99 * temperature - 14.3) + 46.3


def wbgt(temperature: Any, humidity: Any, _given: Functions) -> Any:
    """An estimate of the wet-bulb globe temperature in °C, without sun and without wind.

    小野雅司, 登内道彦「通常気象要素を用いたWBGT（湿球黒球温度）の推定」, 日本生気象学会雑誌 50(4),
    2014, pages 147-157, with a radiation and a speed of the wind of 0.
    """
    return 0.735 * temperature + 0.0374 * humidity + 0.00292 * temperature * humidity - 4.064


def sea_level_pressure(pressure: Any, temperature: Any, altitude_m: float, given: Functions) -> Any:
    """The pressure, in hPa, that there would be at sea level below the station.

    気象庁「気象観測の手引き」: the hypsometric formula, with the mean virtual temperature of the
    air that would be below the station.
    """
    mean = temperature + HALF_LAPSE_C_M * altitude_m
    virtual_k = CELSIUS_ZERO_K + mean + moisture_c(mean, given)
    return pressure * given.exp(GRAVITY_M_S2 * altitude_m / (DRY_AIR_J_KG_K * virtual_k))


def moisture_c(mean: Any, given: Functions) -> Any:
    """By how many °C usual moisture makes air of this mean temperature (°C) seem warmer.

    The table of 気象庁「気象観測の手引き」.
    """
    return given.below(
        mean,
        (
            (-30.0, 0.09),
            (0.0, 0.000489 * mean * mean + 0.0300 * mean + 0.550),
            (20.0, 0.002850 * mean * mean + 0.0165 * mean + 0.550),
            (33.8, -0.006933 * mean * mean + 0.4687 * mean - 4.580),
        ),
        3.34,
    )
