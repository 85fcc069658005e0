"""The keys of `stations.toml`: the values, the default and the field of each."""

import re
import unicodedata
from typing import Any

from flask10x.config import readers
from flask10x.config.toml import Key
from flask10x.readings.bands import LEVELS
from flask10x.readings.numbers import CASE_FREE, OTHER_UNITS, SAME, SPELLINGS
from flask10x.translation import N_
from flask10x.translation import message as _

# Names of columns and of quantities; a path of a station may have a hyphen too.
# Two _ divide a column from the operator of a filter: `co2__gte=1000`.
COLUMN = re.compile(r"(?!.*__)[a-z][a-z0-9_]{0,31}")
ENDPOINT = re.compile(r"[a-z][a-z0-9_-]{0,31}")
# The other paths of the service, which a test compares with the routes; and paths that writers to
# InfluxDB request before they write, which are no unknown stations.
RESERVED_ENDPOINTS = frozenset(
    {
        *("alerts", "api", "devices", "healthz", "history", "metrics", "notes"),
        *("openapi", "readyz", "records", "static", "status", "uptime", "write"),
        *("favicon", "ping", "query", "setup"),
    }
)
# Columns of tables and downloads, and SQLite's names of the row number. Tests compare them with
# `database/tables.py` and with a download.
RESERVED_COLUMNS = frozenset(
    {
        *("after_day", "after_endpoint", "after_id", "arrived_at", "at", "begin_bytes", "body"),
        *("changed_ns", "checksum", "codes", "columns", "count", "day", "digest", "earlier"),
        *("end_bytes", "endpoint", "file", "first_id", "first_ms", "floor_checksum"),
        *("floor_last_id", "floor_size_bytes", "from_id", "gain", "generation", "hint", "hour"),
        *("id", "import_id", "imported_at", "inode", "intent_from_id", "intent_import_id"),
        *("intent_length", "intent_sha256", "intent_start_offset", "intent_to_id", "kind"),
        *("last_id", "last_ms", "last_received_at", "last_time", "length", "maximum"),
        *("measured_at", "measurement", "media_type", "minimum", "name", "offset", "oid", "path"),
        *("reading_id", "readings", "reason", "reasons", "received_at", "rowid", "sha256"),
        *("size_bytes", "start_offset", "system_identifier", "text", "time", "timeline"),
        *("timestamp", "to_id", "total", "unapplied_ms", "undone_at", "value", "written_at"),
        "zone",
    }
)
# Long enough for any sensor's, short enough for an answer and a line of the queue.
PATH_CHARS = 64
LABEL_CHARS = 64
UNIT_CHARS = 16
MAX_ALIASES = 8
MAX_TAGS = 8
# So that they can be numbered with room between them, by hand.
HIGHEST_ORDER = 10_000
# As many as stations; the style sheet's begin again at 13.
HIGHEST_COLOUR = 200
# Rooms and things that have sensors; `web/icons.py` draws them.
ICONS = (
    *("living", "bedroom", "kitchen", "bath", "study", "entrance", "fridge", "plant"),
    *("outside", "garden", "garage"),
)
# The reason of a fault (`readings/reasons.py`) -> whether its number is stored, with a warning.
FAULT_CODES = {
    "fault_value": False,
    "fault_value_kept": True,
    "sensor_silent": False,
    "program_silent": False,
    "after_power_on": True,
}


label = readers.line(LABEL_CHARS)
name = readers.line(PATH_CHARS)
"""A name that a protocol gives to something."""
csv_file = readers.matching(
    r"\w[\w.-]{0,59}\.csv", N_("a name such as Balcony.csv is needed, without a folder")
)


def partial(raw: Any) -> bool:
    """Whether incomplete readings are accepted."""
    return readers.one_of((readers.REJECT, readers.ACCEPT))(raw) == readers.ACCEPT


def channel(raw: Any) -> str:
    """The number of a channel of Ambient's, as a text or a number."""
    text = raw if isinstance(raw, str) else str(raw) if type(raw) is int else ""
    if not re.fullmatch(r"[0-9]{1,20}", text):
        raise readers.WrongEntry(raw, _("the number of a channel is needed"))
    return text


def topic(raw: Any) -> str:
    """A topic of MQTT for one station, so without wildcards."""
    if not isinstance(raw, str) or set(raw) & set("+#"):
        raise readers.WrongEntry(raw, _("a topic such as home/balcony is needed, without + and #"))
    return readers.line(readers.TOPIC_CHARS)(raw)


def tags(raw: Any) -> tuple[tuple[str, str], ...]:
    """Tags of the line protocol and their values."""
    if not isinstance(raw, dict) or len(raw) > MAX_TAGS:
        needed = _("tags such as {example} are needed, at most {n}")
        raise readers.WrongEntry(raw, needed.format(example='{ node = "esp8266-123" }', n=MAX_TAGS))
    return tuple((name(tag), name(value)) for tag, value in raw.items())


def path(raw: Any) -> str:
    """Where a body holds a number: `temperature`, or `env.temperature` in an object."""
    if not isinstance(raw, str) or not all(raw.split(".")) or re.search(r"\s", raw):
        raise readers.WrongEntry(
            raw, _("the name of a field is needed, dots between the objects: env.co2")
        )
    return readers.line(PATH_CHARS)(raw)


def paths(raw: Any) -> tuple[str, ...]:
    """A list of such places."""
    if not isinstance(raw, list) or len(raw) > MAX_ALIASES:
        needed = _('a list such as ["temp", "env.t"] is needed, of {n} at most')
        raise readers.WrongEntry(raw, needed.format(n=MAX_ALIASES))
    return tuple(path(entry) for entry in raw)


