"""A station that is there: what its form shows, what the form writes, and the order of all.

The forms are about the file as it is, also while the workers still read it.
"""

from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask10x.config import station_file, station_text, toml
from flask10x.config.readers import WrongEntry
from flask10x.config.station_keys import BAND_KEYS, MEASUREMENT_KEYS, STATION_KEYS
from flask10x.config.toml import Mistake
from flask10x.errors import SettingsError
from flask10x.readings.bands import USUAL, Band
from flask10x.readings.labels import COLUMNS, band_name, station_name
from flask10x.readings.numbers import NotTyped, typed_number
from flask10x.readings.stations import BUILT_IN, Measurement, Station, Stations
from flask10x.runtime import setup_files
from flask10x.translation import chosen, translation
from flask10x.translation import message as _
from flask10x.web import context
from flask10x.web.pages.setup import stations
from flask10x.web.pages.setup.changes import Edit
from flask10x.web.pages.setup.page import with_nearest

Fields = dict[str, str]
"""What a form has, by the names of its fields; a box that is not ticked is empty."""
Table = MutableMapping[str, Any]
TICKED = "on"
# How many thresholds a form has beside those that are there.
FREE_BANDS = 2
TEXTS = ("label", "label_ja", "icon", "tile_main", "tile_second", "chart")
NUMBERS = ("interval_sec", "altitude_m")
BOXES = ("outside",)
LIMITS = ("minimum", "maximum")
# The fields of a threshold: on which side of the limit it is, and the keys of the file.
BAND_FIELDS = ("side", "limit", "level", "label", "label_ja")


@dataclass(frozen=True, slots=True)
class File:
    """The file of stations as it is."""

    path: Path
    data: bytes | None
    """None: there is none yet."""
    stations: Stations

    @property
    def beginning(self) -> bytes:
        """What an edit begins with: the file, or what a new one has."""
        rendered = station_text.rendered(BUILT_IN.all).encode()
        return rendered if self.data is None else self.data


class Mistakes(SettingsError):
    """Values of a form are wrong; `by_field` says what, and under `file` what no field has."""

    def __init__(self, by_field: Fields) -> None:
        super().__init__("; ".join(by_field.values()))
        self.by_field = by_field


def file() -> File:
    """Return the file of stations; raises StationsError where it has mistakes, and OSError."""
    path = stations.file_of(context.store().settings)
    data = setup_files.present(path)
    read = BUILT_IN if data is None else station_file.parse(data, path)
    return File(path, data, read)


def order_edit(of: File, endpoints: Sequence[str]) -> Edit:
    """Return the edit that puts the stations in this order; those that are not named come last.

    Raises SettingsError where it has to be made by hand.
    """
    names = [name for name in dict.fromkeys(endpoints) if name in of.stations.by_endpoint]
    names += [station.endpoint for station in of.stations.ordered if station.endpoint not in names]

    def edit(document: Table) -> None:
        for place, name in enumerate(names, 1):
            _inner(document, "stations", name)["order"] = place

    is_same = names == [station.endpoint for station in of.stations.ordered]
    data = of.data if is_same else toml.edited(of.beginning, edit)
    return Edit("order", "", of.path, of.data, data)


def moved(endpoints: Sequence[str], name: str, by: int) -> list[str]:
    """Return the list with one name further up or down."""
    names = [*endpoints]
    if name in names:
        place = names.index(name)
        names.insert(max(0, place + by), names.pop(place))
    return names


def fields_of(station: Station) -> Fields:
    """Return what the form of a station shows."""
    fields = {key: getattr(station, key) for key in TEXTS}
    fields |= {key: _written(getattr(station, key)) for key in NUMBERS}
    fields |= {key: TICKED if getattr(station, key) else "" for key in BOXES}
    # A built-in station is called otherwise on pages than in programs.
    fields["label"] = station_name(station, translation("en"))
    japanese = station_name(station, translation("ja"))
    fields["label_ja"] = station.label_ja or (japanese if japanese != fields["label"] else "")
    for measurement in station.measurements:
        of = measurement.column
        fields[f"{of}.hidden"] = TICKED if measurement.hidden else ""
        if is_named(measurement):
            fields |= {f"{of}.{key}": getattr(measurement, key) for key in ("label", "label_ja")}
        fields |= {f"{of}.{key}": _written(getattr(measurement, key)) for key in LIMITS}
        fields[f"{of}.usual"] = ""
        for number, band in enumerate(station.bands_of(measurement)):
            fields |= _band_fields(f"{of}.bands.{number}", band)
    return fields


