"""The history page: table, cards, filters, ranges, and what it says when something is wrong."""

import json
import re
import shlex
import time
from dataclasses import is_dataclass
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from jinja2 import Undefined
from markupsafe import escape

from flask10x.config import settings
from flask10x.database.database import Database
from flask10x.readings import labels
from flask10x.readings.parse import Reading
from flask10x.readings.stations import BUILT_IN
from flask10x.recording.writer import Writer
from flask10x.runtime.store import Store
from flask10x.system.gauges import Gauges
from flask10x.web.pages.history import view as history_page
from tests.conftest import MakeApp
from tests.support.html import MINUTE, NINE, Outline, body_rows, table_names, words
from tests.support.rows import insert_readings, pico


def section(text: str, identity: str) -> str:
    """The part of the page with this id."""
    return text.split(f'id="{identity}"', 1)[1].split("</section>", 1)[0]


@pytest.mark.usefixtures("four")
def test_the_table_shows_the_newest_first(client: FlaskClient) -> None:
    answer = client.get("/history?from=all")
    assert (answer.status_code, answer.content_type) == (200, "text/html; charset=utf-8")
    assert "4 readings on this page: all stations, newest first" in answer.text
    assert table_names(answer.text) == ["Pico", "Bedroom", "Outside", "Living room"]
    assert body_rows(answer.text) == [
        ["Sun 24 Aug 2025, 09:00:00", "1013.2", "25.1"],
        ["Sun 24 Aug 2025, 09:01:00", "650", "26.5", "48.0", "996.5", "5419"],
        ["Sun 24 Aug 2025, 09:02:00", "30.2", "61.0", "994.5", "–"],
        ["Sun 24 Aug 2025, 09:03:00", "612", "433", "0.000", "–", "26.0", "52.0"],
    ]


@pytest.mark.usefixtures("four")
def test_a_rounded_value_has_its_exact_one_beside_it(client: FlaskClient) -> None:
    text = section(client.get("/history?from=all").text, "table")
    exact = re.findall(r'<td [^>]*title="([^"]*)"[^>]*>([^<]*)<', text)
    assert exact == [("1013.25", "1013.2"), ("30.20312", "30.2"), ("1e-05", "0.000")]


@pytest.mark.usefixtures("four")
def test_the_table_has_the_chosen_measurements_of_the_chosen_stations(client: FlaskClient) -> None:
    asked = "endpoint=data2&endpoint=data3&measurement=co2&measurement=humidity&from=all"
    text = client.get(f"/history?{asked}")
    assert table_names(text.text) == ["Bedroom", "Outside"]
    assert body_rows(text.text) == [
        ["Sun 24 Aug 2025, 09:01:00", "650", "48.0"],
        ["Sun 24 Aug 2025, 09:02:00", "61.0"],
    ]
    assert "Bedroom, Outside, CO₂, Humidity, newest first" in text.text


def test_a_station_without_rows_on_the_page_has_no_table(
    client: FlaskClient, writer: Writer
) -> None:
    writer.submit(pico(1013.25, NINE))
    writer.step()
    for query in ("", "&measurement=co2&measurement=pressure"):
        text = client.get(f"/history?from=all{query}").text
        assert table_names(text) == ["Pico"]
        assert body_rows(text) == [
            ["Sun 24 Aug 2025, 09:00:00", "1013.2", "25.1"][: 2 if query else 3]
        ]


@pytest.mark.usefixtures("four")
def test_the_head_turns_the_order_without_a_script(client: FlaskClient) -> None:
    kept = "endpoint=data&from=2025-08-24"
    text = client.get(f"/history?{kept}&cursor=before:{NINE * 2}:9").text
    (turned,) = Outline(text).hrefs(f"/history?{kept}&order=asc")
    assert turned == f"/history?{kept}&order=asc#shown"
    text = client.get(turned).text
    assert f'href="/history?{kept.replace("&", "&amp;")}#shown"' in text
    assert 'aria-sort="ascending"' in text and 'aria-sort="descending"' not in text


