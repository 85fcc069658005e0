"""How long it takes, in words."""

import pytest

from flask10x.health.checks import span
from flask10x.translation import translation


@pytest.mark.parametrize(
    ("days", "words"),
    [(0.5, "12 h"), (1.5, "36 h"), (2, "2 days"), (59.9, "59 days"), (60, "2 months")],
)
def test_the_time_until_the_card_is_full(days: float, words: str) -> None:
    assert span(days, translation("en")) == words
