"""A house of four stations, all made of the bedroom's days (`bedroom.py`), which end now."""

import re
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.browser.chromium import Browser
from tests.e2e.service import Service
from tests.support import bedroom
from tests.support.rows import insert_selected

# A machine that is full of work answers all the same.
PATIENT: dict[str, Any] = {"query_timeout_sec": 30}
# The zone of the tests' services.
TOKYO = ZoneInfo("Asia/Tokyo")
# Of each 20 s to 60 s; the other stations get readings of the same sensor of other days.
OTHERS = (
    (
        "endpoint, received_at, pressure, temperature",
        """
SELECT 'data', received_at + 3000, round(CAST(pressure - 0.4 AS NUMERIC), 2),
       round(CAST(temperature + 0.8 AS NUMERIC), 1)
FROM readings
WHERE endpoint = 'data2' AND id % 2 = 0 AND id NOT BETWEEN 17000 AND 17300 ORDER BY id
""",
    ),
    (
        "endpoint, received_at, temperature, humidity, pressure, gas_resistance",
        """
SELECT 'data3', here.received_at + 4000, there.temperature - 3, there.humidity, here.pressure,
       CASE WHEN here.id % 40 <> 0 THEN there.gas_resistance END
FROM readings here JOIN readings there ON there.id = 1 + (here.id + 5000) % 20000
WHERE here.endpoint = 'data2' AND here.id % 2 = 0 ORDER BY here.id
""",
    ),
    (
        "endpoint, received_at, co2, temperature_dht11, humidity_dht11",
        """
SELECT 'data4', here.received_at + 5000, there.co2 + 40, round(there.temperature),
       round(there.humidity)
FROM readings here JOIN readings there ON there.id = 1 + (here.id + 9000) % 20000
WHERE here.endpoint = 'data2' AND here.id < 19100 ORDER BY here.id
""",
    ),
)


def furnish(service: Service) -> None:
    """Fill the database of a running service."""
    moved = service.folder / bedroom.NAME
    moved.write_text(ending_now(bedroom.old_file().decode()), newline="")
    done = service.command("import", str(moved))
    assert done.returncode == 0, done.stderr
    insert_selected(service.database, *OTHERS)


def ending_now(text: str) -> str:
    """The same file with all its times moved, so that the last reading is some seconds old."""
    header, *lines = text.splitlines()
    last = datetime.fromisoformat(lines[-1].partition(",")[0])
    by = datetime.now(TOKYO).replace(tzinfo=None, microsecond=0) - last - timedelta(seconds=8)
    moved = (f"{datetime.fromisoformat(line[:19]) + by},{line[20:]}" for line in lines)
    return "\r\n".join((header, *moved, ""))


def send(service: Service, co2: float) -> None:
    """A reading of the bedroom, stored when this returns."""
    before = service.count()
    body = {"co2": co2, "temperature": 26.5, "humidity": 48, "pressure": 996.2, "gas_res": 5419}
    assert service.post("data2", body).status == 200
    service.wait_for_rows(before + 1)


def unfold(browser: Browser) -> None:
    """Show the rows of the history, which are behind "Show as table"."""
    browser.press("#rows:not([open]) > summary")


def begins(text: str) -> datetime:
    """The first time in a text of an English page, to the minute: `Sun 29 Nov, 23:55 – 00:00`."""
    match = re.match(r"\w+ (\d+ \w+)(?: (\d{4}))?, (\d\d:\d\d)", text)
    assert match, text
    year = match[2] or datetime.now().astimezone().year
    return datetime.strptime(f"{match[1]} {year} {match[3]}", "%d %b %Y %H:%M").astimezone()