def test_a_page_has_fifty_rows(client: FlaskClient, writer: Writer) -> None:
    for number in range(120):
        writer.submit(pico(number, NINE + number))
    writer.step()
    text = client.get("/history?from=all").text
    assert [row[1] for row in body_rows(text)] == [f"{n}.0" for n in range(119, 69, -1)]
    (older,) = Outline(text).hrefs("/history?cursor=before")
    assert body_rows(client.get(older).text)[0][1] == "69.0"
    assert len(body_rows(client.get("/history?limit=100&from=all").text)) == 100


@pytest.mark.usefixtures("four")
def test_the_page_is_well_formed_labelled_and_without_inline_code(client: FlaskClient) -> None:
    for url in ("/history?co2__gt=1", "/history?limit=1", "/history?x=1", "/history?from=now"):
        text = client.get(url).text
        page = Outline(text)
        assert text.startswith("<!doctype html>")
        assert page.all("html") == [{"lang": "en", "data-theme": "auto"}]
        assert page.all("script") and all("src" in script for script in page.all("script"))
        assert page.all("style") == []
        assert not [a for _, a in page.tags for name in a if name == "style" or name[:2] == "on"]
        assert all("scope" in heading for heading in page.all("th"))
        identities = [a["id"] for _, a in page.tags if "id" in a]
        assert len(identities) == len(set(identities))


