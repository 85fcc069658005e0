"""The column `codes`: what a row keeps of its reasons beside their English texts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask10x.config.settings import Settings
from flask10x.database.database import Database
from flask10x.readings.reasons import Reason
from flask10x.recording import rejected
from flask10x.recording.rejected import RejectedReading, codes_of, with_codes
from tests.support.rows import execute, select

MISSING, BELOW = Reason("missing"), Reason("below_minimum", limit=0)
HINT = Reason("invalid_json", what="Expecting value", line=1, column=7)


def codes(text: str) -> tuple[str, dict[str, str]] | None:
    return (text.code, {**text.values}) if isinstance(text, Reason) else None


def test_texts_without_values_need_no_codes() -> None:
    assert codes_of({"co2": MISSING, "humidity": MISSING}, Reason("empty_body")) is None
    assert codes_of({}, "") is None
    reasons, hint = with_codes({"co2": "required field missing"}, "JSON is nested", None)
    assert codes(reasons["co2"]) == ("missing", {})
    assert codes(hint) is None


def test_values_are_kept_with_their_codes_in_the_order_of_the_reasons() -> None:
    assert codes_of({"co2": MISSING, "humidity": BELOW}, "") == (
        '[null,["below_minimum",{"limit":"0"}]]'
    )
    assert json.loads(codes_of({"co2": MISSING}, HINT) or "") == [
        None,
        ["invalid_json", {"what": "Expecting value", "line": "1", "column": "7"}],
    ]


ODD = st.text(st.characters(codec=None, exclude_categories=()))
REASONS = st.one_of(
    st.just(MISSING),
    st.just(BELOW),
    ODD.map(lambda text: Reason("no_digits", text=text)),
    ODD.map(lambda text: Reason("database", words=text)),
)


@given(st.dictionaries(ODD, REASONS), REASONS | st.just(""))
def test_what_is_read_is_what_was_kept(reasons: dict[str, Reason], hint: str) -> None:
    texts = {path: str(reason) for path, reason in reasons.items()}
    # An empty hint is none, whatever its code.
    found, found_hint = with_codes(texts, str(hint), codes_of(reasons, hint))
    assert (found, found_hint) == (reasons, hint)
    assert [codes(text) for text in found.values()] == [codes(text) for text in reasons.values()]
    assert not hint or codes(found_hint) == codes(hint)


@pytest.mark.parametrize(
    "column",
    [
        None,
        '[["of_a_newer_program",{}]]',
        '[["below_minimum",{}]]',
        "[]",
        '[["below_minimum",{"limit":"0"}],null]',
    ],
)
def test_a_text_without_a_code_stays_a_text(column: str | None) -> None:
    reasons, hint = with_codes({"co2": "below minimum 0"}, "", column)
    assert (reasons, hint) == ({"co2": "below minimum 0"}, "")
    assert codes(reasons["co2"]) is None


def test_the_table_keeps_them_beside_the_texts(database: Database, settings: Settings) -> None:
    refused = RejectedReading("data2", 1, "", b"{}", {"co2": BELOW, "humidity": MISSING}, HINT)
    with database.commit() as connection:
        rejected.keep(connection, [refused], settings)
    assert select(database.path, "SELECT reasons, hint FROM rejected") == [
        (
            '{"co2": "below minimum 0", "humidity": "required field missing"}',
            "invalid JSON: Expecting value at line 1 column 7",
        )
    ]
    with database.reader.begin() as connection:
        kept = rejected.by_id(connection, 1)
    assert kept is not None
    assert codes(kept.reasons["co2"]) == ("below_minimum", {"limit": "0"})
    assert codes(kept.hint) == codes(HINT)
    execute(database.path, "UPDATE rejected SET codes = NULL")
    with database.reader.begin() as connection:
        older = rejected.by_id(connection, 1)
    assert older == kept
    assert older is not None and codes(older.reasons["co2"]) is None


def test_codes_count_among_the_bytes() -> None:
    reasons = {"pressure": Reason("database", words="x" * 500)}
    texts = {path: str(reason) for path, reason in reasons.items()}
    coded, plain = (RejectedReading("data", 1, "", b"{}", r) for r in (reasons, texts))
    assert (coded.size_bytes, plain.size_bytes) == (1536, 1024)


def test_codes_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    monkeypatch.setattr(rejected, "codes_of", lambda *texts: made.append(texts))
    refused = RejectedReading("data2", 1, "", b"{}", {"co2": BELOW}, HINT)
    assert refused.size_bytes == refused.size_bytes == 512
    assert made == [({"co2": BELOW}, HINT)]
