"""Local text and the bounds of `from` and `to`; every instant below is worked out by hand."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask10x.readings import times
from flask10x.readings.times import LocalText, iso_text, local_text, parse_bound, zone_name

TOKYO = ZoneInfo("Asia/Tokyo")
NEW_YORK = ZoneInfo("America/New_York")
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
# 2025-08-24 09:00:00 in Tokyo, midnight in UTC.
NINE = 1_755_993_600_000
# New York puts its clock forward on 2025-03-09 at 07:00 UTC, back on 2025-11-02 at 06:00 UTC.
SPRING, AUTUMN = 1_741_503_600_000, 1_762_063_200_000
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000

SetZone = Callable[[str], None]


@pytest.fixture
def set_system_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[SetZone]:
    """Make the system's zone another one for this test."""

    def change(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield change
    monkeypatch.undo()
    time.tzset()


def since(text: str, zone: tzinfo | None = TOKYO, now_ms: int = NINE) -> int:
    return parse_bound(text, zone, now_ms, end=False)


def until(text: str, zone: tzinfo | None = TOKYO, now_ms: int = NINE) -> int:
    return parse_bound(text, zone, now_ms, end=True)


@pytest.mark.parametrize(
    ("ms", "zone", "expected"),
    [
        (NINE, TOKYO, "2025-08-24 09:00:00"),
        (NINE + 999, TOKYO, "2025-08-24 09:00:00"),
        (NINE - 1, TOKYO, "2025-08-24 08:59:59"),
        (0, TOKYO, "1970-01-01 09:00:00"),
        (-1, TOKYO, "1970-01-01 08:59:59"),
        (SPRING - 1, NEW_YORK, "2025-03-09 01:59:59"),
        (SPRING, NEW_YORK, "2025-03-09 03:00:00"),
        (AUTUMN - 1, NEW_YORK, "2025-11-02 01:59:59"),
        (AUTUMN, NEW_YORK, "2025-11-02 01:00:00"),
        (NINE, ZoneInfo("Asia/Kathmandu"), "2025-08-24 05:45:00"),
    ],
)
def test_local_text(ms: int, zone: tzinfo, expected: str) -> None:
    assert local_text(ms, zone) == expected
    assert LocalText(zone)(ms) == expected


def test_local_text_of_the_systems_zone(set_system_zone: SetZone) -> None:
    set_system_zone("America/New_York")
    assert local_text(SPRING, None) == "2025-03-09 03:00:00"
    assert LocalText(None)(SPRING - 1) == "2025-03-09 01:59:59"


def test_one_object_passes_a_clock_change_in_both_directions() -> None:
    text = LocalText(NEW_YORK)
    instants = (AUTUMN - 1000, AUTUMN, AUTUMN - 1000, SPRING, SPRING - 1000)
    assert [text(ms)[11:] for ms in instants] == [
        "01:59:59",
        "01:00:00",
        "01:59:59",
        "03:00:00",
        "01:59:59",
    ]


def test_a_change_inside_a_quarter_of_an_hour() -> None:
    # Liberia left its offset of -0:44:30 on 1972-01-07 at 00:44:30 UTC.
    text = LocalText(ZoneInfo("Africa/Monrovia"))
    change = 63_593_070_000
    assert [text(change - 1), text(change), text(change - 1)] == [
        "1972-01-06 23:59:59",
        "1972-01-07 00:44:30",
        "1972-01-06 23:59:59",
    ]


@given(
    st.lists(st.integers(-2_000_000_000_000, 250_000_000_000_000)),
    st.sampled_from(["Asia/Tokyo", "America/New_York", "Australia/Lord_Howe", "Africa/Monrovia"]),
)
def test_the_fast_way_agrees_with_the_plain_one(instants: list[int], name: str) -> None:
    zone = ZoneInfo(name)
    text = LocalText(zone)
    assert [text(ms) for ms in instants] == [local_text(ms, zone) for ms in instants]


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2025-08-24", NINE - 9 * HOUR, NINE + 15 * HOUR - 1),
        ("2025-08-24T09:00", NINE, NINE + MINUTE - 1),
        ("2025-08-24 09:00", NINE, NINE + MINUTE - 1),
        ("2025-08-24 09:00:00", NINE, NINE + 999),
        ("2025-08-24 09:00:00.5", NINE + 500, NINE + 599),
        ("2025-08-24 09:00:00.12", NINE + 120, NINE + 129),
        ("2025-08-24 09:00:00.123", NINE + 123, NINE + 123),
        ("2025-08-24 09:00:00.123987", NINE + 123, NINE + 123),
        ("2025-08-24T00:00Z", NINE, NINE + MINUTE - 1),
        ("2025-08-24T00:00:00Z", NINE, NINE + 999),
        ("2025-08-23T20:00:00-04:00", NINE, NINE + 999),
        ("2025-08-24T05:30:00.000+0530", NINE, NINE),
        (" 2025-08-24 09:00:00 ", NINE, NINE + 999),
        ("now", NINE, NINE),
        ("-90s", NINE - 90_000, NINE - 90_000),
        ("-30m", NINE - 30 * MINUTE, NINE - 30 * MINUTE),
        ("-24h", NINE - DAY, NINE - DAY),
        ("-7d", NINE - 7 * DAY, NINE - 7 * DAY),
        ("-2w", NINE - 14 * DAY, NINE - 14 * DAY),
        ("-3mo", NINE - 90 * DAY, NINE - 90 * DAY),
        ("-1y", NINE - 365 * DAY, NINE - 365 * DAY),
    ],
)
def test_a_bound_covers_all_of_what_is_written(text: str, first: int, last: int) -> None:
    assert since(text) == first
    assert until(text) == last


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a time"),
        ("yesterday", "not a time"),
        ("2025-08", "not a time"),
        ("2025-8-4", "not a time"),
        ("2025-08-24T09", "not a time"),
        ("2025-08-24T", "not a time"),
        ("2025-08-24Z", "not a time"),
        ("2025-08-24T09:00:00,5", "not a time"),
        ("2025-08-24T09:00:00+9", "not a time"),
        ("２０２５-08-24", "not a time"),
        ("1755993600000", "not a time"),
        ("24h", "not a time"),
        ("-24", "not a time"),
        ("-1.5h", "not a time"),
        ("-0000000001h", "not a time"),
        ("2025-08-24T09:00:00 09:00", "write the offset as %2B09:00"),
        ("2025-08-24T09:00 0900", "write the offset as %2B09:00"),
        ("2025-02-29", "no such time: day is out of range for month"),
        ("2025-13-01", "no such time: month must be in 1..12"),
        ("2025-08-24T24:00", "no such time: hour must be in 0..23"),
        ("2025-08-24T09:60", "no such time: minute must be in 0..59"),
        ("2025-08-24T09:00:60", "no such time: second must be in 0..59"),
        ("2025-08-24T09:00+24:00", r"no such offset: \+24:00"),
        ("2025-08-24T09:00+09:60", r"no such offset: \+09:60"),
        ("1969-12-31", "only the years 1970 to 9999"),
        ("0000-01-01", "only the years 1970 to 9999"),
        ("-3000w", "reaches back beyond the year 1970"),
        ("-999999999w", "reaches back beyond the year 1970"),
    ],
)
def test_anything_else_is_refused_with_the_reason(text: str, reason: str) -> None:
    for read in (since, until):
        with pytest.raises(ValueError, match=reason):
            read(text)


