"""Do all stations send?"""

from flask import url_for

from flask10x.readings.times import local_text
from flask10x.recording.rejected import Kept
from flask10x.runtime.store import Store
from flask10x.runtime.waiting import Waiting
from flask10x.system.logs import escape
from flask10x.web.newest import Latest
from flask10x.web.pages.devices import senders
from flask10x.web.pages.status.answer import Mood, Remedy, StatusAnswer
from flask10x.web.pages.status.following import cannot_tell
from flask10x.web.pages.status.known import Known
from flask10x.web.texts.catalog import Texts

QUESTION = "received"


def answer(store: Store | Waiting, known: Known, t: Texts, host: str, port: int) -> StatusAnswer:
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
        text=t("received.trial"),
        command=senders.trial(_example(missed, known.stations).station, host, port),
    )
    remedies: tuple[Remedy, ...] = ()
    mood: Mood = "good"
    if len(never) == len(known.stations):
        mood, text, remedies = "warn", t("received.none"), (trial,)
    elif missed:
        mood, text = "warn", t("received.some", names=_names(missed, t))
        remedies = (Remedy(text=t("received.power")), _devices(missed[0], t), trial)
    elif awaited:
        mood, text = "unknown", t("received.awaited", names=_names(awaited, t))
    else:
        text = t("received.all")
    details = [_silent(one, store, t) for one in of_state["silent"]]
    details += [t("received.never", names=_names(never, t))] if never else []
    if known.refused:
        mood = "warn"
        details.append(_refused(store, known.refused, t))
        remedies += (_rejected(t),)
    return StatusAnswer(
        question=QUESTION, mood=mood, text=text, details=tuple(details), remedies=remedies
    )


def _example(missed: list[Latest], all_stations: list[Latest]) -> Latest:
    return (missed or all_stations)[0]


def _names(stations: list[Latest], t: Texts) -> str:
    return t("caption.join").join(t.station(one.station) for one in stations)


def _silent(one: Latest, store: Store | Waiting, t: Texts) -> str:
    at = local_text(one.row.received_at, store.settings.zone) if one.row else "–"
    since = t.lasting("silent", one.silence.age_sec or 0)
    text = "received.silent" if one.silence.is_missed else "received.gone"
    return t(text, name=t.station(one.station), since=since, time=at)


def _refused(store: Store | Waiting, refused: Kept, t: Texts) -> str:
    endpoint, settings = refused.endpoint, store.settings
    station = settings.stations.by_endpoint.get(endpoint)
    name = t.station(station) if station else escape(endpoint)
    time = local_text(refused.received_at, settings.zone)
    return t("received.refused", name=name, time=time)


def _devices(one: Latest, t: Texts) -> Remedy:
    url = url_for("devices.as_page", _anchor=one.station.endpoint)
    return Remedy(text=t("received.board"), url=url, link=t("received.devices"))


def _rejected(t: Texts) -> Remedy:
    url = url_for("rejected.as_page")
    return Remedy(text=t("received.why"), url=url, link=t("received.rejected"))
