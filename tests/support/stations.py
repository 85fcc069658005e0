"""Stations beyond the built-in ones, as an operator's file adds them."""

from dataclasses import replace
from pathlib import Path

from flask10x.readings.stations import BUILT_IN, Measurement, Station, Stations
from tests.support.rows import execute

BALCONY = Station(
    endpoint="balcony-1",
    label="Balcony",
    csv_name="Balcony.csv",
    measurements=(
        Measurement(
            path="temperature",
            column="temperature",
            quantity="temperature",
            csv_header="Temperature",
            unit="°C",
            minimum=-50,
            maximum=150,
        ),
        Measurement(
            path="soil.wet",
            column="soil_wet",
            quantity="soil_wet",
            csv_header="Wet",
            unit="%",
            minimum=0,
            maximum=100,
        ),
    ),
)
WITH_BALCONY = Stations((*BUILT_IN.all, BALCONY))


def with_measurement(stations: Stations, endpoint: str, measurement: Measurement) -> Stations:
    """The same stations, of which one has this measurement besides its own, behind them."""
    return Stations(
        tuple(
            replace(station, measurements=(*station.measurements, measurement))
            if station.endpoint == endpoint
            else station
            for station in stations.all
        )
    )


def add_columns(database: Path, *columns: str) -> None:
    """Columns of the table `readings`, as a start of the service adds them."""
    for column in columns:
        execute(database, f"ALTER TABLE readings ADD COLUMN {column} REAL")


LIGHT = Measurement(
    path="light",
    column="light_veml7700",
    quantity="light",
    csv_header="Light",
    unit="lx",
    minimum=0,
    label="Light (VEML7700)",
    label_ja="照度（VEML7700）",
)
GARDEN = Station(
    endpoint="garden-2",
    label="Garden <shed>",
    label_ja="庭の小屋",
    csv_name="Garden.csv",
    measurements=(
        BUILT_IN.by_column["temperature"],
        replace(LIGHT, column="light_bh1750", label="Light (BH1750)", label_ja="照度（BH1750）"),
        Measurement(
            path="soil.wet",
            column="soil_wet",
            quantity="soil_wet",
            csv_header="Wet",
            unit="%",
            minimum=0,
            maximum=100,
        ),
    ),
)
WITH_LIGHT = with_measurement(BUILT_IN, "data", LIGHT)
HOUSE = Stations((*WITH_LIGHT.all, GARDEN))
"""A built-in station measures more, and a fifth one has a column of theirs and two of its own."""
