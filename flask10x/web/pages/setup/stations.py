"""A station that is not there yet: what it would be, as a form, and added."""

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flask10x.config import form, house, station_file, station_proposal
from flask10x.config.settings import Settings
from flask10x.config.station_keys import LABEL_CHARS, MEASUREMENT_KEYS, STATION_KEYS
from flask10x.readings.labels import COLUMNS
from flask10x.readings.parse import InvalidBody, decode
from flask10x.readings.stations import Measurement, Station
from flask10x.recording import rejected
from flask10x.recording.rejected import RejectedRow, Waiting
from flask10x.recording.rejected_queue import LATEST_BODY_BYTES
from flask10x.system.uploads import Uploads
from flask10x.translation import Translation, speaking, translation
from flask10x.web import context
from flask10x.web.ingest.unknown_station import can_be_endpoint
from flask10x.web.pages.setup import changes
from flask10x.web.pages.setup.changes import Edit

KEYS = [
    form.needed(key) if key.name == "label" else key
    for key in form.named(STATION_KEYS, "label", "label_ja", "csv_file", "mqtt_topic")
]
"""Those of a new station, of each of its measurements, and of one that has no name yet."""
# As many rows of a CSV file are looked at for a value of each column.
ROWS_LOOKED_AT = 50
# As the names of endpoints have at most (`config/station_keys.ENDPOINT`).
ENDPOINT_CHARS = 32
LIMIT_KEYS = [
    replace(k, needed=False) for k in form.named(MEASUREMENT_KEYS, "unit", "minimum", "maximum")
]
NAMED_KEYS = form.named(MEASUREMENT_KEYS, "label", "label_ja")
UNITS = tuple(
    dict.fromkeys(usual.unit for usual in station_proposal.USUAL_MEASUREMENTS if usual.unit)
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A body that is no station's yet, and the station it would be."""

    endpoint: str
    body: Mapping[str, object]
    station: Station
    left_out: tuple[tuple[str, str], ...]
    """Fields that are no measurements, each with the reason."""
    row: RejectedRow | None = None
    """Where the body is from; None: from a form, or not written down yet."""
    waiting: Waiting | None = None
    """The readings that were refused and are kept."""

    @property
    def sent(self) -> dict[str, object]:
        """The values of the body by the paths of the measurements."""
        return station_proposal.sent_values(self.body)

    @property
    def text(self) -> str:
        """The body as a form carries it, so that its fields are those of the page it is from."""
        return json.dumps(self.body)


def candidate(endpoint: str) -> Candidate | None:
    """Return that of this endpoint; None where there is no body of it, or no number in the body."""
    if not is_free(endpoint):
        return None
    with context.view() as view:
        row = rejected.latest(view.connection, endpoint)
        waiting = rejected.waiting(view.connection, endpoint) if row else None
    # Pages offer it at once, and what was refused is written down some seconds later.
    names = context.store().gauges.unknown_names()
    body = row.body if row else next((one.body for one in names if one.name == endpoint), b"")
    found = of_body(endpoint, body) if body else None
    return replace(found, row=row, waiting=waiting) if found else None


def of_body(endpoint: str, raw: bytes) -> Candidate | None:
    """Return that of a body; None where the body has no number, or the endpoint is not free."""
    if not is_free(endpoint) or len(raw) > 2 * LATEST_BODY_BYTES:
        return None
    try:
        body = station_proposal.example_of(decode(raw))
    except InvalidBody:
        return None
    proposal = station_proposal.propose(endpoint, body, context.store().settings.stations)
    if not proposal.station.measurements:
        return None
    label, label_ja = station_proposal.labels_of(endpoint)
    measurements = tuple(map(_named, proposal.station.measurements))
    station = replace(proposal.station, label=label, label_ja=label_ja, measurements=measurements)
    return Candidate(endpoint, body, station, proposal.left_out)


def of_file(endpoint: str, number: int) -> Candidate | None:
    """Return that of the first rows of the CSV file that was sent as this number, from 1.

    None as for a body, or without such a file. Raises OSError.
    """
    files = Uploads(context.store().settings.data_dir).files
    if not 1 <= number <= len(files):
        return None
    with files[number - 1].open("rb") as file:
        lines = file.read(LATEST_BODY_BYTES).decode("utf-8-sig", "replace").splitlines()
    body: dict[str, str] = {}
    # A sensor may have failed at the first row.
    for row in csv.DictReader(lines[:ROWS_LOOKED_AT]):
        for name, cell in row.items():
            # A row with more cells than the header has a list of them, without a name.
            if name and isinstance(cell, str) and cell.strip():
                body.setdefault(name, cell.strip())
    return of_body(endpoint, json.dumps(body).encode())


def proposed_endpoint(name: str) -> str:
    """Return the endpoint nearest to a name; empty if it has no letter of one."""
    right = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).lstrip("-_0123456789")
    return right[:ENDPOINT_CHARS].rstrip("-_")


