"""The bands of a chart's lines."""

import pytest
from flask.testing import FlaskClient


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
