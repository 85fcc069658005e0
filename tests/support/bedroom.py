"""Nine summer days of a bedroom, made up: as the old server wrote them, and as its board sends.

They are the same in every clone. A few tests look at measured days, too, where those lie beside it
(`shared_data.py`).
"""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from itertools import islice
from math import cos, pi, sin
from random import Random
from typing import NamedTuple

HEADER = "current_time,CO2,Tempereture,Humidity,Pressure,GasResistance"
NAME = "BedRoomEnv.csv"
ROWS, BODIES = 20_000, 5000
BEGIN = datetime(2025, 7, 5, 21, 40, 3)  # noqa: DTZ001
STEP_SEC = 30
# The board was unplugged or out of reach so often in the first 16,000 of them.
PAUSES, PAUSED_WITHIN = 23, 16_000
# With people asleep in the room, and with a window open.
NIGHT_PPM, DAY_PPM = 720.0, 425.0
AIR_CHANGE_SEC = 2.5 * 3600


class Reading(NamedTuple):
    """One reading of the bedroom; the time is that of its clock, without a zone."""

    at: datetime
    co2: float
    temperature: float
    humidity: float
    pressure: float
    gas_resistance: float


@cache
def old_file() -> bytes:
    """Return `BedRoomEnv.csv` of the old server with 20,000 rows."""
    return "\r\n".join([HEADER, *map(_line, islice(_readings(), ROWS)), ""]).encode()


@cache
def bodies() -> tuple[bytes, ...]:
    """Return the 5,000 readings that come after the file, as bodies for `/data2`."""
    return tuple(_body(one).encode() for one in islice(_readings(), ROWS, ROWS + BODIES))


def _line(reading: Reading) -> str:
    values = (str(round(value, 5)) for value in reading[1:])
    return ",".join([f"{reading.at:%Y-%m-%d %H:%M:%S}", *values])


def _body(reading: Reading) -> str:
    return json.dumps(
        {
            "current_time": reading.at.isoformat(),
            "temperature": round(reading.temperature, 2),
            "pressure": round(reading.pressure, 2),
            "humidity": round(reading.humidity, 2),
            "gas_res": reading.gas_resistance,
            "co2": int(reading.co2),
        }
    )


def _readings() -> Iterator[Reading]:
    """Yield one reading after the other, without an end."""
    chance = Random(10)
    pauses = set(chance.sample(range(PAUSED_WITHIN), PAUSES))
    at, people, number = BEGIN, 680.0, 0
    while True:
        days = (at - BEGIN) / timedelta(days=1)
        hour = at.hour + at.minute / 60 + at.second / 3600
        noise = chance.gauss
        temperature = 31.5 + 3.6 * _wave(hour - 8.5, 24) + 1.2 * _wave(days, 5) + noise(0, 0.08)
        humidity = 49 - 1.6 * (temperature - 31.5) + 6 * _wave(days, 3.1) + noise(0, 0.4)
        pressure = 997 + 1.4 * _wave(days, 4.3) + 0.45 * cos(2 * pi * (hour - 9.5) / 12)
        resistance = 6400 + 1500 * _wave(days, 6) - 60 * (humidity - 49) + noise(0, 60)
        yield Reading(
            at=at,
            co2=float(round(people + noise(0, 1.5))),
            temperature=temperature,
            humidity=humidity,
            pressure=pressure + noise(0, 0.01),
            gas_resistance=float(round(resistance)),
        )
        step_sec = STEP_SEC + chance.choice((0, 0, 0, 0, 0, 0, 0, 0, -1, 1))
        if number in pauses:
            step_sec += chance.randrange(60, 3300)
        is_night = not 7 <= hour < 22.5
        people += ((NIGHT_PPM if is_night else DAY_PPM) - people) * step_sec / AIR_CHANGE_SEC
        at, number = at + timedelta(seconds=step_sec), number + 1


def _wave(at: float, length: float) -> float:
    return sin(2 * pi * at / length)
