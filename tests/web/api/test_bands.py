"""The bands of a chart's lines."""

import pytest
from flask.testing import FlaskClient

from flask10x.database.database import Database
from flask10x.history import rollups
from flask10x.readings.stations import BUILT_IN
from tests.support.rows import insert_series


@pytest.mark.usefixtures("four")
def test_a_chart_has_the_bands_of_its_lines(client: FlaskClient) -> None:
    query = "/history/series?from=2025-08-24&endpoint=data2&endpoint=data3&measurement=co2"
    bands = client.get(query, headers={"Accept-Language": "ja"}).get_json()["bands"]
    co2 = {"endpoint": "data2", "measurement": "co2", "below": None}
    assert bands == [
        co2 | {"above": 1000, "level": "notice", "label": "換気の目安"},
        co2 | {"above": 1500, "level": "warning", "label": "すぐに換気"},
    ]
    outside = client.get("/history/series?from=2025-08-24&endpoint=data3")
    assert outside.get_json()["bands"] == []
    assert client.get(query).get_json()["bands"][0]["label"] == "Air the room"


# As the page asks for it.
PACKED = {"Accept": "application/vnd.flask10x.series+json"}
RANGE = "/history/series?from=2025-05-01&to=2025-07-30"


def test_a_long_range_has_the_hours_of_each_day_above_a_limit(
    client: FlaskClient, database: Database
) -> None:
    # Each hour of ninety days has 800 ppm but for three hours of 10 May, and one of 1 July.
    hour_ms, first_ms = 3_600_000, 1_746_025_200_000
    loud = [9 * 24 + 5, 9 * 24 + 6, 9 * 24 + 23, 61 * 24]
    co2 = f"CASE WHEN i - 1 IN ({', '.join(map(str, loud))}) THEN 1200 ELSE 800 END"
    at = f"{first_ms} + (i - 1) * {hour_ms}"
    insert_series(database.path, 90 * 24, endpoint="'data2'", received_at=at, co2=co2)
    while rollups.follow(BUILT_IN, database):
        pass
    day_ms = 24 * hour_ms
    assert client.get(RANGE, headers=PACKED).get_json()["hours_above"] == [
        {
            "endpoint": "data2",
            "measurement": "co2",
            "above": 1000,
            "days_ms": [first_ms + 9 * day_ms, first_ms + 61 * day_ms],
            "hours": [3, 1],
        }
    ]
    # A month shows its hours, and programs count them themselves.
    month = RANGE.replace("07-30", "05-30")
    assert client.get(month, headers=PACKED).get_json()["hours_above"] == []
    assert "hours_above" not in client.get(RANGE).get_json()
