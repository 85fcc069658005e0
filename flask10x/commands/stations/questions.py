"""What `flask10x stations add` asks when it has no example of a body."""

from collections.abc import Callable
from dataclasses import replace
from gettext import gettext as _
from typing import Any

import click

from flask10x.config import station_values
from flask10x.config.known_measurements import known_as
from flask10x.config.station_proposal import station_of
from flask10x.config.station_tables import MAX_MEASUREMENTS
from flask10x.config.toml import values
from flask10x.config.toml.values import WrongEntry
from flask10x.readings.stations import Station, Stations

Limits = tuple[float | None, float | None]


def endpoint() -> str:
    """The path of the station, without the slash."""
    return str(click.prompt(_("Path of the station, such as balcony for /balcony")))


def station(name: str, stations: Stations) -> Station:
    """A station with the measurements that the answers name, at least one."""
    label = _ask(_("Its name on the pages"), station_values.label, name)
    fields: dict[str, tuple[str, Limits]] = {}
    while len(fields) < MAX_MEASUREMENTS:
        path = _ask(
            _("A field of its body, such as temperature or env.co2; nothing: no more"),
            station_values.path,
            None if not fields else "",
        )
        if not path:
            break
        fields[path] = _unit_and_limits(path)
    units = [(path, unit) for path, (unit, _limits) in fields.items()]
    built = station_of(name, units, stations)
    measurements = []
    for measurement in built.measurements:
        low, high = fields[measurement.path][1]
        measurements.append(replace(measurement, minimum=low, maximum=high))
    return replace(built, label=label, measurements=tuple(measurements))


def _unit_and_limits(path: str) -> tuple[str, Limits]:
    known = known_as(path.rpartition(".")[2], None)
    usual = known.unit if known else ""
    unit = _ask(_("  Unit of its number; nothing: none"), station_values.unit, usual)
    low, high = (known.minimum, known.maximum) if known and unit == usual else (None, None)
    return unit, (
        _limit(_("  Least value that is right; nothing: any"), low),
        _limit(_("  Greatest value that is right; nothing: any"), high),
    )


def _limit(question: str, usual: float | None) -> float | None:
    answer = _ask(question, _number, "" if usual is None else usual)
    return None if answer == "" else answer


def _ask(question: str, read: Callable[[Any], Any], default: Any) -> Any:
    """The answer as `read` takes it; asked again as long as it is wrong.

    An empty one is the default, and is asked again when there is none.
    """

    def value_of(answer: Any) -> Any:
        try:
            return read(answer) if answer != "" else answer
        except WrongEntry as error:
            raise click.UsageError(str(error)) from None

    return click.prompt(
        question, default=default, show_default=default not in ("", None), value_proc=value_of
    )


def _number(answer: Any) -> float:
    try:
        number = float(answer)
    except ValueError:
        raise values.wrong(answer, _("a number is needed")) from None
    return values.number(int(number) if number.is_integer() else number)