def band_numbers(station: Station, measurement: Measurement) -> range:
    """Return the numbers of the thresholds in the form: those that are there, and some free ones.

    Their fields are called by them.
    """
    most = len(station.bands_of(measurement)) + FREE_BANDS
    return range(min(most, station_file.MAX_BANDS))


def is_named(measurement: Measurement) -> bool:
    """Whether its label is shown: columns of the built-in stations have names of their own."""
    return measurement.column not in COLUMNS


def usual_bands(station: Station, measurement: Measurement) -> Sequence[Band]:
    """Return the thresholds that the measurement has where the file says nothing of them."""
    return () if station.outside else USUAL.get((measurement.quantity, measurement.unit), ())


def _written(number: float | None) -> str:
    return "" if number is None else f"{number:.15g}"


def _band_fields(prefix: str, band: Band) -> Fields:
    limit = band.below if band.above is None else band.above
    label, japanese = (band_name(band, translation(code)) for code in ("en", "ja"))
    values = {
        "side": "below" if band.above is None else "above",
        "limit": _written(limit),
        "level": band.level,
        "label": label,
        "label_ja": "" if japanese == label else japanese,
    }
    return {f"{prefix}.{key}": value for key, value in values.items()}


def sent(station: Station, form: Mapping[str, str]) -> Fields:
    """Return the fields of a form that was sent, without blanks around what was typed.

    A field that the form does not have is as it was; a box that it does not have is not ticked.
    """
    fields = fields_of(station)
    boxes = [name for name in fields if name.rpartition(".")[2] in (*BOXES, "hidden", "usual")]
    fields |= dict.fromkeys(boxes, "")
    for measurement in station.measurements:
        for place in band_numbers(station, measurement):
            prefix = f"{measurement.column}.bands.{place}"
            for key in BAND_FIELDS:
                fields.setdefault(f"{prefix}.{key}", "")
    return {name: form.get(name, text).strip() for name, text in fields.items()}


def edit_of(of: File, station: Station, fields: Fields) -> Edit:
    """Return the edit that makes the station as the form says, and leaves all else as it is.

    Raises Mistakes, and SettingsError where the change has to be made by hand.
    """
    if wrong_limits := _lost_limits(station, fields):
        raise Mistakes(wrong_limits)
    edits = [*_edits(station, fields)]

    def edit(document: Table) -> None:
        for path, value in edits:
            _set(document, path, value)

    data = toml.edited(of.beginning, edit) if edits else of.data
    wrong = station_file.mistakes(data, of.path) if data is not None else []
    if wrong:
        raise Mistakes(dict(_problem(one, station, fields) for one in reversed(wrong)))
    return Edit("changed", station.endpoint, of.path, of.data, data)


def _lost_limits(station: Station, fields: Fields) -> Fields:
    """Limits that were emptied of measurements that cannot be without: no key says so."""
    built_in = BUILT_IN.by_endpoint.get(station.endpoint)
    return {
        f"{one.column}.{key}": _(
            "the measurement is built in and keeps a limit: {limit}, or another one"
        ).format(limit=_written(getattr(one, key)))
        for one in (built_in.measurements if built_in else ())
        for key in LIMITS
        if getattr(one, key) is not None and not fields[f"{one.column}.{key}"]
    }


_Edits = Iterator[tuple[tuple[str, ...], Any]]
"""Keys of the file with their tables, and what they become; None: they go."""


def _edits(station: Station, fields: Fields) -> _Edits:
    before, endpoint = fields_of(station), station.endpoint
    changed = {name for name in before if fields.get(name, "") != before[name]}
    table = ("stations", endpoint)
    if "label" in changed and fields["label_ja"]:
        # Without a name of its own the Japanese page had the new one, too.
        changed.add("label_ja")
    built_in = BUILT_IN.by_endpoint.get(endpoint)
    for key in (*TEXTS, *NUMBERS, *BOXES):
        if key in changed:
            yield (*table, key), _value(key, fields[key], built_in)
    for measurement in station.measurements:
        column = measurement.column
        own = (*table, "measurements", column)
        for key in ("label", "label_ja", *LIMITS, "hidden"):
            if f"{column}.{key}" in changed:
                yield (*own, key), _value(key, fields[f"{column}.{key}"])
        yield from _band_edits(own, station, measurement, fields)


