"""The names of zones, and which of them tell the same times."""

import shutil
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from flask10x.readings import times
from flask10x.readings.times import DAY_MS, first_difference, unknown_tz, zone_name_of, zone_of

START, END = (int(datetime(year, 6, 1, tzinfo=UTC).timestamp() * 1000) for year in (2025, 2035))


@pytest.fixture
def localtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In the place of /etc/localtime, with no TZ in the environment."""
    monkeypatch.delenv("TZ", raising=False)
    path = tmp_path / "localtime"
    monkeypatch.setattr(times, "SYSTEM_ZONE", path)
    return path


@pytest.fixture
def system_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def change(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    with monkeypatch.context():
        yield change
    monkeypatch.undo()
    time.tzset()


def file_of(name: str) -> Path:
    """The file of a zone on this machine."""
    return next(path for path in (Path("/usr/share/zoneinfo", name),) if path.exists())


def test_a_setting_is_its_own_name() -> None:
    assert zone_name_of(ZoneInfo("Asia/Tokyo")) == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("Asia/Tokyo", "Asia/Tokyo"),
        (":Asia/Tokyo", "Asia/Tokyo"),
        ("/usr/share/zoneinfo/Asia/Tokyo", "Asia/Tokyo"),
        ("JST-9", "JST-9"),
        ("<+09>-9", "<+09>-9"),
        ("CET-1CEST,M3.5.0,M10.5.0/3", "CET-1CEST,M3.5.0,M10.5.0/3"),
        ("", "UTC"),
        ("No/Where", "No/Where"),
    ],
)
def test_the_environments_zone(monkeypatch: pytest.MonkeyPatch, variable: str, name: str) -> None:
    monkeypatch.setenv("TZ", variable)
    assert zone_name_of(None) == name


def test_the_name_behind_the_link(localtime: Path) -> None:
    localtime.symlink_to("/usr/share/zoneinfo/Asia/Tokyo")
    assert zone_name_of(None) == "Asia/Tokyo"


def test_a_tz_that_names_the_systems_file_is_that_zone(
    localtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    localtime.symlink_to("/usr/share/zoneinfo/Asia/Tokyo")
    monkeypatch.setenv("TZ", f":{localtime}")
    assert zone_name_of(None) == "Asia/Tokyo"


def test_a_tz_that_names_no_file_is_utc(localtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", f":{localtime}")
    assert zone_name_of(None) == "UTC"


def test_a_system_without_a_zone_has_utc(localtime: Path) -> None:
    assert zone_name_of(None) == "UTC"


@pytest.mark.parametrize(
    ("name", "rule"),
    [("Asia/Tokyo", b"JST-9"), ("Europe/Berlin", b"CET-1CEST,M3.5.0,M10.5.0/3")],
)
def test_a_copied_file_has_the_rule_at_its_end(localtime: Path, name: str, rule: bytes) -> None:
    try:
        shutil.copy(file_of(name), localtime)
    except StopIteration:
        localtime.write_bytes(b"TZif2 and so on\n" + rule + b"\n")
    assert zone_name_of(None) == rule.decode()


@pytest.mark.parametrize("content", [b"", b"TZif, version 1\0\0\0", b"TZif\n\xff\n", b"no\nrule\n"])
def test_a_file_that_names_nothing_goes_by_its_own_name(localtime: Path, content: bytes) -> None:
    localtime.write_bytes(content)
    assert zone_name_of(None) == str(localtime)


@pytest.mark.parametrize(
    "name", ["", "No/Where", "/etc/localtime", "EST5EDT4", "a\0b", "é", "x" * 5000]
)
def test_a_name_of_no_zone(name: str) -> None:
    assert zone_of(name) is None


@pytest.mark.parametrize(
    ("zone", "other"),
    [
        ("Asia/Tokyo", "Japan"),
        ("Asia/Tokyo", "JST-9"),
        ("Asia/Tokyo", "<+09>-9"),
        ("Asia/Tokyo", "Asia/Seoul"),
        ("Europe/Berlin", "Europe/Paris"),
        ("Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3"),
        ("UTC", "Etc/UTC"),
        ("UTC", "UTC0"),
    ],
)
def test_the_same_times(zone: str, other: str) -> None:
    assert first_difference(zone_of(zone), zone_of(other), START, END) is None


@pytest.mark.parametrize(
    ("zone", "other", "first"),
    [
        ("Asia/Tokyo", "UTC", "2025-06-01 00:00"),
        # The same in summer, not in winter.
        ("Europe/London", "Etc/GMT-1", "2025-10-26 01:00"),
        # The same all year but for an hour at each clock change.
        ("EET-2EEST,M3.5.0/2,M10.5.0/3", "EET-2EEST,M3.5.0/3,M10.5.0/4", "2025-10-26 00:00"),
        # The same until the one after the other is put forward.
        ("Australia/Lord_Howe", "<+1030>-10:30", "2025-10-04 15:30"),
    ],
)
def test_the_first_time_that_differs(zone: str, other: str, first: str) -> None:
    instant = first_difference(zone_of(zone), zone_of(other), START, END)
    assert instant is not None
    assert datetime.fromtimestamp(instant / 1000, UTC).strftime("%Y-%m-%d %H:%M") == first


def test_seoul_had_summer_time_in_1988(monkeypatch: pytest.MonkeyPatch) -> None:
    tokyo, seoul = zone_of("Asia/Tokyo"), zone_of("Asia/Seoul")
    first = first_difference(tokyo, seoul, 0, END)
    assert first is not None
    assert datetime.fromtimestamp(first / 1000, UTC).year == 1987
    assert first_difference(tokyo, seoul, START, START) is None


def test_the_systems_zone_is_compared_too(system_zone: Callable[[str], None]) -> None:
    system_zone("JST-9")
    assert first_difference(zone_of("Asia/Tokyo"), None, START, END) is None
    assert first_difference(None, zone_of("UTC"), START, START + DAY_MS) == START


@pytest.mark.parametrize("variable", ["Asia/Tokio", ":Asia/Tokio", "/nope", "Tokyo"])
def test_a_slip_of_the_pen_in_tz_is_no_zone(
    variable: str, system_zone: Callable[[str], None]
) -> None:
    system_zone(variable)
    assert unknown_tz() == variable.removeprefix(":")


@pytest.mark.parametrize(
    "variable",
    ["", "UTC", "UTC0", "GMT", "JST-9", "<+00>0", "AEST-10AEDT", "Asia/Tokyo", ":/etc/localtime"],
)
def test_what_the_c_library_knows_is_a_zone(
    variable: str, system_zone: Callable[[str], None]
) -> None:
    system_zone(variable)
    assert unknown_tz() == ""


def test_without_tz_the_zone_is_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)
    assert unknown_tz() == ""
