"""A station with a name in every protocol, as `stations.toml` adds one."""

from typing import Any

from flask10x.database.database import Database
from flask10x.readings.stations import BUILT_IN, Measurement, Station, Stations
from flask10x.recording.writer import Writer
from tests.support.foreign_requests import CHANNEL
from tests.support.rows import select

BALCONY = Station(
    endpoint="balcony",
    label="Balcony",
    csv_name="Balcony.csv",
    ambient_channel=CHANNEL,
    mqtt_topic="home/balcony",
    influx="balcony",
    influx_tags=(("node", "esp8266-123"),),
    measurements=(
        Measurement(
            path="temperature",
            column="temperature",
            quantity="temperature",
            csv_header="Temperature",
            unit="°C",
            minimum=-50,
            maximum=150,
            ambient="d1",
        ),
        Measurement(
            path="air.humidity",
            column="humidity",
            quantity="humidity",
            csv_header="Humidity",
            unit="%",
            minimum=0,
            maximum=100,
            ambient="d2",
            influx="humidity",
        ),
    ),
)
STATIONS = Stations((*BUILT_IN.all, BALCONY))

# The same as the file has it.
BALCONY_TOML = """
[stations.balcony]
label = "Balcony"
csv_file = "Balcony.csv"
ambient_channel = "12345"
mqtt_topic = "home/balcony"
influx = "balcony"
influx_tags = { node = "esp8266-123" }

[stations.balcony.measurements.temperature]
unit = "°C"
minimum = -50
maximum = 150
ambient = "d1"

[stations.balcony.measurements.humidity]
path = "air.humidity"
unit = "%"
minimum = 0
maximum = 100
ambient = "d2"
influx = "humidity"
"""


def stored(writer: Writer, database: Database) -> list[tuple[Any, ...]]:
    """All that was taken, with both times, after it is stored."""
    while writer.step():
        pass
    query = "SELECT endpoint, received_at, arrived_at, temperature, humidity FROM readings"
    return select(database.path, query)
