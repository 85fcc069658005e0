"""How often a fault is provoked: a few times in `make test`, many times in `make soak`."""

import pytest

# For faults that the two promises meet in the same way: in `make test` under the harder one only.
harder_promise = pytest.mark.parametrize(
    "promise", [pytest.param("enqueued", marks=pytest.mark.long), "committed"], indirect=True
)


# For kills it is the other one: what was acknowledged early still waits in memory.
early_promise = pytest.mark.parametrize(
    "promise", ["enqueued", pytest.param("committed", marks=pytest.mark.long)], indirect=True
)


def repeated(short: int, long: int, *, timeout_sec: int = 1800) -> pytest.MarkDecorator:
    """Run the test with `times` as `short`, and in the long run as `long`."""
    marks = [pytest.mark.long, pytest.mark.timeout(timeout_sec)]
    return pytest.mark.parametrize("times", [short, pytest.param(long, marks=marks)])


def lasting(short: float, long: float, *, timeout_sec: int = 600) -> pytest.MarkDecorator:
    """Run the test with `seconds` as `short`, and in the long run as `long`."""
    marks = [pytest.mark.long, pytest.mark.timeout(timeout_sec)]
    return pytest.mark.parametrize("seconds", [short, pytest.param(long, marks=marks)])
