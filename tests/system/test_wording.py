"""One row, two rows; bytes and seconds."""

import pytest

from flask10x.system.wording import amount, megabytes, span


def test_only_one_is_singular() -> None:
    assert [amount(n, "row") for n in (0, 1, 2, 21)] == ["0 rows", "1 row", "2 rows", "21 rows"]


def test_bytes() -> None:
    assert megabytes(1_234_567_890) == "1,234.6 MB"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"),
     (172_799, "47 h"), (172_800, "2 days")],
)  # fmt: skip
def test_spans(seconds: int, text: str) -> None:
    assert span(seconds) == text