# --- Cards -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("four")
def test_a_card_shows_latest_values_age_state_and_what_is_missing(
    client: FlaskClient, gauges: Gauges, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.monotonic_ns", lambda: 500_000 * 1_000_000)
    for endpoint, heard_ms in zip(
        BUILT_IN.by_endpoint, (488_000, 380_000, 379_000, 1_000), strict=True
    ):
        gauges.note_received(endpoint, heard_ms)
    cards = [words(part) for part in client.get("/history").text.split("<article")[1:]]
    assert "Pico data 12 s ago Pressure 1013.2 hPa Temperature 25.1 °C" in cards[0]
    assert "2 min ago CO₂ 650 ppm" in cards[1]
    assert "no data for 2 min Temperature 30.2 °C" in cards[2]
    assert "Pressure 994.5 hPa Gas resistance – ▲ missing" in cards[2]
    assert "no data for 8 min" in cards[3]
    assert "Voltage 0.000 V Temperature (DS18B20) – ▲ missing Temperature (DHT11)" in cards[3]


def test_a_missing_value_keeps_its_place_with_the_last_one_and_its_age(
    client: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = [
        Reading("data2", NINE, (650.0, 26.5, 48.0, 996.5, 30008.071029971998)),
        Reading("data2", NINE + MINUTE, (651.0, None, None, 996.6, None)),
    ]
    with database.commit() as connection:
        insert_readings(connection, readings)
    monkeypatch.setattr("time.time_ns", lambda: (NINE + 4 * MINUTE) * 1_000_000)
    card = client.get("/history").text.split("<article")[1].partition("</article>")[0]
    assert words(card).endswith(
        "CO₂ 651 ppm Temperature 26.5 °C ▲ missing, 4 min ago"
        " Humidity 48.0 % ▲ missing, 4 min ago"
        " Pressure 996.6 hPa Gas resistance 30,008 Ω ▲ missing, 4 min ago"
    )
    assert card.count('datetime="2025-08-24T09:00:00.250+09:00"') == 3
    client.set_cookie("lang", "ja")
    card = words(client.get("/history").text.split("<article")[1])
    assert "湿度 48.0 % ▲ 欠測（ 4分前 の値）" in card


@pytest.mark.usefixtures("four")
def test_each_thing_that_is_set_has_a_chip_that_takes_it_away(client: FlaskClient) -> None:
    def chips(query: str) -> dict[str, str]:
        text = client.get(f"/history?{query}").text.partition('class="chips"')[2]
        found = re.findall(r'href="([^"]*)"[^>]*>([^<]*)<', text.partition("</ul>")[0])
        return {name.strip(): href.replace("&amp;", "&") for href, name in found}

    kept = "from=-24h&endpoint=data2&endpoint=data3"
    assert chips(f"{kept}&co2__gte=500&measurement=co2&cursor=after:1:1&limit=7&order=asc") == {
        "Bedroom": "/history?from=-24h&endpoint=data3"
        "&co2__gte=500&measurement=co2&limit=7&order=asc",
        "Outside": "/history?from=-24h&endpoint=data2"
        "&co2__gte=500&measurement=co2&limit=7&order=asc",
        "CO₂ ≥ 500 ppm": f"/history?{kept}&measurement=co2&limit=7&order=asc",
        "CO₂": f"/history?{kept}&co2__gte=500&limit=7&order=asc",
        "7 rows a page": f"/history?{kept}&co2__gte=500&measurement=co2&order=asc",
        "oldest first": f"/history?{kept}&co2__gte=500&measurement=co2&limit=7",
        "Clear all": "/history?from=-24h",
    }
    assert chips("incomplete=1") == {"incomplete only": "/history?from=-24h"}
    assert chips("from=-24h&to=now") == chips("") == chips("endpoint=data&limit=0") == {}


def test_a_station_that_was_never_heard_says_so(client: FlaskClient) -> None:
    assert "<article" not in client.get("/history").text
    # An address that names it has it.
    (card,) = client.get("/history?endpoint=data3").text.split("<article")[1:]
    assert "no data yet" in card and "No value yet" in card and "data-age" not in card


def test_a_card_goes_by_the_arrival_of_a_late_reading(
    client: FlaskClient, database: Database
) -> None:
    """Also when nothing is heard since a restart."""
    arrived_at = int(time.time() * 1000) - 30_000
    late = Reading("data", NINE, (1013.25, 25.1), arrived_at=arrived_at)
    with database.commit() as connection:
        insert_readings(connection, [late])
    card = words(client.get("/history").text.split("<article")[1])
    assert "Pico data 3" in card


@pytest.mark.usefixtures("four")
def test_a_card_leads_to_its_station_and_back(client: FlaskClient) -> None:
    kept = "from=2025-08-24&limit=10"
    page = Outline(
        client.get(f"/history?{kept}&measurement=voltage&co2__gt=1&cursor=after:1:1").text
    )
    assert f"/history?{kept}&endpoint=data2" in page.hrefs("/history")
    chosen = Outline(client.get(f"/history?{kept}&endpoint=data2").text)
    (current,) = [a for a in chosen.all("a") if str(a.get("aria-label")) == "Deselect Bedroom"]
    assert (current["href"], current["aria-current"]) == (f"/history?{kept}", "true")
    (other,) = [a for a in chosen.all("a") if a.get("aria-label") == "Select Outside as well"]
    assert (other["href"], "aria-current" in other) == (
        f"/history?{kept}&endpoint=data2&endpoint=data3",
        False,
    )


# --- Filters ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("four")
def test_the_form_keeps_what_was_asked(client: FlaskClient) -> None:
    url = "/history?endpoint=data2&measurement=co2&incomplete=1&from=-30d&to=&order=asc&limit=7"
    text = client.get(f"{url}&co2__gt=5&voltage__isnull=0&co2__gte=").text
    page = Outline(text)
    checked = [a["value"] for a in page.all("input") if "checked" in a]
    assert checked == ["data2", "co2", "1"]
    assert (page.field("from")["value"], page.field("limit")["value"]) == ("-30d", "7")
    assert page.field("co2__gt")["value"] == "5"
    assert [a["value"] for a in page.all("option") if "selected" in a] == ["asc", "0"]
    assert "Values (2 set)</summary>" in text


def test_without_its_filters_the_page_looks_at_readings_as_before(client: FlaskClient) -> None:
    view = {"raw": "1", "compare": "day", "off": "data.pressure"}
    asked = view | {"from": "-1h", "incomplete": "1", "pressure__gte": "5000"}
    page = client.get("/history", query_string=asked).text
    links = [unescape(one) for one in re.findall(r'href="(/history\?[^"]*)"', page)]
    plain = [parse_qs(urlsplit(one).query) for one in links if "pressure__gte" not in one]
    kept = {name: [value] for name, value in view.items()}
    # Those of the chips and of the empty table, and that of the navigation without a query.
    assert plain.count(kept | {"from": ["-1h"]}) == 2, plain
    assert '<input type="hidden" name="raw" value="1">' in page
    assert 'name="raw"' not in client.get("/history").text


@pytest.mark.usefixtures("four")
def test_the_filter_unfolds_only_when_it_is_wrong(client: FlaskClient) -> None:
    def unfolded(query: str) -> list[bool]:
        filters = section(client.get(f"/history?{query}").text, "filter")
        panel = filters.partition('class="drop panel"')[2].partition("</form>")[0]
        return [tag.endswith(" open>") for tag in re.findall("<details[^>]*>|^[^>]*>", panel)]

    assert unfolded("endpoint=data&from=-24h") == unfolded("measurement=co2") == [False, False]
    assert unfolded("incomplete=1") == unfolded("co2__gte=") == [False, False]
    assert unfolded("limit=0") == [True, False]
    assert unfolded("co2__gte=1") == [False, True]
    assert unfolded("co2__gte=x") == [True, True]


@pytest.mark.usefixtures("four")
def test_the_pages_lead_to_each_other(client: FlaskClient) -> None:
    kept = "endpoint=data&endpoint=data2&limit=1&from=all"

    paged = kept.removesuffix("&from=all")

    def hrefs(url: str) -> list[str]:
        page = client.get(url).text
        text = page.split('<nav class="pages"')[1].split("</nav>")[0]
        # The same links stand above the table.
        assert " ".join(page.split('<p class="pages">')[1].split("</p>")[0].split()) in " ".join(
            text.split()
        )
        return Outline(f"<nav {text}</nav>").hrefs("/history")

    (older,) = hrefs(f"/history?{kept}")
    assert older == f"/history?{paged}&cursor=before:{NINE + MINUTE}:2&from=all#shown"
    start, newer = hrefs(older)
    assert start == f"/history?{kept}#shown"
    assert newer == f"/history?{paged}&cursor=after:{NINE}:1&from=all#shown"
    assert table_names(client.get(newer).text) == ["Bedroom"]


@pytest.mark.usefixtures("four")
def test_the_downloads_hold_exactly_what_is_filtered(client: FlaskClient) -> None:
    parameters = "endpoint=data2&measurement=co2&temperature__gt=20&order=desc"
    text = client.get(f"/history?{parameters}&limit=5&cursor=before:{NINE * 2}:9").text
    page = Outline(text)
    for href in (f".csv?{parameters}", f".csv?{parameters}&bom=1", f".json?{parameters}"):
        assert page.hrefs(f"/history{href}")
    (field,) = [a for a in page.all("input") if a.get("id") == "curl"]
    curl = shlex.split(str(field["value"]))
    assert curl == ["curl", f"http://localhost/history.json?{parameters}"]
    assert len(client.get(curl[1]).get_json()) == 1


# --- Ranges ----------------------------------------------------------------------------------


def ranges(client: FlaskClient, query: str) -> dict[str, dict[str, list[str]]]:
    """Each link of the quick ranges by its text, with the parameters it leads to."""
    text = client.get(f"/history?{query}").text.split('class="ranges"')[1].split("</nav>")[0]
    found = re.findall(r'<a [^>]*href="([^"]*)"[^>]*>([^<]*)</a>', text)
    return {name: parse_qs(urlsplit(href.replace("&amp;", "&")).query) for href, name in found}


def test_quick_ranges_keep_everything_else(client: FlaskClient) -> None:
    found = ranges(
        client, "endpoint=data2&from=2025-08-24&to=2025-08-25&co2__gt=1&cursor=after:1:1"
    )
    kept = {"endpoint": ["data2"], "co2__gt": ["1"]}
    assert list(found) == ["←", "1 h", "6 h", "24 h", "7 d", "30 d", "1 y", "All", "→"]
    assert found["24 h"] == {**kept, "from": ["-24h"]}
    assert found["All"] == {**kept, "from": ["all"]}
    assert found["←"] == {
        **kept,
        "from": ["2025-08-22 00:00:00"],
        "to": ["2025-08-23 23:59:59"],
    }
    assert found["→"] == {
        **kept,
        "from": ["2025-08-26 00:00:00"],
        "to": ["2025-08-27 23:59:59"],
    }


def test_the_chosen_range_is_marked_and_nothing_is_later_than_now(client: FlaskClient) -> None:
    text = client.get("/history?from=-24h").text.split('class="ranges"')[1].split("</nav>")[0]
    (chosen,) = [a for a in Outline(f"<nav {text}</nav>").all("a") if "aria-current" in a]
    assert chosen["href"] == "/history?from=-24h"
    assert "→" not in text and "←" in text
    assert "←" not in ranges(client, "from=all")


def test_after_an_arrow_the_length_is_marked_and_the_dates_are_shown(client: FlaskClient) -> None:
    day = "from=2025-08-24&to=2025-08-24"
    page = client.get(f"/history?{day}").text
    text = page.split('class="ranges"')[1].split("</nav>")[0]
    (chosen,) = [a for a in Outline(f"<nav {text}</nav>").all("a") if "aria-current" in a]
    assert chosen["href"] == "/history?from=-24h"
    assert '<p class="dates">Sun 24 Aug 2025</p>' in page
    odd = client.get("/history?from=2025-08-24").text
    assert '<p class="dates">Sun 24 Aug 2025 –</p>' in odd
    assert 'class="dates"' not in client.get("/history?from=-24h").text


@pytest.mark.usefixtures("four")
def test_a_range_after_now_says_so(client: FlaskClient) -> None:
    text = client.get("/history?from=2150-01-01&to=2150-01-01").text
    empty = words(text.split('class="empty"')[1].split("</section>")[0])
    assert "This range has not begun yet." in empty
    assert "Show up to now: " in empty and "Look wider" not in empty


def test_no_range_is_marked_when_nothing_was_looked_up(client: FlaskClient) -> None:
    text = client.get("/history?limt=1").text.split('class="ranges"')[1].split("</nav>")[0]
    assert "aria-current" not in text


# --- What is wrong, and what is not there ----------------------------------------------------


@pytest.mark.usefixtures("four")
def test_a_bad_value_shows_the_form_again_with_the_reason_beside_its_field(
    client: FlaskClient,
) -> None:
    answer = client.get("/history?endpoint=data3&limit=many&co2__gte=1e3&limt=1")
    assert answer.status_code == 400
    page = Outline(answer.text)
    for name, value in (("limit", "many"), ("co2__gte", "1e3")):
        field = page.field(name)
        assert (field["value"], field["aria-invalid"]) == (value, "true")
        assert field["aria-describedby"] == f"error-{name}"
        assert f'id="error-{name}"' in answer.text
    assert "<code>limt</code>: unknown parameter (did you mean limit?)" in answer.text
    assert "<li>CO₂ at least: a plain number" in answer.text
    assert [a["value"] for a in page.all("input") if "checked" in a] == ["data3"]
    assert page.all("table") == []
    assert len(page.all("article")) == 4


def test_what_was_asked_is_escaped(client: FlaskClient) -> None:
    answer = client.get('/history?from=<script>"&<b>x=1&order=<i>&co2__gt=<u>')
    assert answer.status_code == 400
    for bad in ("<script>", "<b>", "<i>", "<u>", 'value="&lt;script&gt;""'):
        assert bad not in answer.text
    assert 'value="&lt;script&gt;&#34;"' in answer.text


@pytest.mark.usefixtures("four")
def test_an_empty_result_says_so_and_offers_a_wider_one(client: FlaskClient) -> None:
    text = client.get("/history?endpoint=data&endpoint=data2&from=-1h").text
    empty = words(text.split('class="empty"')[1].split("</section>")[0])
    assert "No readings: Pico, Bedroom, from " in empty
    assert "Pico: Sun 24 Aug 2025, 09:00" in empty
    assert "Bedroom: Sun 24 Aug 2025, 09:01" in empty
    assert "Outside:" not in empty
    assert "Wider range: All" in empty
    assert "Without conditions" not in empty
    narrow = client.get("/history?endpoint=data&temperature__gt=100&limit=9&from=all").text
    assert "Look wider" not in narrow
    assert "Without conditions" in narrow
    assert "/history?endpoint=data&from=all" in Outline(narrow).hrefs("/history")


def test_an_empty_database_says_so(client: FlaskClient) -> None:
    text = client.get("/history?from=all").text
    assert "No readings: all stations, newest first." in text
    # Nothing is wider than an empty database, and what it lacks needs no list.
    assert "none yet" not in text and "Look wider" not in client.get("/history?from=-1h").text


def test_an_empty_database_shows_how_to_send_the_first_reading(
    client: FlaskClient, writer: Writer
) -> None:
    empty = words(client.get("/history", base_url="http://pi.local:8888").text)
    (line,) = re.findall(r"curl -H .* http://pi\.local:8888/data", empty)
    _, _, kind, _, body, _ = shlex.split(line)
    assert client.post("/data", data=body, content_type=kind.partition(": ")[2]).status_code == 200
    writer.step()
    assert "curl -H" not in client.get("/history?from=-1h&to=-1h").text


# --- What the scripts get --------------------------------------------------------------------


@pytest.mark.usefixtures("four")
def test_live_updates_ask_for_what_the_page_would_show(client: FlaskClient) -> None:
    def live(query: str) -> tuple[str | None, str | None]:
        (table,) = [
            a
            for a in Outline(client.get(f"/history?{query}").text).all("section")
            if a.get("id") == "table"
        ]
        return table.get("data-live"), table.get("data-last-id")

    parameters = "endpoint=data2&from=-24h&co2__gt=5"
    assert live(f"{parameters}&limit=9") == (f"/history/json?{parameters}", "4")
    assert live("from=all") == ("/history/json", "4")
    assert live("") == ("/history/json?from=-24h", "4")
    for older in ("order=asc", "to=2025-08-24", "cursor=after:1:1"):
        assert live(older) == (None, None)


@pytest.mark.parametrize("made", [True, False])
def test_the_page_says_how_to_get_the_charts(
    client: FlaskClient, made: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    here, nowhere = history_page.__file__, f"{tmp_path}/nowhere.js"
    monkeypatch.setattr(
        history_page, "CHARTS", type(history_page.CHARTS)(here if made else nowhere)
    )
    text = client.get("/history?from=-6h&limit=3").text
    assert ("vendor/uPlot" in text, "make static" in text) == (made, not made)
    monkeypatch.setattr(settings, "CHECKOUT", Path(f"{tmp_path}/site-packages"))
    text = client.get("/history?from=-6h&limit=3").text
    # A package came without a Makefile.
    assert ("vendor/uPlot" in text, "install Flask10X again" in text) == (made, not made)
    assert "make static" not in text
    (charts,) = [a for a in Outline(text).all("section") if a.get("id") == "charts"]
    assert charts["data-series"] == "/history/series?from=-6h"
    texts = json.loads(str(charts["data-texts"]))
    assert texts["stations"]["data2"] == "Bedroom"
    assert "data-words" not in text
    japanese = client.get("/history", headers={"Accept-Language": "ja"}).text
    words = json.loads(str(Outline(japanese).all("body")[0]["data-words"]))
    assert words["{duration} ago"] == "{duration}前"


def test_a_station_without_a_text_is_called_by_its_label(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, writer: Writer
) -> None:
    monkeypatch.delitem(labels.STATIONS, "data2")
    writer.submit(Reading("data2", NINE, (650.0, 26.5, 48.0, 996.5, 5419.0)))
    writer.step()
    assert table_names(client.get("/history?from=all").text) == ["Bedroom (MH-Z19, BME680)"]


class Unmodelled(Undefined):
    """Raises for an attribute that a part of the model does not have."""

    def __init__(self, hint: str | None = None, obj: Any = None, *more: Any, **named: Any) -> None:
        super().__init__(hint, obj, *more, **named)
        assert not is_dataclass(obj), self._undefined_message


@pytest.mark.usefixtures("four")
@pytest.mark.parametrize(
    "query", ["", "limit=1&co2__lt=700", "from=2000-01-01&to=2000-01-02", "x=1"]
)
def test_templates_name_only_what_the_model_has(client: FlaskClient, query: str) -> None:
    client.application.jinja_env.undefined = Unmodelled
    assert client.get(f"/history?{query}").status_code == (400 if query == "x=1" else 200)


# --- Nothing is stored -----------------------------------------------------------------------


def test_a_sound_database_has_no_notice(client: FlaskClient) -> None:
    assert 'id="halt"' not in client.get("/history").text


@pytest.mark.parametrize(
    ("language", "title"),
    [("en", "Readings are not being stored"), ("ja", "測定値を保存していません")],
)
def test_a_damaged_database_is_announced_at_the_top(
    client: FlaskClient, store: Store, language: str, title: str
) -> None:
    store.database.damage.report("x<y>-wal was deleted")
    (reason,) = client.get("/readyz").get_json()["reasons"]
    client.set_cookie("lang", language)
    for url, status in (("/history", 200), ("/history?from=never", 400)):
        answer = client.get(url)
        assert answer.status_code == status
        before, notice = answer.text.split('id="halt"')[0], section(answer.text, "halt")
        assert title in notice and 'id="cards"' not in before
        assert f'<p lang="en"><code>{escape(reason)}</code></p>' in notice
        assert "flask10x restore FILE" in notice


def test_the_notice_names_the_rescued_copy(client: FlaskClient, store: Store) -> None:
    store.database.damage.report("gone")
    store.gauges.rescued = "flask10x.sqlite3.rescued-20250824-090000"
    copy = store.database.path.with_name(store.gauges.rescued)
    notice = section(client.get("/history").text, "halt")
    assert f"flask10x restore {copy}</code>" in notice and "restore FILE" not in notice


def test_the_notice_says_to_wait_for_the_copy(client: FlaskClient, store: Store) -> None:
    store.gauges.taken_away = 1
    store.database.damage.report("gone")
    notice = section(client.get("/history").text, "halt")
    assert notice.count("o not stop the service") == 2, "in the reason and below it"
    assert "flask10x restore" not in notice


def test_a_suspicion_is_announced_as_one(client: FlaskClient, store: Store) -> None:
    store.database.damage.suspect("malformed")
    notice = section(client.get("/history").text, "halt")
    assert "storing resumes by itself" in notice and "malformed" in notice
    assert "flask10x restore" not in notice


def test_an_address_is_a_code_for_a_phone(client: FlaskClient) -> None:
    answer = client.get("/history/address.svg?from=2025-08-24&to=2025-08-25")
    assert (answer.status_code, answer.mimetype) == (200, "image/svg+xml")
    assert answer.data.startswith(b"<svg") and b"#fff" in answer.data
    # It is of the page alone, with a query that the page takes.
    assert client.get("/history/address.svg?from=yesterday").status_code == 400
    long = client.get(f"/history/address.svg?from=2025-08-24{'&endpoint=data' * 300}")
    assert long.status_code == 400


@pytest.mark.parametrize(
    "query", ["from=2025-08-24&to=9999-12-31", "from=1970-01-01T00:00:00%2B00:00"]
)
def test_the_last_and_the_first_time_can_be_asked_for(client: FlaskClient, query: str) -> None:
    assert client.get(f"/history?{query}").status_code == 200


def test_a_code_cannot_hold_every_address(client: FlaskClient) -> None:
    answer = client.get(f"/history/address.svg?from=2025-08-24&off={'data2.co2,' * 350}data2.co2")
    assert answer.status_code == 400
    assert "the address is too long for a QR code" in answer.text


def test_the_files_are_of_the_view_of_the_last_month_and_of_everything(
    client: FlaskClient,
) -> None:
    page = Outline(client.get("/history?endpoint=data2&from=-24h").text)
    for kind in ("csv", "json"):
        found = [href for href in page.hrefs(f"/history.{kind}") if "bom" not in href]
        assert len(found) == 3
        assert all("endpoint=data2" in href for href in found)
        assert ["from=" in href for href in found] == [True, True, False]


@pytest.mark.usefixtures("four")
def test_a_hidden_station_is_left_out_unless_the_address_names_it(
    make_app: MakeApp, tmp_path: Path
) -> None:
    file = tmp_path / "hidden.toml"
    file.write_text("[stations.data3]\nhidden = true\n", encoding="utf-8")
    client = make_app(STATIONS=str(file)).test_client()
    page = client.get("/history?from=all").text
    assert "Outside" not in words(page) and "Bedroom" in words(page)
    assert "all stations" in words(page)
    # Charts, newer readings and files have the others; the page itself goes on naming none.
    address = unescape(page.partition('data-series="')[2].partition('"')[0])
    assert address == "/history/series?endpoint=data&endpoint=data2&endpoint=data4"
    lines = client.get(address).get_json()["series"]
    assert {line["endpoint"] for line in lines} == {"data", "data2", "data4"}
    assert "endpoint=data3" not in page and "/history?endpoint=data&amp;endpoint=data2" not in page
    named = words(client.get("/history?from=all&endpoint=data3").text)
    assert "Outside" in named and "30.2" in named
    for path in ("/", "/records", "/status", "/history/rejected"):
        assert "Outside" not in words(client.get(path).text), path
    # Programs see no difference.
    assert "data3" in client.get("/api/v1/latest").get_json()["stations"]
    assert client.get("/history.csv").text.count("data3") == 1


def test_a_retired_station_keeps_its_history_and_no_silence_is_reported(
    make_app: MakeApp, writer: Writer, tmp_path: Path
) -> None:
    hour_ago_ms = time.time_ns() // 1_000_000 - 60 * MINUTE
    for at_ms, name, values in (
        (hour_ago_ms, "data3", (3.5, 61.0, 994.5, 5000.0)),
        (hour_ago_ms + 59 * MINUTE, "data", (1013.25, 25.1)),
    ):
        writer.submit(Reading(name, at_ms, values))
    writer.step()
    file = tmp_path / "retired.toml"

    def pages(text: str) -> dict[str, str]:
        file.write_text(text, encoding="utf-8")
        client = make_app(STATIONS=str(file)).test_client()
        paths = ("/", "/history", "/records", "/status")
        return {path: words(client.get(path).text) for path in paths}

    before, after = pages(""), pages("[stations.data3]\nretired = true\n")
    assert all("Outside" in text for text in before.values())
    assert "sensors that send: 1 of 2" in before["/status"] and "Outside" not in after["/"]
    assert "Outside data3 retired, 60 min ago" in after["/history"]
    assert "Outside" in after["/records"]
    # Nothing awaits it: neither in the sentence nor in the row.
    assert "All is well" in after["/status"] or "waits for: Outside" not in after["/status"]
    assert "waits for: Outside" in before["/status"]
    assert "sensors that send: 1 of 1" in after["/status"]
    assert "Outside retired" in after["/status"]
