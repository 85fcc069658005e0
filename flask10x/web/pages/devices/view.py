"""The page `/devices`: how each board sends, what is wrong with it, and a program for it."""

import re
from dataclasses import dataclass

from flask import Response, abort, render_template, request

from flask10x.errors import nearest
from flask10x.history.rhythm import Rhythm
from flask10x.readings.stations import Station
from flask10x.readings.times import local_text
from flask10x.recording import rejected
from flask10x.system import clock
from flask10x.system.last_requests import UnknownName
from flask10x.system.logs import escape
from flask10x.web import context, preferences, read_errors
from flask10x.web.page import Page
from flask10x.web.pages.devices import senders
from flask10x.web.pages.devices.facts import REFUSALS_LOOKED_AT, Device, devices, unknown_names
from flask10x.web.pages.devices.senders import KINDS, Kind
from flask10x.web.specification import for_people as specified
from flask10x.web.texts.catalog import Texts
from flask10x.web.texts.reasons import reason_in

blueprint = Page(
    "devices", __name__, text="nav.devices", group="more", operations=specified.devices
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


def _program(kind: Kind, station: Station, t: Texts) -> str:
    host, port = address(request.host)
    return senders.program(kind, station, host, port, t)


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


def _shown(device: Device, t: Texts) -> Shown:
    sent, zone = device.request, context.store().settings.zone
    return Shown(
        station=device.station,
        name=t.station(device.station),
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
        trial=senders.trial(device.station, *address(request.host)),
        programs=tuple((kind, _program(kind, device.station, t)) for kind in KINDS),
    )


def _rhythm(device: Device, t: Texts) -> list[str]:
    rhythm = device.rhythm
    if not rhythm.readings:
        return [t("devices.no_readings")]
    lines = [_looked_at(rhythm, t)]
    if rhythm.usual_sec is None or rhythm.low_sec is None or rhythm.high_sec is None:
        lines.append(t("devices.few"))
    else:
        usual, low, high = map(_seconds, (rhythm.usual_sec, rhythm.low_sec, rhythm.high_sec))
        is_even = low == high
        lines.append(
            t("devices.every", usual=usual)
            if is_even
            else t("devices.usual", usual=usual, low=low, high=high)
        )
        longest = t.lasting("span", round(rhythm.longest_gap_sec or 0))
        has_gaps = rhythm.gaps > 0
        lines.append(
            t("devices.gaps", n=rhythm.gaps, longest=longest) if has_gaps else t("devices.even")
        )
    lines.append(_clock(rhythm.lag_sec, t))
    return lines


def _looked_at(rhythm: Rhythm, t: Texts) -> str:
    if rhythm.since_ms is None:
        return t("devices.readings", n=rhythm.readings)
    since = local_text(rhythm.since_ms, context.store().settings.zone)
    return t("devices.newest", n=rhythm.readings, since=since)


def _clock(lag_sec: float | None, t: Texts) -> str:
    if lag_sec is None:
        return t("devices.no_times")
    if abs(lag_sec) < CLOCK_AGREES_SEC:
        return t("devices.clock_agrees")
    ahead = "devices.clock_ahead" if lag_sec < 0 else "devices.clock_behind"
    return t(ahead, lag=t.lasting("span", round(abs(lag_sec))))


def _seconds(value: float) -> str:
    return f"{value:.1f}" if value < TENTHS_BELOW_SEC else f"{value:.0f}"


def _why(reasons: dict[str, str], hint: str, t: Texts) -> str:
    """All reasons in one line, in the reader's language where they are known in it."""
    parts = [f"{path}: {reason_in(t.language, why)}" for path, why in reasons.items()]
    parts += [reason_in(t.language, hint)] if hint else []
    return escape("; ".join(parts))
