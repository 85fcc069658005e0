"""What a card says of a value that deserves a look."""

import pytest
from flask.testing import FlaskClient

from flask10x.recording.writer import Writer
from flask10x.runtime import station_watch
from flask10x.system import clock

BODY = {"temperature": 31, "humidity": 29, "pressure": 1000, "gas_res": 5000}


def bands(client: FlaskClient, language: str = "en") -> list[str]:
    """The words of the bands on all cards."""
    page = client.get("/history", headers={"Accept-Language": language}).text
    return [part.partition("<")[0] for part in page.split('<small class="band">')[1:]]


def test_a_value_in_a_band_has_its_word(
    client: FlaskClient, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.post("/data2", json=BODY | {"co2": 1501})
    client.post("/data3", json=BODY)
    writer.step()
    assert bands(client) == ["Air the room now", "Hot", "Very dry"]
    assert bands(client, "ja") == ["すぐに換気", "暑い", "強い乾燥"]
    assert 'class="banded warning"' in client.get("/history").text
    client.post("/data2", json=BODY | {"co2": 1000})
    writer.step()
    assert bands(client) == ["Hot", "Very dry"]
    # What a silent station measured last says nothing of now.
    later_ms = clock.monotonic_ms() + 3_600_000
    monkeypatch.setattr(station_watch, "monotonic_ms", lambda: later_ms)
    assert bands(client) == []
