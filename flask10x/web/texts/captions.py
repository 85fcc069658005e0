"""A query of the history as a phrase in the reader's language."""

from flask10x.history.operators import IS_NULL, Filter
from flask10x.history.query import Query
from flask10x.readings.derived.registry import measurement_of, names_of_readings
from flask10x.readings.stations import Stations
from flask10x.web.texts.catalog import Texts
from flask10x.web.texts.reasons import reason_in


def caption(query: Query, t: Texts) -> str:
    """`Bedroom, from 2025-08-24, CO₂ ≥ 1000 ppm, newest first`."""
    known = query.known
    names = [t.station(known.by_endpoint[endpoint]) for endpoint in query.endpoints]
    parts = names or [t("caption.all_stations")]
    parts += [
        t.column(measurement_of(known, name)) for name in (*query.measurements, *query.derived)
    ]
    parts += [t("caption.from", time=query.since.phrase)] if query.since else []
    parts += [t("caption.to", time=query.until.phrase)] if query.until else []
    parts += [condition(one, known, t) for one in query.filters]
    parts += [t("caption.incomplete")] if query.incomplete else []
    parts += [t("caption.raw")] if query.raw else []
    parts.append(t("order.desc") if query.order == "desc" else t("order.asc"))
    return t("caption.join").join(parts)


def label(name: str, stations: Stations, t: Texts) -> str | None:
    """What the form calls a parameter: `CO₂ at least`; None for one that it does not have."""
    column, _, key = name.rpartition("__")
    if column in stations.by_column or column in names_of_readings(stations):
        return f"{t.column(measurement_of(stations, column))} {t.get(f'operator.{key}', key)}"
    return t.get(f"field.{name}")


def problems(
    details: dict[str, str], stations: Stations, t: Texts
) -> dict[str, dict[str, str | None]]:
    """What a QueryError says of each parameter: the form's name for it, and the reason."""
    return {
        name: {"label": label(name, stations, t), "reason": reason_in(t.language, reason)}
        for name, reason in details.items()
    }


def condition(one: Filter, known: Stations, t: Texts) -> str:
    """`CO₂ ≥ 1000 ppm`."""
    name = t.column(measurement_of(known, one.column))
    if one.operator is IS_NULL:
        return t("caption.missing", name=name) if one.value else t("caption.present", name=name)
    value = f"{one.text} {one.unit}".rstrip()
    return t("caption.comparison", name=name, sign=one.operator.label, value=value)
