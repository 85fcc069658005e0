"""Foreign items: items of a batch, made of what other protocols call the fields of a reading."""

import json
from collections.abc import Mapping
from hashlib import blake2b

from flask10x.readings.stations import Station

# Enough that no two different readings of one moment ever get one key.
KEY_BYTES = 16

ItemObject = dict[str, object]


def item_object(
    station: Station,
    named: Mapping[str, str],
    given: Mapping[str, object],
    measured_at: object = None,
) -> ItemObject:
    """The item of a reading: what was `given` under the names that a protocol has for its fields.

    `named` says for each payload path what its field is called. What it does not name stays under
    its own name: a measurement may have it as an alias, and a refused reading is kept with it. A
    reading with a time of its own is the same one whenever it comes again, so it has an id too;
    without one two equal readings may be two. No protocol nests, so nobody looks into a list or
    an object.
    """
    given = {n: type(v)() if isinstance(v, dict | list) else v for n, v in given.items()}
    data: ItemObject = {name: value for name, value in given.items() if name not in named.values()}
    for path, name in named.items():
        if name in given:
            _put(data, path, given[name])
    item: ItemObject = {"endpoint": station.endpoint, "data": data}
    if measured_at is not None:
        item |= {"measured_at": measured_at, "id": _key(measured_at, given)}
    return item


def _put(data: ItemObject, path: str, value: object) -> None:
    *objects, key = path.split(".")
    holder = data
    for name in objects:
        inner = holder.get(name)
        if not isinstance(inner, dict):
            inner = holder[name] = {}
        holder = inner
    holder[key] = value


def _key(measured_at: object, given: Mapping[str, object]) -> str:
    """The values belong to it: two readings of one second are no repeat of each other."""
    text = json.dumps([measured_at, given], sort_keys=True)
    return blake2b(text.encode(), digest_size=KEY_BYTES).hexdigest()
