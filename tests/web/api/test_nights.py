"""Nights of a place: from sunset to sunrise, also where the sun does not set or rise."""

from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient

from flask10x.config.readers import Place
from flask10x.readings.times import DAY_MS, FIRST_DATE_MS, HOUR_MS, LAST_DATE_MS
from flask10x.web.api.series import LONGEST_MS, nights
from tests.conftest import MakeApp

TOKYO = Place(35.6581, 139.7414)
TROMSOE = Place(69.65, 18.96)
# As almanacs give them, to the minute.
NEAR_MS = 90_000


def ms(text: str) -> int:
    """Of a time in UTC."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


# National Astronomical Observatory of Japan: Tokyo, 1 January 2025, 16:38; 2 January, 6:51.
# Then both sides of the date line, and Sydney, where June is winter.
@pytest.mark.parametrize(
    ("place", "first", "sunset", "sunrise"),
    [
        (TOKYO, "2025-01-01 03:00", "2025-01-01 07:38", "2025-01-01 21:51"),
        (TOKYO, "2025-06-21 03:00", "2025-06-21 10:00", "2025-06-21 19:26"),
        (Place(-33.87, 151.2), "2025-06-01 02:00", "2025-06-01 06:54", "2025-06-01 20:52"),
        (Place(35, 180), "2025-06-01 00:00", "2025-06-01 07:08", "2025-06-01 16:47"),
        (Place(35, -180), "2025-06-01 00:00", "2025-06-01 07:08", "2025-06-01 16:47"),
    ],
)
def test_a_night_lasts_from_sunset_to_sunrise(
    place: Place, first: str, sunset: str, sunrise: str
) -> None:
    (night,) = nights(place, ms(first), ms(first) + 20 * HOUR_MS)
    assert night == pytest.approx((ms(sunset), ms(sunrise)), abs=NEAR_MS)


def test_nights_are_cut_at_the_ends_of_the_range() -> None:
    first = ms("2025-01-01 12:00")
    assert nights(TOKYO, first, first + HOUR_MS) == [(first, first + HOUR_MS)]
    noon = ms("2025-01-01 03:00")
    assert nights(TOKYO, noon, noon + HOUR_MS) == []
    assert nights(TOKYO, noon, noon) == []
    assert nights(TOKYO, noon + HOUR_MS, noon) == []
    both = nights(TOKYO, first, first + DAY_MS)
    assert [both[0][0], both[-1][1]] == [first, first + DAY_MS]
    assert len(both) == 2


def test_midnight_sun_and_polar_night() -> None:
    summer, winter = ms("2025-06-10"), ms("2025-12-20")
    assert nights(TROMSOE, summer, summer + 14 * DAY_MS) == []
    whole = (winter, winter + 7 * DAY_MS)
    assert nights(TROMSOE, *whole) == [whole]
    assert nights(Place(-90, 0), summer, summer + DAY_MS) == [(summer, summer + DAY_MS)]


def test_the_last_nights_before_the_midnight_sun() -> None:
    spans = nights(TROMSOE, ms("2025-05-14 12:00"), ms("2025-05-24 12:00"))
    lengths = [until - begin for begin, until in spans]
    assert len(lengths) == 3
    assert lengths == sorted(lengths, reverse=True)


def test_a_long_range_and_one_beyond_the_calendar_have_none() -> None:
    first = ms("2025-01-01")
    assert len(nights(TOKYO, first, first + LONGEST_MS)) == 15
    assert nights(TOKYO, first, first + LONGEST_MS + 1) == []
    assert nights(TOKYO, LAST_DATE_MS - DAY_MS, LAST_DATE_MS) != []
    assert nights(TOKYO, LAST_DATE_MS, LAST_DATE_MS + 1) == []
    assert nights(TOKYO, FIRST_DATE_MS, FIRST_DATE_MS + DAY_MS) != []


@pytest.mark.usefixtures("four")
def test_the_chart_has_nights_where_a_place_is_set(client: FlaskClient, make_app: MakeApp) -> None:
    day = "/history/series?from=2025-08-24&to=2025-08-24"
    assert client.get(day).get_json()["nights"] is None
    housed = make_app(PLACE="35.68,139.77").test_client()
    (before, after) = housed.get(day).get_json()["nights"]
    answer = housed.get(day).get_json()
    assert [before[0], after[1]] == [answer["from_ms"], answer["to_ms"]]
    assert housed.get("/history/series?from=2025-08-01&to=2025-08-24").get_json()["nights"] == []