@pytest.mark.parametrize("zone", [NEW_YORK, None])
@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        # 01:30 happens twice in autumn: half an hour before the change and half an hour after.
        ("2025-11-02T01:30", AUTUMN - 30 * MINUTE, AUTUMN + 31 * MINUTE - 1),
        ("2025-11-02", AUTUMN - 2 * HOUR, AUTUMN + 23 * HOUR - 1),
        # 02:30 is skipped in spring: it means the change itself.
        ("2025-03-09T02:30", SPRING, SPRING - 1),
        ("2025-03-09T02:00", SPRING, SPRING - 1),
        ("2025-03-09T02:59", SPRING, SPRING - 1),
        ("2025-03-09T01:59", SPRING - MINUTE, SPRING - 1),
        ("2025-03-09T03:00", SPRING, SPRING + MINUTE - 1),
        ("2025-03-09", SPRING - 2 * HOUR, SPRING + 21 * HOUR - 1),
    ],
)
def test_clock_changes(
    text: str, first: int, last: int, zone: tzinfo | None, set_system_zone: SetZone
) -> None:
    set_system_zone("America/New_York")
    assert since(text, zone) == first
    assert until(text, zone) == last


def test_a_day_that_begins_at_one_o_clock_and_a_day_with_its_last_hour_twice() -> None:
    # São Paulo, 2018: forward on 11-04 at 00:00 (03:00 UTC), back on 02-18 at 00:00 (02:00 UTC).
    begins_at_one, hour_twice = 1_541_300_400_000, 1_518_919_200_000
    assert since("2018-11-04", SAO_PAULO) == begins_at_one
    assert until("2018-11-03", SAO_PAULO) == begins_at_one - 1
    assert until("2018-02-17", SAO_PAULO) == hour_twice + HOUR - 1
    assert since("2018-02-18", SAO_PAULO) == hour_twice + HOUR


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York", "Pacific/Kiritimati", "UTC"])
def test_the_first_and_the_last_year(zone: str, set_system_zone: SetZone) -> None:
    set_system_zone(zone)
    for text in ("1970-01-01", "9999-12-31", "9999-12-31T23:59:59Z", "9999-12-31T23:59-14:00"):
        for read in (since, until):
            assert read(text, None) == read(text, ZoneInfo(zone))
    assert until("9999-12-31T23:59:59Z", None) == 253_402_300_799_999


