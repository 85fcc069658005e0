"""What a family member reads."""

import re
from dataclasses import replace
from typing import Any

import pytest

from flask10x.alerts.alert import Alert
from flask10x.alerts.messages import Speaker
from flask10x.alerts.words import trouble_in
from flask10x.config.alerts.rules import Alerts, Kind
from flask10x.config.settings import Settings
from flask10x.translation import Language
from tests.support.html import NINE

MINUTE = 60_000
BASE = "http://pi.local:8888"
FACTS: dict[str, dict[str, Any]] = {
    "silence": {
        "last_received_at": NINE,
        "after_sec": 600,
        "learned": 1,
        "values": "CO₂ 650 ppm, 25.1 °C",
    },
    "threshold": {"value": 1612.0, "limit": 1500, "above": 1, "for_sec": 600},
    "rate": {"value": 18.5, "before": 22.0, "rise": 0, "within_sec": 3600, "unit": "°C"},
    "failed_sensor": {"readings": 10, "last_value": 650, "unit": "ppm", "last_value_at": NINE},
    "rejected": {"readings": 12, "reason": "below minimum 0", "field": "co2"},
    "queue": {"waiting": 4100, "threshold": 4000, "capacity": 5000},
    "disk": {"free_bytes": 1_234_000_000, "free_percent": 4.2, "full_in_days": 12},
    "database": {"reason": "SQLITE_CORRUPT: database disk image is malformed"},
    "export": {"oldest_at": NINE, "readings": 5, "station": "data2"},
    "backup": {"newest_at": NINE, "after_sec": 259_200},
    "replica": {"newest_at": NINE, "after_sec": 3600},
    "copies": {"differences": 2, "found_at": NINE},
}
LANGUAGES: tuple[Language, ...] = ("en", "ja")


def alert(kind: Kind, subject: str = "", **changes: Any) -> Alert:
    made = Alert(
        id=1,
        rule=kind,
        kind=kind,
        subject=subject,
        since_ms=NINE,
        firing_since_ms=NINE + MINUTE,
        ended_ms=None,
        ended=None,
        facts=FACTS[kind],
        end_facts={},
        muted_until_ms=None,
    )
    return replace(made, **changes)


@pytest.fixture
def home(settings: Settings) -> Settings:
    return replace(settings, alerts=Alerts(base_url=BASE + "/"))


def test_a_firing_message_says_what_since_when_the_last_value_what_to_do_and_where(
    home: Settings,
) -> None:
    text = Speaker(home, "en").alert(alert("silence", "data2"), "entry")
    assert text.title == "Bedroom: no data"
    assert text.body.splitlines() == [
        "No data has come from Bedroom since Sun 24 Aug, 09:00.",
        "The last values: CO₂ 650 ppm, 25.1 °C",
        "What to do: Check that the sensor has power and that the Wi-Fi works. If both are fine,"
        " unplug the sensor and plug it in again after 10 seconds.",
    ]
    assert text.url == f"{BASE}/history?endpoint=data2&from=2025-08-24T03%3A00%2B09%3A00"


def test_the_reason_of_a_rejection_is_in_the_language_of_the_message(home: Settings) -> None:
    facts = FACTS["rejected"] | {"reason_ja": "下限の 0 を下回っています"}
    refused = alert("rejected", "data2", facts=facts)
    assert "co2: 下限の 0 を下回っています" in Speaker(home, "ja").alert(refused, "entry").body
    assert "co2: below minimum 0" in Speaker(home, "en").alert(refused, "entry").body


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("occasion", ["reminder", "recovery"])
def test_a_later_message_shows_no_old_value_as_the_present_one(
    home: Settings, language: Language, occasion: str
) -> None:
    text = Speaker(home, language).alert(alert("threshold", "data2.co2"), occasion)
    assert "1612" not in text.title
    assert "今の値" not in text.body
    assert "is 1612" not in text.body


def test_the_same_in_japanese(home: Settings) -> None:
    text = Speaker(home, "ja").alert(alert("threshold", "data2.co2"), "entry")
    assert text.title == "寝室のCO₂が高すぎます（1612 ppm）"
    assert text.body.splitlines()[0] == (
        "8月24日（日）09:00から、寝室のCO₂が1500 ppmを超えています。"
        "検知したときの値は1612 ppmです。"
    )
    assert text.body.splitlines()[-1].startswith("対処: ")
    assert "endpoint=data2&measurement=co2&from=" in text.url


