from flask10x.history.buckets import Bucket
from flask10x.history.period_tables import Timed, records_of


def day(number: int, *values: float) -> Timed:
    found = Bucket()
    found.add(len(values), sum(values), min(values), max(values))
    return number, found


def test_the_first_three_days_of_each_kind() -> None:
    days = [day(1, 0, 10), day(2, 4, 5), day(3, -2, 8), day(4, 10), (5, Bucket())]
    found = {
        one.kind: [(record.value, record.at_ms) for record in one.days] for one in records_of(days)
    }
    assert found == {
        "highest": [(10, 1), (10, 4), (8, 3)],
        "lowest": [(-2, 3), (0, 1), (4, 2)],
        "highest_mean": [(10, 4), (5, 1), (4.5, 2)],
        "lowest_mean": [(3, 3), (4.5, 2), (5, 1)],
        "widest": [(10, 1), (10, 3), (1, 2)],
    }


def test_without_readings_there_are_none() -> None:
    assert records_of([]) == []
    assert records_of([(5, Bucket())]) == []
