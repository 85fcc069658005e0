"""Readings: a station's payload checked and turned into numbers (contract, sections 1 and 2).

Pure: no clock, no Flask, no database.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from flask10x.errors import Flask10xError
from flask10x.readings.minus_zero import plain
from flask10x.readings.reasons import Reason, WrongValue
from flask10x.readings.stations import Fault, Measurement, Station
from flask10x.readings.units import parse_number


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading as it is stored."""

    endpoint: str
    received_at: int
    """When it arrived, or for a late one when it was measured; in UTC epoch milliseconds."""
    values: tuple[float | None, ...]
    """In the order of the station's measurements and in their units; None for an empty cell."""
    warnings: dict[str, str] = field(default_factory=dict, compare=False)
    """Path of a field, or of a missing object, to what is wrong with it although it is stored."""
    elsewhere: dict[str, str] = field(default_factory=dict, compare=False, kw_only=True)
    """Path of a field that stood at a partial alias, to where; nothing is wrong with its value."""
    arrived_at: int | None = field(default=None, kw_only=True)
    """When a late one arrived, in UTC epoch milliseconds; None for one that came when measured."""

    @property
    def remarks(self) -> dict[str, str]:
        """What its sender is told of it: the warnings, and what stood elsewhere."""
        return {**self.warnings, **self.elsewhere}


class InvalidReading(Flask10xError):
    """A payload is no reading of its station.

    `details` maps the path of every bad field, in the registry's order, to the reason.
    """

    def __init__(self, details: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{path}: {reason}" for path, reason in details.items()))
        self.details: dict[str, str] = {**details}


class _Refused(Exception):
    """One field is bad."""

    def __init__(self, path: str, reason: Reason) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason


def parse(
    station: Station, payload: Mapping[str, object], received_at: int, *, partial: bool = False
) -> Reading:
    """The reading in a decoded body; raises InvalidReading that names every bad field.

    Every value of the result is finite and within its measurement's range; an error names its path
    also where the payload holds it at an alias. Keys that the station
    does not know are ignored. With `partial` one usable field is enough: a bad field, and one
    with a known fault value, is None and among the warnings (docs/en/explanation/partial-readings).
    Partial aliases are looked at then, too.
    """
    values: list[float | None] = []
    details: dict[str, Reason] = {}
    suspect: dict[str, Reason] = {}
    elsewhere: dict[str, str] = {}
    for measurement in station.measurements:
        try:
            raw, place = _held(measurement, payload, partial=partial)
            value = _value(measurement, raw, refuse_faults=partial)
        except _Refused as refused:
            details[refused.path] = refused.reason
            values.append(None)
        else:
            values.append(value)
            if place:
                elsewhere[measurement.path] = Reason("read_at", place=place)
            if fault := _fault(measurement, value):
                suspect[measurement.path] = _reason_of(fault)
    if details and (not partial or all(value is None for value in values)):
        raise InvalidReading(details)
    warnings: dict[str, str] = {**details, **suspect}
    return Reading(station.endpoint, received_at, tuple(values), warnings, elsewhere=elsewhere)


def warned_paths(station: Station, warnings: Mapping[str, str]) -> tuple[str, ...]:
    """The fields that the warnings are about; a warning of an object is about all its fields."""
    return tuple(
        measurement.path
        for measurement in station.measurements
        if any(f"{measurement.path}.".startswith(f"{path}.") for path in warnings)
    )


def flat(station: Station, values: Iterable[float | None]) -> list[tuple[str, float | None]]:
    """Each payload path with its value, in the registry's order: what the log line shows."""
    paths = (measurement.path for measurement in station.measurements)
    return list(zip(paths, values, strict=True))


def nested(
    station: Station, values: Iterable[float | None], columns: Collection[str] = ()
) -> dict[str, object]:
    """The values in the payload's own shape: `{"mh_z19": {"co2": 650.0}, ...}`, None kept.

    Only those of the given columns, or all of them.
    """
    payload: dict[str, Any] = {}
    for measurement, value in zip(station.measurements, values, strict=True):
        if columns and measurement.column not in columns:
            continue
        path = measurement.path
        *objects, key = path.split(".")
        holder = payload
        for name in objects:
            holder = holder.setdefault(name, {})
        holder[key] = value
    return payload


def _value(measurement: Measurement, raw: object, *, refuse_faults: bool) -> float:
    path = measurement.path
    try:
        value = plain(_number(raw, measurement.unit))
    except WrongValue as error:
        raise _Refused(path, error.reason) from None
    fault = _fault(measurement, value)
    silent = fault if fault and not fault.warning_only else None
    if silent and refuse_faults:
        raise _Refused(path, _reason_of(silent))
    if measurement.minimum is not None and value < measurement.minimum:
        raise _Refused(path, Reason("below_minimum", limit=measurement.minimum))
    if measurement.maximum is not None and value > measurement.maximum:
        raise _Refused(path, Reason("above_maximum", limit=measurement.maximum))
    # Behind the limits: the built-in stations' fault values are outside, with the old words.
    if silent:
        raise _Refused(path, _reason_of(silent))
    return value


def _fault(measurement: Measurement, value: float) -> Fault | None:
    return next((fault for fault in measurement.faults if fault.value == value), None)


def _reason_of(fault: Fault) -> Reason:
    return Reason(fault.code, value=f"{fault.value:g}", sensor=fault.sensor)


def _held(
    measurement: Measurement, payload: Mapping[str, object], *, partial: bool
) -> tuple[object, str]:
    """What the payload holds at the path or, when there is nothing, at the first alias with any.

    And that alias, if it is one for partial readings; else an empty text.
    """
    try:
        return _found(measurement.path, payload), ""
    except _Refused:
        for alias in measurement.aliases:
            with suppress(_Refused):
                return _found(alias, payload), ""
        for alias in measurement.partial_aliases if partial else ():
            with suppress(_Refused):
                return _found(alias, payload), alias
        raise


def _found(path: str, payload: Mapping[str, object]) -> object:
    """What the payload holds at `path`; refused under the path of the object that is not there."""
    found: object = payload
    walked: list[str] = []
    for name in path.split("."):
        if not isinstance(found, Mapping):
            raise _Refused(".".join(walked), Reason("not_an_object"))
        walked.append(name)
        found = found.get(name)
        if found is None:
            raise _Refused(".".join(walked), Reason("missing"))
    return found


def _number(raw: object, unit: str) -> float:
    """`raw` as a finite number in `unit`; raises WrongValue with the reason."""
    if isinstance(raw, str):
        return parse_number(raw, unit)
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise WrongValue(Reason("unsupported_type", type=type(raw).__name__))
    try:
        value = float(raw)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise WrongValue(Reason("not_finite"))
    return value
