"""One row, two rows."""

from flask10x.system.wording import amount, are


def test_only_one_is_singular() -> None:
    assert [amount(n, "row") for n in (0, 1, 2, 21)] == ["0 rows", "1 row", "2 rows", "21 rows"]
    assert [are(n) for n in (0, 1, 2)] == ["are", "is", "are"]
