"""What is compressed, what never is, and that what arrives is the same."""

import gzip
import time

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask10x.recording.writer import Writer
from flask10x.web import compression
from tests.support.html import NINE
from tests.support.rows import pico

GZIP = {"Accept-Encoding": "gzip, deflate"}


def get(client: FlaskClient, path: str, headers: dict[str, str] | None = None) -> TestResponse:
    """The answer, read to its end, and the file behind it closed."""
    answer = client.get(path, headers=headers)
    answer.get_data()
    answer.close()
    return answer


@pytest.fixture
def many(writer: Writer) -> None:
    for number in range(100):
        writer.submit(pico(number, NINE + number))
    writer.step()


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("path", ["/", "/history", "/history/json", "/history?limit=0"])
def test_a_long_answer_is_compressed_when_it_is_asked_for(
    client: FlaskClient, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The ages on the page are whole seconds; both answers are of the same one.
    now_ns, since_ns = time.time_ns(), time.monotonic_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now_ns)
    monkeypatch.setattr(time, "monotonic_ns", lambda: since_ns)
    plain, packed = get(client, path), get(client, path, headers=GZIP)
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) == len(packed.data) < len(plain.data)
    assert gzip.decompress(packed.data) == plain.data
    for answer in (plain, packed):
        assert "Accept-Encoding" in answer.headers["Vary"]
    with client.head(path, headers=GZIP) as head:
        assert head.headers["Content-Length"] == str(len(packed.data))


@pytest.mark.parametrize("name", ["flask10x.css", "plot.js"])
def test_scripts_and_styles_leave_their_comments_at_home(client: FlaskClient, name: str) -> None:
    plain, packed = (get(client, f"/static/{name}", headers=h) for h in (None, GZIP))
    sent = gzip.decompress(packed.data).splitlines()
    begins = (b"//", b"/*")
    assert any(line.strip().startswith(begins) for line in plain.data.splitlines())
    assert not any(line.strip().startswith(begins) for line in sent)
    assert {*sent} <= {*plain.data.splitlines()} and len(sent) > 100


def test_the_licence_of_others_stays_in_their_file() -> None:
    others = b"/*! uPlot */\nvar a = 1; // no line of its own\n/** ours */\n  // ours\nvar b;\n"
    kept = b"/*! uPlot */\nvar a = 1; // no line of its own\nvar b;\n"
    assert gzip.decompress(compression._packed_once(others, "text/javascript")) == kept
    assert gzip.decompress(compression._packed_once(others, "text/html")) == others


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0", "identity, gzip;q=0.5"])
def test_who_does_not_ask_gets_it_plain(client: FlaskClient, accepted: str) -> None:
    answer = get(client, "/history/json", headers={"Accept-Encoding": accepted})
    assert "Content-Encoding" not in answer.headers
    assert len(answer.get_json()) == 100


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("path", ["/history.csv", "/history.json", "/healthz", "/readyz"])
def test_downloads_and_short_answers_stay_as_they_are(client: FlaskClient, path: str) -> None:
    answer = get(client, path, headers=GZIP)
    assert "Content-Encoding" not in answer.headers
    assert answer.data == get(client, path).data


def test_a_sensor_never_gets_it(client: FlaskClient) -> None:
    body = {f"field{number}": 1 for number in range(1000)}
    for answer in (
        client.post("/data4", json=body, headers=GZIP),
        client.post("/data", json={"pressure": [1] * 1000}, headers=GZIP),
        client.post("/data", json={"pressure": 1013.2, "temperature": 20}, headers=GZIP),
    ):
        assert "Content-Encoding" not in answer.headers
        assert "Vary" not in answer.headers
        assert answer.headers["Content-Length"] == str(len(answer.data))


def test_a_browser_that_has_the_file_gets_304(client: FlaskClient) -> None:
    first = get(client, "/static/flask10x.css", headers=GZIP)
    etag = first.headers["ETag"]
    assert etag.startswith("W/")
    again = get(client, "/static/flask10x.css", headers=GZIP | {"If-None-Match": etag})
    assert (again.status_code, again.data) == (304, b"")
    assert "Accept-Encoding" in again.headers["Vary"]


def test_a_part_of_a_file_is_left_alone(client: FlaskClient) -> None:
    part = get(client, "/static/flask10x.css", headers=GZIP | {"Range": "bytes=0-1999"})
    assert (part.status_code, len(part.data)) == (206, 2000)
    assert "Content-Encoding" not in part.headers
