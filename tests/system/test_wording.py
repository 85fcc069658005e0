"""One row, two rows; bytes."""

from flask10x.system.wording import amount, megabytes


def test_only_one_is_singular() -> None:
    assert [amount(n, "row") for n in (0, 1, 2, 21)] == ["0 rows", "1 row", "2 rows", "21 rows"]


def test_bytes() -> None:
    assert megabytes(1_234_567_890) == "1,234.6 MB"