def _named(measurement: Measurement) -> Measurement:
    """The measurement; one of several sensors with a name that tells them apart."""
    holder, _, leaf = measurement.path.rpartition(".")
    usual = station_proposal.known_as(leaf, None)
    if not holder or usual is None or measurement.label or not is_named(measurement):
        return measurement
    sensor = holder.replace("_", " ")
    sensor = sensor.upper() if re.search("[0-9]", sensor) else sensor
    names = (usual.label, translation("ja")(usual.label))
    label, label_ja = (f"{name} ({sensor})"[:LABEL_CHARS] for name in names)
    return replace(measurement, label=label, label_ja=label_ja)


def is_free(endpoint: str) -> bool:
    """Whether a station could have it, and none has it."""
    return (
        can_be_endpoint(endpoint) and endpoint not in context.store().settings.stations.by_endpoint
    )


def fields_of(candidate: Candidate) -> dict[str, str]:
    """Return the fields of the form as it is proposed."""
    station = candidate.station
    fields = {
        "label": station.label,
        "label_ja": station.label_ja,
        "csv_file": station.csv_name,
        "replay": "1",
    }
    for n, m in enumerate(station.measurements):
        fields |= {f"take-{n}": "1", f"unit-{n}": m.unit}
        fields |= {f"label-{n}": m.label, f"label_ja-{n}": m.label_ja}
        for name in ("minimum", "maximum"):
            limit = getattr(m, name)
            fields[f"{name}-{n}"] = "" if limit is None else form.number_text(limit)
    return fields


def is_named(measurement: Measurement) -> bool:
    """Return whether a form has its names: columns of the built-in stations have one already."""
    return measurement.column not in COLUMNS


def _names(former: Station, fields: Mapping[str, str]) -> dict[str, str]:
    """The names of both languages where a form has one field, and it is as it was proposed."""
    if "label_ja" in fields or fields.get("label") not in (former.label, former.label_ja):
        return {}
    return {"label": former.label, "label_ja": former.label_ja}


def station_of(
    candidate: Candidate, fields: Mapping[str, str], t: Translation
) -> tuple[Station, form.Fields]:
    """Return the station that a form makes, and what is wrong, by field.

    A field that `fields` lacks is as it was proposed.
    """
    stations, former = context.store().settings.stations, candidate.station
    with speaking(t.language):
        table, problems = form.table_of(
            KEYS, {"csv_file": former.csv_name, **fields, **_names(former, fields)}
        )
    csv_name, topic = table["csv_file"] or former.csv_name, table["mqtt_topic"] or ""
    for other in stations.all:
        if other.csv_name.casefold() == csv_name.casefold():
            text = t("{name} is the file of /{station}", name=csv_name, station=other.endpoint)
            problems["csv_file"] = text
        if topic and other.mqtt_topic == topic:
            text = t("{name} is the topic of /{station}", name=topic, station=other.endpoint)
            problems["mqtt_topic"] = text
    measurements = []
    for n, measurement in enumerate(former.measurements):
        if f"unit-{n}" not in fields:
            measurements.append(measurement)
            continue
        keys = [*LIMIT_KEYS, *(NAMED_KEYS if is_named(measurement) else ())]
        with speaking(t.language):
            own, wrong = form.table_of(keys, fields, f"{{}}-{n}")
        low, high = own["minimum"], own["maximum"]
        if low is not None and high is not None and low >= high:
            wrong[f"maximum-{n}"] = t("has to be above the least value")
        problems |= wrong
        if f"take-{n}" in fields:
            texts: dict[str, Any] = {
                name: own[name] or "" for name in ("unit", "label", "label_ja") if name in own
            }
            measurements.append(replace(measurement, minimum=low, maximum=high, **texts))
    paths = {one.path for one in measurements}
    if not measurements:
        problems["take-0"] = t("choose at least one measurement")
    elif [m.unit for m in measurements] != [m.unit for m in former.measurements if m.path in paths]:
        # Another unit is another column, and maybe another quantity.
        pairs = [(m.path, m.unit) for m in measurements]
        built = station_proposal.station_of(former.endpoint, pairs, stations)
        names = ("label", "label_ja", "minimum", "maximum")
        measurements = [
            replace(new, **{name: getattr(m, name) for name in names})
            for new, m in zip(built.measurements, measurements, strict=True)
        ]
    station = replace(
        former,
        label=table["label"] or "",
        label_ja=table["label_ja"] or "",
        csv_name=csv_name,
        mqtt_topic=topic,
        accepts_partial=fields.get("partial") == "accept",
        measurements=tuple(measurements),
    )
    return station, problems


def file_of(settings: Settings) -> Path:
    """Return the file of stations, whether or not it is there."""
    return house.paths(settings)[station_file.NAME]


def add(station: Station, *, replays: bool = False) -> None:
    """Add the station to the file, and let the service take it over.

    Raises SettingsError where the file would have a mistake, and what `changes.make` raises; then
    nothing is changed.
    """
    # Only a change needs it, and few homes make one.
    from flask10x.maintenance.station_changes import with_station  # noqa: PLC0415

    path = file_of(context.store().settings)
    data, former = with_station(path, station)
    changes.make(Edit("station", station.endpoint, path, former, data, replays))
