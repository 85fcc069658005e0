"""The page `/devices`: how each board sends, what is wrong with it, and a program for it."""

import re
from dataclasses import dataclass

from flask import Response, abort, render_template, request

from flask10x.errors import nearest
from flask10x.history.rhythm import Rhythm
from flask10x.readings.labels import station_name
from flask10x.readings.reasons import in_language
from flask10x.readings.stations import Station
from flask10x.readings.times import local_text
from flask10x.recording import rejected
from flask10x.system import clock
from flask10x.system.last_requests import UnknownName
from flask10x.system.logs import escape
from flask10x.translation import N_, Translation
from flask10x.web import context, preferences, read_errors
from flask10x.web.page import Page
from flask10x.web.pages.devices import model
from flask10x.web.pages.devices.model import (
    KINDS,
    REFUSALS_LOOKED_AT,
    Device,
    Kind,
    devices,
    unknown_names,
)
from flask10x.web.specification import state as specified

blueprint = Page(
    "devices", __name__, text=N_("Devices"), group="more", operations=specified.devices
)
read_errors.register(blueprint)

# A name or an address, and a port: what may stand in the text of a program.
HOST = re.compile(r"(?P<name>[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::(?P<port>[0-9]{1,5}))?")
# What boards can look up in most homes, and the port of the contract.
USUAL_HOST, USUAL_PORT = "raspberrypi.local", 8888
HTTP_PORT = 80
# A difference below this is the way of a request, not a clock.
CLOCK_AGREES_SEC = 2.0
# Intervals of minutes need no tenths.
TENTHS_BELOW_SEC = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One board as the page shows it; every text is one that plays no tricks on a screen."""

    station: Station
    name: str
    came: str
    """When the last request came, local time; empty when none has."""
    request_line: str
    status: int
    headers: dict[str, str]
    body: str
    body_bytes: int
    rhythm: tuple[str, ...]
    warned: dict[str, int]
    refusals: tuple[tuple[str, str], ...]
    """When, and why."""
    trial: str
    """A command that asks what would become of a reading, and stores nothing."""
    programs: tuple[tuple[Kind, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownUnknown:
    """A name that no station has, to which a board sends."""

    name: str
    came: str
    """When its last request came, local time."""
    times: int
    path: str
    sender: str
    meant: str
    """The path of the station that is meant instead, or that may be; empty: none is near."""
    command: str
    """What adds the station; empty where only the path is written in another way."""


@blueprint.get("/devices")
def as_page() -> str:
    """All boards, in the order of the stations."""
    store, t = context.store(), preferences.texts()
    with store.database.query() as connection:
        known = devices(connection, store, clock.now_ms())
    return render_template(
        "devices/template.html",
        devices=[_shown(device, t) for device in known],
        unknown=[_unknown(one) for one in unknown_names(store)],
        looked_at=REFUSALS_LOOKED_AT,
    )


@blueprint.get("/devices/<name>/<kind>")
def as_program(name: str, kind: str) -> Response:
    """One program for the station of this name, to download; 404 for what there is not."""
    station = context.store().settings.stations.by_endpoint.get(name)
    found = next((one for one in KINDS if one == kind), None)
    if station is None or found is None:
        abort(404)
    answer = Response(_program(found, station, preferences.texts()), mimetype="text/plain")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}-{found}"'
    answer.vary.update(("Accept-Language", "Cookie"))
    return answer


def _program(kind: Kind, station: Station, t: Translation) -> str:
    host, port = address(request.host)
    return model.program(kind, station, host, port, t)


def address(host: str) -> tuple[str, int]:
    """Where boards find the service: as this reader has found it."""
    match = HOST.fullmatch(host)
    if match is None or match["name"] in ("localhost", "127.0.0.1", "[::1]"):
        port = match["port"] if match else None
        return USUAL_HOST, int(port or USUAL_PORT)
    return match["name"], int(match["port"] or HTTP_PORT)


def _unknown(one: UnknownName) -> ShownUnknown:
    settings = context.store().settings
    is_station = one.name in settings.stations.by_endpoint
    near = one.name if is_station else nearest(one.name, settings.stations.by_endpoint)
    return ShownUnknown(
        name=one.name,
        came=local_text(one.at_ms, settings.zone),
        times=one.times,
        path=escape(one.path),
        sender=escape(one.sender),
        meant=f"/{near}" if near else "",
        command="" if is_station else f"flask10x stations add {one.name}",
    )


def _shown(device: Device, t: Translation) -> Shown:
    sent, zone = device.request, context.store().settings.zone
    return Shown(
        station=device.station,
        name=station_name(device.station, t),
        came=local_text(sent.at_ms, zone) if sent else "",
        request_line=escape(f"POST {sent.path} {sent.protocol}") if sent else "",
        status=sent.status if sent else 0,
        headers={name: escape(value) for name, value in sent.headers.items()} if sent else {},
        body=rejected.text_of(sent.body) if sent else "",
        body_bytes=sent.body_bytes if sent else 0,
        rhythm=tuple(_rhythm(device, t)),
        warned=device.warned,
        refusals=tuple(
            (local_text(kept.received_at, zone), _why(kept.reasons, kept.hint, t))
            for kept in device.refusals
        ),
        trial=model.trial(device.station, *address(request.host)),
        programs=tuple((kind, _program(kind, device.station, t)) for kind in KINDS),
    )


def _rhythm(device: Device, t: Translation) -> list[str]:
    rhythm = device.rhythm
    if not rhythm.readings:
        return [t("No reading in the last 24 hours.")]
    lines = [_looked_at(rhythm, t)]
    if rhythm.usual_sec is None or rhythm.low_sec is None or rhythm.high_sec is None:
        lines.append(t("Too few to tell how often it sends."))
    else:
        usual, low, high = map(_seconds, (rhythm.usual_sec, rhythm.low_sec, rhythm.high_sec))
        is_even = low == high
        lines.append(
            t("Every {usual} s, evenly", usual=usual)
            if is_even
            else t(
                "Usually every {usual} s; eight of ten times {low} to {high} s",
                usual=usual,
                low=low,
                high=high,
            )
        )
        longest = t.duration(round(rhythm.longest_gap_sec or 0))
        has_gaps = rhythm.gaps > 0
        lines.append(
            t("Gaps: {n}, the longest {longest}", n=rhythm.gaps, longest=longest)
            if has_gaps
            else t("No gap")
        )
    lines.append(_clock(rhythm.lag_sec, t))
    return lines


def _looked_at(rhythm: Rhythm, t: Translation) -> str:
    if rhythm.since_ms is None:
        return t("Readings in the last 24 hours: {n}", n=rhythm.readings)
    since = local_text(rhythm.since_ms, context.store().settings.zone)
    return t("The newest {n} readings, since {since}", n=rhythm.readings, since=since)


def _clock(lag_sec: float | None, t: Translation) -> str:
    if lag_sec is None:
        return t("It sends no times of its own; the time of arrival counts.")
    if abs(lag_sec) < CLOCK_AGREES_SEC:
        return t("Its clock agrees with ours.")
    lag = t.duration(round(abs(lag_sec)))
    return (
        t("Its clock is {lag} ahead of ours.", lag=lag)
        if lag_sec < 0
        else t(
            "Its readings are at least {lag} old when they arrive: its clock is behind, "
            "or it always sends late.",
            lag=lag,
        )
    )


def _seconds(value: float) -> str:
    return f"{value:.1f}" if value < TENTHS_BELOW_SEC else f"{value:.0f}"


def _why(reasons: dict[str, str], hint: str, t: Translation) -> str:
    """All reasons in one line, in the reader's language where they are known in it."""
    parts = [f"{path}: {in_language(why, t)}" for path, why in reasons.items()]
    parts += [in_language(hint, t)] if hint else []
    return escape("; ".join(parts))
