"""The keys of `stations.toml`: what each may be, what it is without one, and what it becomes."""

from gettext import gettext as _

from flask10x.config import station_values as values
from flask10x.config.readers import retention_days
from flask10x.config.toml.keys import Key
from flask10x.config.toml.values import number, switch, whole


def itself(name: str) -> str:
    """The default of what is called like its table."""
    return name


def csv_file_of(endpoint: str) -> str:
    """The CSV file of a station that names none."""
    return f"{endpoint}.csv"


STATION_KEYS = (
    Key(name="label", field="label", read=values.label, default=itself),
    Key(name="label_ja", field="label_ja", read=values.label),
    Key(name="csv_file", field="csv_name", read=values.csv_file, default=csv_file_of, fixed=True),
    Key(name="interval_sec", field="interval_sec", read=whole(1, 1_000_000)),
    Key(name="partial", field="accepts_partial", read=values.partial),
    Key(name="repeat_window_sec", field="repeat_window_sec", read=whole(0, 86_400)),
    Key(name="retention_days", field="retention_days", read=retention_days.of_station),
    Key(name="ambient_channel", field="ambient_channel", read=values.channel),
    Key(name="mqtt_topic", field="mqtt_topic", read=values.topic),
    Key(name="influx", field="influx", read=values.name),
    Key(name="influx_tags", field="influx_tags", read=values.tags),
    Key(name="outside", field="outside", read=switch),
    Key(name="altitude_m", field="altitude_m", read=values.altitude),
)
MEASUREMENT_KEYS = (
    Key(name="path", field="path", read=values.path, default=itself, fixed=True),
    Key(name="aliases", field="aliases", read=values.paths),
    Key(name="partial_aliases", field="partial_aliases", read=values.paths),
    Key(name="quantity", field="quantity", read=values.quantity, default=itself, fixed=True),
    Key(name="label", field="label", read=values.label),
    Key(name="label_ja", field="label_ja", read=values.label),
    Key(
        name="unit",
        field="unit",
        read=values.unit,
        needed=True,
        missing=lambda: _('is missing; write unit = "" for a number without a unit'),
        fixed=True,
    ),
    Key(name="minimum", field="minimum", read=number),
    Key(name="maximum", field="maximum", read=number),
    Key(name="csv_header", field="csv_header", read=values.header, default=itself, fixed=True),
    Key(name="ambient", field="ambient", read=values.ambient_field),
    Key(name="influx", field="influx", read=values.name),
)
FAULT_KEYS = (
    Key(name="value", field="value", read=number, needed=True),
    Key(name="sensor", field="sensor", read=values.label, needed=True),
    Key(name="reason", field="code", read=values.reason),
    Key(name="warning_only", field="warning_only", read=switch),
)
BAND_KEYS = (
    Key(name="above", field="above", read=number),
    Key(name="below", field="below", read=number),
    Key(name="level", field="level", read=values.level),
    Key(name="label", field="label", read=values.label, needed=True),
    Key(name="label_ja", field="label_ja", read=values.label),
)
