"""Do all stations send?"""

from flask import url_for

from flask10x.readings.labels import station_name
from flask10x.readings.times import local_text
from flask10x.recording.rejected import Kept
from flask10x.runtime.store import Store
from flask10x.runtime.waiting import Waiting
from flask10x.system.logs import escape
from flask10x.translation import Translation
from flask10x.web.newest import Latest
from flask10x.web.pages.devices import senders
from flask10x.web.pages.status.answer import Mood, Remedy, StatusAnswer
from flask10x.web.pages.status.following import cannot_tell
from flask10x.web.pages.status.known import Known

QUESTION = "received"


def answer(
    store: Store | Waiting, known: Known, t: Translation, host: str, port: int
) -> StatusAnswer:
    """Which stations are silent, and whether something was refused; `host` is where boards send."""
    if known.stations is None:
        return cannot_tell(QUESTION, known, t, "stations")
    of_state = {
        state: [one for one in known.stations if one.silence.state == state]
        for state in ("never", "awaited", "silent")
    }
    never, awaited = of_state["never"], of_state["awaited"]
    missed = [one for one in known.stations if one.silence.is_missed]
    trial = Remedy(
        text=t(
            "From another computer, send a reading that is not stored. If this is "
            "answered, the fault is on the board's side:"
        ),
        command=senders.trial(_example(missed, known.stations).station, host, port),
    )
    remedies: tuple[Remedy, ...] = ()
    mood: Mood = "good"
    if len(never) == len(known.stations):
        mood, text, remedies = "warn", t("Nothing has arrived yet."), (trial,)
    elif missed:
        mood, text = "warn", t("No data from: {names}.", names=_names(missed, t))
        remedies = (
            Remedy(text=t("Check the board: power, cable, Wi-Fi. Switch it off and on again.")),
            _devices(missed[0], t),
            trial,
        )
    elif awaited:
        mood, text = (
            "unknown",
            t("The service has just started and waits for: {names}.", names=_names(awaited, t)),
        )
    else:
        text = t("All stations send as usual.")
    details = [_silent(one, store, t) for one in of_state["silent"]]
    details += [t("No data yet: {names}", names=_names(never, t))] if never else []
    if known.refused:
        mood = "warn"
        details.append(_refused(store, known.refused, t))
        remedies += (_rejected(t),)
    return StatusAnswer(
        question=QUESTION, mood=mood, text=text, details=tuple(details), remedies=remedies
    )


def _example(missed: list[Latest], all_stations: list[Latest]) -> Latest:
    return (missed or all_stations)[0]


def _names(stations: list[Latest], t: Translation) -> str:
    return t.listed(station_name(one.station, t) for one in stations)


def _silent(one: Latest, store: Store | Waiting, t: Translation) -> str:
    at = local_text(one.row.received_at, store.settings.zone) if one.row else "–"
    duration, name = t.duration(one.silence.age_sec or 0), station_name(one.station, t)
    if one.silence.is_missed:
        return t(
            "{name}: no data for {duration}, last at {time}", name=name, duration=duration, time=at
        )
    return t(
        "{name}: no data for {duration}, last at {time}; no longer watched",
        name=name,
        duration=duration,
        time=at,
    )


def _refused(store: Store | Waiting, refused: Kept, t: Translation) -> str:
    endpoint, settings = refused.endpoint, store.settings
    station = settings.stations.by_endpoint.get(endpoint)
    name = station_name(station, t) if station else escape(endpoint)
    time = local_text(refused.received_at, settings.zone)
    return t("A reading of {name} was rejected at {time}; it is kept.", name=name, time=time)


def _devices(one: Latest, t: Translation) -> Remedy:
    url = url_for("devices.as_page", _anchor=one.station.endpoint)
    return Remedy(text=t("What it has sent last, and how evenly:"), url=url, link=t("Devices"))


def _rejected(t: Translation) -> Remedy:
    url = url_for("rejected.as_page")
    return Remedy(text=t("Why it was rejected:"), url=url, link=t("Rejected readings"))
