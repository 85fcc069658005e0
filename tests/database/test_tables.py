"""The columns of measurements, those of an installation as well as the built-in ones."""

from sqlalchemy import func, select

from flask10x.database.tables import measurement, readings


def test_a_measurement_is_a_column_of_the_table() -> None:
    assert str(select(measurement("soil"))) == "SELECT readings.soil \nFROM readings"
    both = select(readings.c.id, func.sum(measurement("order")))
    assert str(both) == 'SELECT readings.id, sum(readings."order") AS sum_1 \nFROM readings'
    assert str(measurement("co2") > 5) == str(readings.c.co2 > 5)
