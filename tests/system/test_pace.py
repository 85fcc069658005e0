"""The pauses between tries of one action."""

from flask10x.system.pace import FIRST_SEC, LONGEST_SEC, Pauses


def test_pauses_grow_until_a_try_succeeds() -> None:
    pauses = Pauses(clock=lambda: 100.0)
    assert pauses.rest_sec() == 0
    assert [(pauses.begin(), pauses.rest_sec()) for _ in range(8)] == [
        (True, FIRST_SEC),
        *((False, rest_sec) for rest_sec in (2.0, 4.0, 8.0, 16.0, 32.0, LONGEST_SEC, LONGEST_SEC)),
    ]
    assert pauses.end()
    assert pauses.rest_sec() == 0
    assert not pauses.end()
    assert pauses.begin()
    assert pauses.rest_sec() == FIRST_SEC