def _value(key: str, text: str, built_in: Station | None = None) -> Any:
    """What the file has for a field; None where its key goes."""
    if key in ("outside", "hidden"):
        is_ticked = text == TICKED
        usual = bool(built_in and key == "outside" and built_in.outside)
        return None if is_ticked is usual else is_ticked
    if key in (*NUMBERS, *LIMITS):
        return None if not text else number(text)
    # A station without any name would be called by its path.
    return text if text or (key == "label" and built_in is None) else None


def number(text: str) -> int | float | str:
    """Return the number that people have typed, in full width, too; the text where it is none."""
    try:
        return typed_number(text)
    except NotTyped:
        return text


def _band_edits(
    path: tuple[str, ...], station: Station, measurement: Measurement, fields: Fields
) -> _Edits:
    own, of = (*path, "bands"), measurement.column
    if fields[f"{of}.usual"] == TICKED:
        yield own, None
        return
    names = [name for name in fields if name.startswith(f"{of}.bands.")]
    before = fields_of(station)
    bands = [band for _place, band in _band_rows(of, fields)]
    unchanged = _band_rows(of, {name: before.get(name, "") for name in names})
    if bands != [band for _place, band in unchanged]:
        yield own, bands if bands or usual_bands(station, measurement) else None


def _band_rows(of: str, fields: Fields) -> list[tuple[int, dict[str, Any]]]:
    """The number of each row of the form in which something is typed, and its table.

    A threshold goes when its limit and its name are emptied.
    """
    rows = []
    for place in range(station_file.MAX_BANDS):
        row = {key: fields.get(f"{of}.bands.{place}.{key}", "") for key in BAND_FIELDS}
        if row["limit"] or row["label"]:
            side = "below" if row["side"] == "below" else "above"
            band: dict[str, Any] = {side: number(row["limit"])}
            if row["level"] not in ("", "notice"):
                band["level"] = row["level"]
            band["label"] = row["label"]
            if row["label_ja"]:
                band["label_ja"] = row["label_ja"]
            rows.append((place, band))
    return rows


def _inner(document: Table, *names: str) -> Table:
    table = document
    for name in names:
        if name not in table:
            table[name] = {}
        table = table[name]
    return table


def _set(document: Table, path: tuple[str, ...], value: Any) -> None:
    *tables, key = path
    if value is not None:
        _inner(document, *tables)[key] = value
        return
    table = document
    for name in tables:
        if name not in table:
            return
        table = table[name]
    table.pop(key, None)


_READERS: dict[str, Callable[[Any], Any]] = {
    key.name: key.read for key in (*BAND_KEYS, *MEASUREMENT_KEYS, *STATION_KEYS)
}


def _problem(mistake: Mistake, station: Station, fields: Fields) -> tuple[str, str]:
    """The field of a mistake, and what is needed there."""
    top, endpoint, *rest = (*mistake.path, "", "")
    names = [name for name in rest if name != ""]
    if (top, endpoint) != ("stations", station.endpoint):
        return "file", mistake.text
    if names[:1] == ["measurements"]:
        names = names[1:]
    field = _field(names, fields)
    if field not in fields and not field.endswith(".bands"):
        return "file", mistake.text
    key = str(names[-1])
    text = fields.get(field, "")
    is_number = key in (*NUMBERS, *LIMITS, "above", "below")
    try:
        _READERS[key](number(text) if is_number else text)
    except WrongEntry as error:
        is_text = is_number and isinstance(number(text), str)
        return field, with_nearest(chosen(), error.needed, text) if is_text else error.needed
    except KeyError:
        pass
    return field, mistake.reason


def _field(names: Sequence[str | int], fields: Fields) -> str:
    """The name of the field of these names in the table of the station."""
    if len(names) > 2 and names[1] == "bands":  # noqa: PLR2004
        column, _bands, place, *key = names
        row = _band_rows(str(column), fields)[int(place)][0]
        end = "limit" if not key or key[0] in ("above", "below") else key[0]
        return f"{column}.bands.{row}.{end}"
    return ".".join(map(str, names))