@given(st.text(alphabet="0123456789-:TZ+. now smhdwoy", max_size=30))
def test_any_text_gives_an_instant_or_a_reason(text: str) -> None:
    for read in (since, until):
        try:
            assert isinstance(read(text), int)
        except ValueError as error:
            assert str(error)


@given(
    st.integers(DAY, 250_000_000_000_000),
    st.sampled_from(["Asia/Tokyo", "America/New_York", "Asia/Kathmandu", "UTC"]),
)
def test_iso_text_is_read_back(ms: int, name: str) -> None:
    zone = ZoneInfo(name)
    assert since(iso_text(ms, zone), TOKYO) == until(iso_text(ms, zone), TOKYO) == ms


def test_iso_text() -> None:
    assert iso_text(NINE + 7, TOKYO) == "2025-08-24T09:00:00.007+09:00"


@pytest.mark.parametrize("name", ["Asia/Tokyo", "America/New_York", "UTC"])
@pytest.mark.parametrize("text", ["9999-12-31", "9999-12-31 23:59Z", "9999-12-31 23:59-12:00"])
def test_the_end_of_the_calendar_has_a_text_in_each_zone(name: str, text: str) -> None:
    zone = ZoneInfo(name)
    shown = iso_text(until(text, zone), zone)
    assert shown.startswith("9999-12-31T")
    assert until(shown, zone) <= until(text, zone)


@given(
    st.integers(1_700_000_000_000, 1_800_000_000_000),
    st.sampled_from(["Asia/Tokyo", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"]),
)
def test_the_time_a_page_shows_finds_the_reading_again(ms: int, name: str) -> None:
    zone = ZoneInfo(name)
    shown = local_text(ms, zone)
    assert since(shown, zone) <= ms <= until(shown, zone)


def test_the_name_of_a_zone() -> None:
    assert zone_name(ZoneInfo("Asia/Tokyo")) == "Asia/Tokyo"
    assert zone_name(UTC) == "UTC"


def test_the_name_of_the_systems_zone(
    set_system_zone: SetZone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "zoneinfo" / "Asia" / "Tokyo"
    file.parent.mkdir(parents=True)
    file.touch()
    link = tmp_path / "localtime"
    link.symlink_to(file)
    monkeypatch.setattr(times, "SYSTEM_ZONE", link)
    set_system_zone("Asia/Tokyo")
    assert zone_name(None) == "Asia/Tokyo"
    # Under TZ alone, and as a rule that browsers don't know.
    for name in ("America/Caracas", ":America/Caracas", f"{file.parents[1]}/America/Caracas"):
        set_system_zone(name.replace(str(file.parents[1]), "/usr/share/zoneinfo"))
        assert zone_name(None) == "America/Caracas"
    set_system_zone("<-04>4")
    assert zone_name(None) == "-04:00"
    link.unlink()
    link.symlink_to(file.with_name("Nowhere"))
    assert zone_name(None) == "-04:00"
    monkeypatch.setattr(times, "SYSTEM_ZONE", tmp_path / "none")
    assert zone_name(None) == "-04:00"
