"""Every reason that a query string can be refused for is put into Japanese."""

import re

import pytest
from flask.testing import FlaskClient

from flask10x.errors import QueryTooLong
from flask10x.reasons import reason_in

JAPANESE = re.compile(r"[ぁ-んァ-ヶ一-龠]")
WRONG = [
    *("limt=1", "endpoint=data5", "measurement=co3", "limit=5&limit=6", "limit=0", "order=up"),
    *("from=now&to=-1h", "co2__gt=1e3", "co2__isnull=maybe", "cursor=x", "since=5", "bom=1"),
    *("from=yesterday", "from=-30000d", "from=1969-01-01", "from=2025-02-30", "incomplete=0"),
    *("from=2025-08-24T09:00%2B99:00", "from=2025-08-24T09:00+09:00", "&".join(["a=1"] * 101)),
]


@pytest.mark.parametrize("query", WRONG)
def test_a_reason_is_japanese_on_the_page_and_english_in_json(
    client: FlaskClient, query: str
) -> None:
    page = client.get(f"/history?{query}", headers={"Accept-Language": "ja"})
    assert page.status_code == 400
    wrong = page.text.split('role="alert"')[1].split("</div>")[0]
    for reason in re.findall(r"<li>.*?: (.*?)</li>", wrong):
        assert JAPANESE.search(reason), reason
    told = client.get(f"/history/rejected/json?{query}", headers={"Accept-Language": "ja"})
    assert not JAPANESE.search(str(told.get_json()["details"]))


@pytest.mark.parametrize(
    "query", ["co2__gt=1", "order=asc", "since=x", "since=1&order=asc", "from="]
)
def test_reasons_of_other_routes_are_known_too(client: FlaskClient, query: str) -> None:
    path = "/history/json" if "since" in query or query == "from=" else "/history/rejected/json"
    answer = client.get(f"{path}?{query}")
    assert answer.status_code == 400
    for reason in answer.get_json()["details"].values():
        assert JAPANESE.search(reason_in("ja", reason)), reason


def test_a_suggestion_stays_and_the_unknown_is_shown_as_it_is() -> None:
    assert reason_in("ja", "unknown parameter (did you mean limit?)") == (
        "そのような項目はありません（limit の間違いでは？）"
    )
    (slow,) = QueryTooLong(2.0).details.values()
    assert reason_in("ja", slow) == "検索に2秒以上かかりました。期間や端末を絞ってください"
    assert reason_in("ja", "something new") == "something new"
    assert reason_in("en", "1 or 0 is needed") == "1 or 0 is needed"
