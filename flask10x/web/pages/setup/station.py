"""A station that is there: what its form shows, what the form writes, and the order of all.

The forms are about the file as it is, also while the workers still read it.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask10x.config import form, house, station_file, station_text, toml
from flask10x.config.form import Fields
from flask10x.config.station_keys import BAND_KEYS, MEASUREMENT_KEYS, STATION_KEYS
from flask10x.config.toml import Key
from flask10x.errors import SettingsError
from flask10x.readings.bands import USUAL, Band
from flask10x.readings.labels import band_name, station_name
from flask10x.readings.stations import BUILT_IN, Measurement, Station, Stations
from flask10x.translation import message as _
from flask10x.translation import translation
from flask10x.web import context
from flask10x.web.pages.setup import stations
from flask10x.web.pages.setup.changes import Edit

Table = MutableMapping[str, Any]
Tables = list[tuple[tuple[str, ...], dict[str, Any]]]
"""Tables of the file by their names from the outside in, and what becomes of their keys."""
# How many thresholds a form has beside those that are there.
FREE_BANDS = 2
KEYS = form.named(
    STATION_KEYS,
    *("label", "label_ja", "icon", "tile_main", "tile_second", "chart", "interval_sec"),
    *("altitude_m", "outside", "hidden", "retired"),
)
"""Those of a station that the form has, and those of each of its measurements."""
LIMITS = ("minimum", "maximum")
OTHER_KEYS = form.named(MEASUREMENT_KEYS, *LIMITS, "hidden")
BAND_FIELDS = ("side", "limit", "level", "label", "label_ja")
"""The fields of a threshold: on which side of the limit it is, and the keys of the file."""


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
    data = house.present(path)
    read = BUILT_IN if data is None else station_file.parse(data, path)
    return File(path, data, read)


def order_edit(of: File, names: Sequence[str]) -> Edit:
    """Return the edit that puts the stations in this order; those that are not named come last.

    Raises SettingsError where it has to be made by hand.
    """
    before = [station.endpoint for station in of.stations.ordered]
    order = [name for name in dict.fromkeys([*names, *before]) if name in before]

    def edit(document: Table) -> None:
        for place, name in enumerate(order, 1):
            toml.inner(document, "stations", name)["order"] = place

    data = of.data if order == before else toml.edited(of.beginning, edit)
    return Edit("order", "", of.path, of.data, data)


def fields_of(station: Station) -> Fields:
    """Return what the form of a station shows."""
    fields = form.fields_of(KEYS, {}, station)
    # A built-in station is called otherwise on pages than in programs.
    fields["label"] = station_name(station, translation("en"))
    japanese = station_name(station, translation("ja"))
    fields["label_ja"] = station.label_ja or (japanese if japanese != fields["label"] else "")
    for measurement in station.measurements:
        of = measurement.column
        fields |= form.fields_of(_keys_of(measurement), {}, measurement, f"{of}.{{}}")
        fields[f"{of}.usual"] = ""
        for number, band in enumerate(station.bands_of(measurement)):
            label, japanese = (band_name(band, translation(code)) for code in ("en", "ja"))
            limit = band.below if band.above is None else band.above
            values = {
                "side": "below" if band.above is None else "above",
                "limit": "" if limit is None else form.number_text(limit),
                "level": band.level,
                "label": label,
                "label_ja": "" if japanese == label else japanese,
            }
            fields |= {f"{of}.bands.{number}.{key}": value for key, value in values.items()}
    return fields


def _keys_of(measurement: Measurement) -> list[Key]:
    return [*(stations.NAMED_KEYS if stations.is_named(measurement) else ()), *OTHER_KEYS]


def band_numbers(station: Station, measurement: Measurement) -> range:
    """Return the numbers of the thresholds in the form: those that are there, and some free ones.

    Their fields are called by them.
    """
    most = len(station.bands_of(measurement)) + FREE_BANDS
    return range(min(most, station_file.MAX_BANDS))


def usual_bands(station: Station, measurement: Measurement) -> Sequence[Band]:
    """Return the thresholds that the measurement has where the file says nothing of them."""
    return () if station.outside else USUAL.get((measurement.quantity, measurement.unit), ())


def sent(station: Station, form: Mapping[str, str]) -> Fields:
    """Return the fields of a form that was sent, without blanks around what was typed.

    A field that the form does not have is as it was; a box that it does not have is not ticked.
    """
    fields = fields_of(station)
    boxes = [n for n in fields if n.rpartition(".")[2] in ("outside", "hidden", "retired", "usual")]
    fields |= dict.fromkeys(boxes, "")
    for measurement in station.measurements:
        for place in band_numbers(station, measurement):
            prefix = f"{measurement.column}.bands.{place}"
            for key in BAND_FIELDS:
                fields.setdefault(f"{prefix}.{key}", "")
    return {name: form.get(name, text).strip() for name, text in fields.items()}


def edit_of(of: File, station: Station, fields: Fields) -> Edit:
    """Return the edit that makes the station as the form says, and leaves all else as it is.

    Raises Mistakes, and SettingsError where the change has to be made by hand. Call it within
    `speaking`.
    """
    tables, problems = _tables(station, fields)
    if problems:
        raise Mistakes(problems)

    def edit(document: Table) -> None:
        for path, values in tables:
            if any(value is not None for value in values.values()):
                toml.inner(document, *path)
            table = document
            for name in path:
                table = table.get(name, {})
            toml.put(table, values)

    is_same = not any(values for _path, values in tables)
    data = of.data if is_same else toml.edited(of.beginning, edit)
    for one in reversed(station_file.mistakes(data, of.path) if data is not None else []):
        # What keys mean to each other, at the field of one of them, or under `file`.
        names = [str(name) for name in one.path[2:] if name != "measurements"]
        field = ".".join(names[:2] if names[1:2] == ["bands"] else names)
        is_field = field in fields or field.endswith(".bands")
        if one.path[:2] == ("stations", station.endpoint) and is_field:
            problems[field] = one.reason
        else:
            problems["file"] = one.text
    if problems:
        raise Mistakes(problems)
    return Edit("changed", station.endpoint, of.path, of.data, data)


def _tables(station: Station, fields: Fields) -> tuple[Tables, Fields]:
    """What the form changes of each table of the station, and what is wrong, by field."""
    before, top = fields_of(station), ("stations", station.endpoint)
    changed = {name for name in before if fields[name] != before[name]}
    if "label" in changed and fields["label_ja"]:
        # Without a name of its own the Japanese page had the new one, too.
        changed.add("label_ja")
    built_in = BUILT_IN.by_endpoint.get(station.endpoint)
    # A station without any name would be called by its path.
    keys = [form.needed(k) if k.name == "label" and built_in is None else k for k in KEYS]
    own, problems = form.table_of([key for key in keys if key.name in changed], fields)
    if "outside" in own and built_in is not None and built_in.outside:
        own["outside"] = None if fields["outside"] else False
    tables: Tables = [(top, own)]
    limited = {m.column: m for m in built_in.measurements} if built_in else {}
    for measurement in station.measurements:
        column = measurement.column
        keys = [key for key in _keys_of(measurement) if f"{column}.{key.name}" in changed]
        table, wrong = form.table_of(keys, fields, f"{column}.{{}}")
        bands, wrong_bands = _bands(column, fields)
        problems |= wrong | wrong_bands
        if fields[f"{column}.usual"]:
            table["bands"] = None
        elif bands != _bands(column, before)[0]:
            table["bands"] = bands if bands or usual_bands(station, measurement) else None
        tables.append(((*top, "measurements", column), table))
        for key in LIMITS if column in limited else ():
            limit = getattr(limited[column], key)
            if limit is not None and not fields[f"{column}.{key}"]:
                text = _("the measurement is built in and keeps a limit: {limit}, or another one")
                problems[f"{column}.{key}"] = text.format(limit=form.number_text(limit))
    return tables, problems


def _bands(column: str, fields: Fields) -> tuple[list[dict[str, Any]], Fields]:
    """The tables of the thresholds of a form in which something is typed, and what is wrong.

    A threshold goes when its limit and its name are emptied.
    """
    by_name = {key.name: key for key in BAND_KEYS}
    bands, problems = [], {}
    for place in range(station_file.MAX_BANDS):
        row = {key: fields.get(f"{column}.bands.{place}.{key}", "") for key in BAND_FIELDS}
        if not row["limit"] and not row["label"]:
            continue
        side = "below" if row["side"] == "below" else "above"
        keys = [form.needed(by_name[side]), *(by_name[key] for key in BAND_FIELDS[2:])]
        table, wrong = form.table_of(keys, row | {side: row["limit"]})
        # What is usual is not written.
        usual = (None, "notice")
        bands.append({key: value for key, value in table.items() if value not in usual})
        for key, text in wrong.items():
            problems[f"{column}.bands.{place}.{'limit' if key == side else key}"] = text
    return bands, problems