def test_a_resolved_message_says_how_long_it_lasted_and_the_value_then(home: Settings) -> None:
    ended = alert(
        "threshold",
        "data2.co2",
        ended_ms=NINE + 75 * MINUTE,
        ended="recovered",
        end_facts={"value": 800.26},
    )
    text = Speaker(home, "en").alert(ended, "recovery")
    assert text.title == "Resolved: Bedroom CO₂ too high"
    assert text.body.splitlines() == [
        "Bedroom CO₂ is back to normal.",
        "It began on Sun 24 Aug, 09:00 and ended on Sun 24 Aug, 10:15, after 1 hour 15 minutes.",
        "The value then: 800.26 ppm",
    ]
    assert "&to=2025-08-24T16%3A15" in text.url
    assert "75" not in Speaker(home, "ja").alert(ended, "recovery").body
    assert "（1時間15分）" in Speaker(home, "ja").alert(ended, "recovery").body


def test_a_reminder_says_that_it_lasts(home: Settings) -> None:
    text = Speaker(home, "ja").alert(alert("silence", "data3"), "reminder")
    assert text.title == "継続中: 「屋外」からデータが届いていません"
    assert "8月24日（日）09:00に始まり、まだ続いています。" in text.body


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("occasion", ["entry", "recovery", "reminder"])
@pytest.mark.parametrize("kind", FACTS)
def test_each_kind_has_a_text_with_all_facts_and_with_none(
    home: Settings, kind: Kind, occasion: str, language: Language
) -> None:
    subject = {"threshold": "data2.co2", "rate": "data.temperature", "failed_sensor": "data2.co2"}
    speaker = Speaker(home, language)
    for facts in (FACTS[kind], dict.fromkeys(FACTS[kind]), {}):
        base = alert(kind, subject.get(kind, "data2" if kind in ("silence", "rejected") else ""))
        text = speaker.alert(replace(base, facts=facts, ended_ms=NINE + MINUTE), occasion)
        assert text.title
        assert text.body.count("\n") >= 1
        assert text.url.startswith(f"{BASE}/")
        assert not re.search(r"[{}]|\bNone\b|\n\n", text.title + text.body)


@pytest.mark.parametrize(("days", "text"), [(0, "1 day."), (1, "1 day."), (40, "40 days.")])
def test_the_time_until_the_disk_is_full_is_in_days(home: Settings, days: int, text: str) -> None:
    facts = {"full_in_days": days, "free_bytes": 9, "free_percent": 1}
    full = alert("disk", facts=facts)
    assert f"full in about {text}" in Speaker(home, "en").alert(full, "entry").body
    assert f"あと{max(days, 1)}日ほどで" in Speaker(home, "ja").alert(full, "entry").body


def test_no_links_without_the_address_of_the_pages(settings: Settings) -> None:
    assert Speaker(settings, "ja").alert(alert("silence", "data2"), "entry").url == ""


def test_links_lead_to_the_page_of_the_matter(home: Settings) -> None:
    speaker = Speaker(home, "en")
    assert speaker.alert(alert("disk"), "entry").url == f"{BASE}/status"
    refused = speaker.alert(alert("rejected", "shed"), "entry")
    assert refused.url == f"{BASE}/history/rejected?endpoint=shed"
    assert refused.title == "/shed: data cannot be used"
    assert speaker.limit(NINE, 20).url == speaker.test("phone").url == f"{BASE}/alerts"


def test_the_texts_of_the_limit_and_of_a_test(home: Settings) -> None:
    limit = Speaker(home, "ja").limit(NINE, 20)
    assert (limit.title, "20件" in limit.body) == ("今日の通知はここまでです", True)
    assert limit.body.startswith("8月24日（日）は、")
    test = Speaker(home, "en").test("phone")
    assert test.title == "Flask10X test message" and "phone" in test.body
    named = replace(home, house_name="山の家")
    assert Speaker(named, "en").test("phone").title == "山の家: test message"
    assert Speaker(named, "ja").test("phone").title == "山の家: テスト通知"


def test_what_others_have_written_breaks_no_line(home: Settings) -> None:
    facts = {"reason": "a\nb\u202ec" + "x" * 5000}
    body = Speaker(home, "en").alert(alert("database", facts=facts), "entry").body
    assert len(body.splitlines()) == 3
    assert "a\\nb\\u202ec" in body
    assert len(body) < 1000


def test_troubles_have_a_text_and_unknown_codes_are_shown() -> None:
    assert trouble_in("en", "status:503") == "it answered 503"
    assert trouble_in("ja", "no_answer") == "時間内に応答がありません"
    assert trouble_in("en", "of_tomorrow:1") == "of_tomorrow:1"
    assert trouble_in("en", "") == ""


@pytest.mark.parametrize(
    ("value", "shown"),
    [(650, "650 ppm"), (650.0, "650 ppm"), (25.126, "25.13 ppm"), (0.00123, "0.00123 ppm")],
)
def test_numbers_have_significant_digits(home: Settings, value: float, shown: str) -> None:
    facts = {"value": value, "limit": 1, "above": 1}
    text = Speaker(home, "en").alert(alert("threshold", "data2.co2", facts=facts), "entry")
    assert text.title == f"Bedroom CO₂ too high: {shown}"