COLUMN_NEEDED = N_(
    "small letters a to z, digits and single _ are needed, a letter first, 32 at most"
)
ENDPOINT_NEEDED = N_("small letters a to z, digits, - and _ are needed, a letter first, 32 at most")

column = readers.matching(COLUMN.pattern, COLUMN_NEEDED)
"""The name of a measurement of the station, which `station_file.tile_mistakes` looks for."""


def header(raw: Any) -> str:
    """A heading of a CSV file."""
    text = readers.line(LABEL_CHARS)(raw)
    if set(text) & set(',"') or text == "current_time":
        raise readers.WrongEntry(
            raw, _("a heading without commas and quotes is needed, not current_time")
        )
    return text


def unit(raw: Any) -> str:
    """A unit that senders' texts are converted to, any other text, or empty for none."""
    if raw == "":
        return ""
    text = readers.line(UNIT_CHARS)(raw)
    if re.match(r"[0-9.,+-]", text):
        raise readers.WrongEntry(raw, _("a unit begins with no digit, sign or point"))
    if (usual := same_unit(text)) not in ("", text):
        raise readers.WrongEntry(raw, _("write it {unit}").format(unit=f'"{usual}"'))
    return text


def same_unit(text: str) -> str:
    """The known unit of which this is another spelling; empty for none."""
    plain = unicodedata.normalize("NFKC", text)
    if plain in OTHER_UNITS:
        return ""
    for unit, spellings in SPELLINGS.items():
        same = [spelling for spelling, how in spellings.items() if how is SAME]
        if plain in same or (unit in CASE_FREE and plain.lower() in map(str.lower, same)):
            return unit
    return ""


def csv_file_of(endpoint: str) -> str:
    """The CSV file of a station that names none."""
    return f"{endpoint}.csv"


_PATH = {"type": "string", "pattern": r"^[^.\s]+(\.[^.\s]+)*$", "maxLength": PATH_CHARS}
# Letters of all scripts, which \w has in Python alone.
readers.takes(csv_file, type="string", pattern=r"^[^\s./,\\-][^\s/,\\]{0,59}\.csv$")
readers.takes(partial, enum=[readers.REJECT, readers.ACCEPT])
readers.takes(
    channel,
    anyOf=[{"type": "string", "pattern": "^[0-9]{1,20}$"}, {"type": "integer", "minimum": 0}],
)
readers.takes(
    topic,
    **readers.SCHEMAS[name]
    | {"maxLength": readers.TOPIC_CHARS, "pattern": r"^[^+#\s]([^+#]*[^+#\s])?$"},
)
readers.takes(tags, type="object", maxProperties=MAX_TAGS, additionalProperties={"type": "string"})
readers.takes(path, **_PATH)
readers.takes(paths, type="array", maxItems=MAX_ALIASES, items=_PATH)
readers.takes(
    header,
    type="string",
    minLength=1,
    maxLength=LABEL_CHARS,
    pattern=r'^(?!current_time$)[^,"\s]([^,"]*[^,"\s])?$',
)
readers.takes(unit, type="string", maxLength=UNIT_CHARS, pattern=r"^([^0-9.,+\-\s](.*\S)?)?$")

# The default of a key whose value is the name of its table.
_ITSELF = str

STATION_KEYS = (
    Key("label", label, default=_ITSELF),
    Key("label_ja", label),
    Key("csv_file", csv_file, "csv_name", default=csv_file_of, fixed=True),
    Key("interval_sec", readers.whole(1, 1_000_000)),
    Key("partial", partial, "accepts_partial"),
    Key("repeat_window_sec", readers.whole(0, 86_400)),
    Key("retention_days", readers.retention_days),
    Key("ambient_channel", channel),
    Key("mqtt_topic", topic),
    Key("influx", name),
    Key("influx_tags", tags),
    Key("outside", readers.switch),
    Key("chart", readers.one_of(("own", "shared"))),
    Key("altitude_m", readers.altitude),
    Key("order", readers.whole(1, HIGHEST_ORDER)),
    Key("colour", readers.whole(1, HIGHEST_COLOUR)),
    Key("icon", readers.one_of((*ICONS, "none"))),
    Key("tile_main", column),
    Key("tile_second", column),
    Key("hidden", readers.switch),
    Key("retired", readers.switch),
)
MEASUREMENT_KEYS = (
    Key("path", path, default=_ITSELF, fixed=True),
    Key("aliases", paths),
    Key("partial_aliases", paths),
    Key("quantity", column, default=_ITSELF, fixed=True),
    Key("label", label),
    Key("label_ja", label),
    Key(
        "unit",
        unit,
        needed=True,
        missing=N_('is missing; write unit = "" for a number without a unit'),
        fixed=True,
    ),
    Key("minimum", readers.number),
    Key("maximum", readers.number),
    Key("csv_header", header, default=_ITSELF, fixed=True),
    Key("ambient", readers.one_of(f"d{number}" for number in range(1, 9))),
    Key("influx", name),
    Key("hidden", readers.switch),
)
FAULT_KEYS = (
    Key("value", readers.number, needed=True),
    Key("sensor", label, needed=True),
    Key("reason", readers.one_of(FAULT_CODES), "code"),
    Key("warning_only", readers.switch),
)
BAND_KEYS = (
    Key("above", readers.number),
    Key("below", readers.number),
    Key("level", readers.one_of(LEVELS)),
    Key("label", label, needed=True),
    Key("label_ja", label),
)
