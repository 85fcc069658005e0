"""Programs for a station's board, and a likely reading of it."""

import json
import re
from dataclasses import dataclass
from typing import Literal, get_args

from flask import render_template, request

from flask10x.readings.labels import station_name
from flask10x.readings.parse import nested
from flask10x.readings.stations import Measurement, Station
from flask10x.translation import Translation

# The programs keep readings while the network is away. Each sends what waits as a batch, with the
# age or the time of every reading and a key, so that it can be sent again and is stored once
# (docs/en/howto/send-late.md).
Kind = Literal["pico.py", "esp32.ino", "computer.py", "shell.sh"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# The interval of a station that has none in its settings: that of the slowest known board.
EVERY_SEC = 60
# Some 150 bytes each: 30 KB of the 200 KB that MicroPython leaves free on a Pico W.
KEPT_MAX = 200
# A month of a reading a minute, 10 MB.
KEPT_MAX_ON_DISK = 43_200
HOUR_SEC = 3600
# MicroPython's ticks tell two times apart for 6.2 days at most (2**29 ms).
TICKS_HOURS = 140
# What a sensor of this unit shows in a room, so that the example is a likely one.
TYPICAL = {"°C": 21.5, "%": 45.0, "hPa": 1013.2, "ppm": 650.0, "Ω": 50_000.0, "V": 1.2}
ELSE = 1.0
# A name or an address, and a port, which are safe in the text of a program.
HOST = re.compile(r"(?P<name>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::(?P<port>[0-9]{1,5}))?")
# What boards can look up in most homes, and the port of the contract.
USUAL_HOST, USUAL_PORT = "raspberrypi.local", 8888
HTTP_PORT = 80


@dataclass(frozen=True, slots=True)
class Target:
    """Where a board sends to.

    `host` comes from the address bar, so it must be checked before (`web/access.py`).
    """

    endpoint: str
    label: str
    host: str
    port: int


def address(host: str) -> tuple[str, int]:
    """Return where boards find the service: where this reader has found it."""
    match = HOST.fullmatch(host)
    if match is None or match["name"] in ("localhost", "127.0.0.1", "[::1]"):
        port = match["port"] if match else None
        return USUAL_HOST, int(port or USUAL_PORT)
    return match["name"], int(match["port"] or HTTP_PORT)


def program(kind: Kind, station: Station, t: Translation) -> str:
    """Return the text of the program, with comments in the reader's language."""
    target = Target(station.endpoint, station_name(station, t), *address(request.host))
    every_sec = station.interval_sec or EVERY_SEC
    return rendered(kind, target, likely_reading(station), t, every_sec=every_sec)


def rendered(
    template: str,
    target: Target,
    sample: dict[str, object],
    t: Translation,
    *,
    every_sec: int = EVERY_SEC,
    **more: object,
) -> str:
    """Return the text of this template; `sample` is a likely body, `more` what only it needs."""
    kept_max = min(KEPT_MAX, TICKS_HOURS * HOUR_SEC // every_sec)
    text = render_template(
        f"status/programs/{template}.txt",
        t=t,
        station=target.label,
        endpoint=target.endpoint,
        host=target.host,
        port=target.port,
        every_sec=every_sec,
        sample=repr(sample),
        sample_json=_quotable(sample),
        kept_max=kept_max,
        kept_hours=_hours(kept_max, every_sec),
        kept_max_on_disk=KEPT_MAX_ON_DISK,
        kept_hours_on_disk=_hours(KEPT_MAX_ON_DISK, every_sec),
        **more,
    )
    return f"{text}\n"


def trial(station: Station) -> str:
    """Return a command that asks what becomes of a reading like the sample, and stores nothing."""
    body, (host, port) = _quotable(likely_reading(station)), address(request.host)
    url = f"http://{host}:{port}/{station.endpoint}?dry_run=1"
    return f"curl -H 'Content-Type: application/json' -d '{body}' '{url}'"


def _quotable(sample: dict[str, object]) -> str:
    """As JSON that is safe between the single quotes of a shell, whatever its fields' names."""
    return json.dumps(sample).replace("'", "\\u0027")


def likely_reading(station: Station) -> dict[str, object]:
    """Return a likely reading of the station, in the shape of what it sends."""
    return nested(station, map(likely_value, station.measurements))


def likely_value(measurement: Measurement) -> float:
    """Return a likely value within the limits of the measurement."""
    value = TYPICAL.get(measurement.unit, ELSE)
    if measurement.minimum is not None:
        value = max(measurement.minimum, value)
    return value if measurement.maximum is None else min(value, measurement.maximum)


def _hours(readings: int, every_sec: int) -> str:
    return f"{readings * every_sec / HOUR_SEC:.3g}"
