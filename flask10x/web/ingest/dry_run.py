"""A dry run: what would be answered and stored, without a trace of it anywhere."""

from collections.abc import Collection

from flask10x.readings import parse
from flask10x.readings.times import iso_text
from flask10x.runtime.store import Store
from flask10x.web.ingest.take import (
    DUPLICATE,
    Outcome,
    Sent,
    accepted,
    invalid,
    is_repeat,
    read,
    refused,
)

DRY_RUN = "dry_run"


def tried(store: Store, sent: Sent, ack: str, repeats: Collection[str] | None = None) -> Outcome:
    """What the reading would be: refused as in earnest, or told as it would be stored.

    `ack` is the status that it would be answered with; `repeats` are as for `queue`.
    """
    try:
        reading, hint = read(store, sent)
    except parse.InvalidReading as error:
        told = refused(sent, error)
        return invalid(told.reasons, told.hint)
    if is_repeat(store, sent, repeats):
        return Outcome({"status": DRY_RUN, "would": DUPLICATE})
    said = accepted(store, sent.station, reading, hint)
    body: dict[str, object] = {"status": DRY_RUN, "would": ack}
    if said:
        body |= said | {"status": DRY_RUN, "would": said["status"]}
    body["reading"] = parse.nested(sent.station, reading.values)
    body["units"] = {m.path: m.unit for m in sent.station.measurements if m.unit}
    if sent.measured_at is not None:
        body["measured_at"] = iso_text(sent.measured_at, store.settings.zone)
    return Outcome(body)
