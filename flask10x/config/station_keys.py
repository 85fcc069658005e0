"""The keys of `stations.toml`: what each may be, what it is without one, and what it becomes."""

from collections.abc import Callable
from dataclasses import dataclass
from gettext import gettext as _
from typing import Any

from flask10x.config import station_values as values


@dataclass(frozen=True, kw_only=True, slots=True)
class StationKey:
    """One key of a table."""

    name: str
    """As it is written in the file."""
    field: str
    """Of `Station`, `Measurement` or `Fault`."""
    read: Callable[[Any], Any]
    """What `tomllib` gives -> the field's value; raises WrongEntry with the reason."""
    default: Callable[[str], Any] | None = None
    """The name of the table -> the value without the key; None: the field's own default."""
    needed: bool = False
    """Whether it must be there."""
    fixed: bool = False
    """Whether the program keeps it for its built-in stations: senders and readers rely on it."""


def itself(name: str) -> str:
    """The default of what is called like its table."""
    return name


def csv_file_of(endpoint: str) -> str:
    """The CSV file of a station that names none."""
    return f"{endpoint}.csv"


STATION_KEYS = (
    StationKey(name="label", field="label", read=values.label, default=itself),
    StationKey(name="label_ja", field="label_ja", read=values.label),
    StationKey(
        name="csv_file", field="csv_name", read=values.csv_file, default=csv_file_of, fixed=True
    ),
    StationKey(name="interval_sec", field="interval_sec", read=values.whole(1, 1_000_000)),
    StationKey(name="partial", field="accepts_partial", read=values.partial),
    StationKey(name="repeat_window_sec", field="repeat_window_sec", read=values.whole(0, 86_400)),
    StationKey(name="ambient_channel", field="ambient_channel", read=values.channel),
    StationKey(name="mqtt_topic", field="mqtt_topic", read=values.topic),
    StationKey(name="influx", field="influx", read=values.name),
    StationKey(name="influx_tags", field="influx_tags", read=values.tags),
)
MEASUREMENT_KEYS = (
    StationKey(name="path", field="path", read=values.path, default=itself, fixed=True),
    StationKey(name="aliases", field="aliases", read=values.paths),
    StationKey(name="quantity", field="quantity", read=values.quantity, default=itself, fixed=True),
    StationKey(name="label", field="label", read=values.label),
    StationKey(name="label_ja", field="label_ja", read=values.label),
    StationKey(name="unit", field="unit", read=values.unit, needed=True, fixed=True),
    StationKey(name="minimum", field="minimum", read=values.number),
    StationKey(name="maximum", field="maximum", read=values.number),
    StationKey(
        name="csv_header", field="csv_header", read=values.header, default=itself, fixed=True
    ),
    StationKey(name="ambient", field="ambient", read=values.ambient_field),
    StationKey(name="influx", field="influx", read=values.name),
)
FAULT_KEYS = (
    StationKey(name="value", field="value", read=values.number, needed=True),
    StationKey(name="sensor", field="sensor", read=values.label, needed=True),
    StationKey(name="reason", field="code", read=values.reason),
    StationKey(name="warning_only", field="warning_only", read=values.switch),
)


def missing(key: StationKey) -> str:
    """What is said when a key that must be there is not."""
    if key.name == "unit":
        return _('is missing; write unit = "" for a number without a unit')
    return _("is missing")
