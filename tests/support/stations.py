"""Stations beyond the built-in ones, as an operator's file adds them."""

from flask10x.readings.stations import BUILT_IN, Measurement, Station, Stations

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
