"""`/setup/start`: the first steps of a new house, all on one page, each done where it stands.

Whether a step is done follows from what is there: a name, a station that was heard, a channel, a
backup. What is left for later is in the address only.
"""

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from flask import redirect, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response

from flask10x.config import towns
from flask10x.database.error_codes import QueryTooLong, reason_of
from flask10x.health.database import beginning
from flask10x.readings.labels import column_name, moment, station_name
from flask10x.readings.stations import BUILT_IN
from flask10x.readings.times import zone_name_of
from flask10x.system import clock
from flask10x.system.address import addresses
from flask10x.system.background import Background
from flask10x.system.wording import escape
from flask10x.translation import N_, Translation
from flask10x.web import context, preferences, senders
from flask10x.web.cards import Card, cards, shown_stations
from flask10x.web.pages.setup import (
    alerts_file,
    changes,
    channels,
    files,
    house,
    notifications,
    station,
    stations,
)
from flask10x.web.pages.setup.page import blueprint, code_of, shown
from flask10x.web.read_errors import UNREADABLE
from flask10x.web.sensors import BOARDS, SENSORS

log = logging.getLogger(__name__)
STEPS = {
    "house": N_("Name and place"),
    "board": N_("First board"),
    "notification": N_("Notification"),
    "backup": N_("Backup"),
}
# More boards that knock at once than a house has at its beginning.
SENDERS_MAX = 5
CHANNEL = "phone"


@blueprint.get("/setup/start")
def as_start() -> tuple[str, int]:
    """The steps; with `change` one that is done is open again, with `later` one is closed."""
    return _page()


@blueprint.post("/setup/start/house", guard="setup")
def name_house() -> Response | tuple[str, int]:
    """Set the name and the town of the form; with several of that name the page lists them."""
    question, chosen = request.form.get("q", "").strip(), request.form.get("town", "")
    town = towns.town_of(chosen)
    if town is None and question:
        found, _near = towns.search(question)
        town = found[0] if len(found) == 1 else None
    fields = {}
    if "house_name" in request.form and "house_name" not in house.places_elsewhere():
        fields["house_name"] = request.form["house_name"].strip()
    if town is not None:
        fields |= house.fields_of(town)
        if fields.get("timezone") == zone_name_of(context.store().settings.zone):
            # It is in force already, and a new one lets CSV files be rebuilt.
            del fields["timezone"]
    if problems := house.saved(fields):
        return _page(fields=fields, problems=problems)
    # Then the page lists the towns of that name.
    is_open = bool(question) and town is None
    onward = url_for(
        "setup.as_start",
        change="house" if is_open else None,
        q=question if is_open else None,
        later=request.form.getlist("later"),
        changed=changes.made(),
        _anchor="house" if is_open else "board",
    )
    return redirect(onward, 303)


@blueprint.post("/setup/start/notification", guard="setup")
def notify() -> Response | tuple[str, int]:
    """Send a test to the channel `name`; without one make the channel of ntfy before."""
    settings, t = context.store().settings, preferences.texts()
    file, name = alerts_file.load(settings), request.form.get("name", "")
    if file.trouble:
        raise notifications.BrokenFile(file.trouble)
    channel = file.channel(name)
    if channel is None:
        service = channels.SERVICES["ntfy"]
        new = notifications.new_values(file, service)
        taken = [one.name for one in file.alerts.channels]
        new["new"] = alerts_file.free_name(CHANNEL, taken)
        values, problems = notifications.kept(file, service, new)
        if problems:
            return _page(problems=problems)
        file = alerts_file.load(settings)
        channel = file.channel(values["new"])
    if channel is None or channels.service_of(channel) is None:
        return notifications.gone()
    return _page(tested=(channel.name, notifications.tested(file, channel, t)))


def _page(
    *,
    fields: Mapping[str, str] | None = None,
    problems: Mapping[str, str] | None = None,
    tested: tuple[str, str | None] | None = None,
) -> tuple[str, int]:
    """Return the page; `tested` is the channel that was sent a test, and what is wrong with it."""
    store, t, now_ms = context.store(), preferences.texts(), clock.now_ms()
    settings, alerts = store.settings, alerts_file.load(store.settings)
    present, question = {**house.present(), **(fields or {})}, request.args.get("q", "").strip()
    found, near = towns.search(question)
    all_cards, began_at = _read(t)
    heard = [card for card in all_cards if card.age]
    added = [
        one for one in station.file().stations.ordered if one.endpoint not in BUILT_IN.by_endpoint
    ]
    run, backups = _backups()
    done = {
        "house": bool(present["house_name"]) and not problems,
        "board": bool(heard or added),
        "notification": bool(alerts.alerts.channels) and not tested,
        "backup": bool(backups),
    }
    later = [name for name in request.values.getlist("later") if name in STEPS]
    open_again = request.values.getlist("change")
    states = {
        name: "done"
        if done[name] and name not in open_again
        else "later"
        if name in later and not done[name]
        else "open"
        for name in STEPS
    }
    new = notifications.new_values(alerts, channels.SERVICES["ntfy"])
    address, code = _address_for_phones()
    return shown(
        "setup/start.html",
        steps=STEPS,
        done=done,
        states=states,
        later=later,
        current=next((name for name in STEPS if states[name] == "open"), "home"),
        fields=present,
        problems=problems or {},
        elsewhere=house.places_elsewhere(),
        zone=zone_name_of(settings.zone),
        clock=moment(now_ms, settings.zone, t, now_ms),
        question=question,
        towns=found,
        near=near,
        address=address,
        code=code,
        boards=BOARDS,
        kinds=SENSORS,
        candidates=[*filter(None, map(_candidate, senders.sending(store, t)[:SENDERS_MAX]))],
        escape=escape,
        heard=heard,
        awaited=[
            station_name(one, t)
            for one in added
            if one.endpoint not in {card.station.endpoint for card in heard}
        ],
        channels=alerts.alerts.channels,
        trouble=alerts.trouble,
        topic_url=channels.ntfy_url({"server": "", **new}) if "topic" in new else "",
        code_of=code_of,
        services=[one for one in channels.SERVICES.values() if one.name != "ntfy"],
        tested=tested,
        run=run,
        backups=backups,
        # Only an open step shows these, and the second one asks systemd.
        sticks=files.sticks,
        next_backup=partial(
            files.next_backup,
            settings,
            backups[0]["made_at"] if backups else None,
            began_at,
            now_ms,
        ),
    )


def has_readings() -> bool:
    """Whether a reading is stored; also where that can't be read, as no new house has trouble."""
    try:
        with context.view() as view:
            return view.last_id > 0
    except (*UNREADABLE, QueryTooLong) as error:
        log.error("Cannot read the database: %s", reason_of(error))
        return True


def _read(t: Translation) -> tuple[list[Card], int | None]:
    """The cards of the stations, and when the first reading or import came."""
    store = context.store()
    try:
        with context.view() as view:
            began_at = beginning(view.connection).at
            return cards(view, store, t, shown_stations(view, store)), began_at
    except (*UNREADABLE, QueryTooLong) as error:
        log.error("Cannot read the database: %s", reason_of(error))
        return [], None


def _candidate(sender: senders.Sender) -> dict[str, Any] | None:
    """A board that knocks: what its station would be, and its first values."""
    candidate, t = stations.candidate(sender.name), preferences.texts()
    if candidate is None:
        return None
    new = candidate.station
    # Some boards send the unit, too.
    values = [
        (column_name(m, t), str(candidate.sent.get(m.path, "")).removesuffix(m.unit), m.unit)
        for m in new.measurements
    ]
    label = new.label_ja if t.language == "ja" and new.label_ja else new.label
    return {
        "name": sender.name,
        "label": label,
        "body": candidate.text,
        "values": values,
        "waiting": candidate.waiting.readings if candidate.waiting else 0,
    }


def _backups() -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The backup, or the try of a stick, that runs or failed last; and the backups there are."""
    settings, t = context.store().settings, preferences.texts()
    run = Background(settings.data_dir).current()
    backups = files.listed_backups(settings)
    if run is None or run.about.kind not in ("backup", "try") or run.status == 0:
        return None, backups
    return files.outcome_of(run, t), backups


def _address_for_phones() -> tuple[str, Markup]:
    """The address of the pages for a phone, as this browser has not found it; empty: none."""
    address = request.host_url
    if is_own(address):
        address = next((one for one in addresses(context.store().settings) if not is_own(one)), "")
    return address, code_of(address) if address else Markup()


def is_own(address: str) -> bool:
    """Whether only this machine has this address."""
    return urlsplit(address).hostname in ("localhost", "127.0.0.1", "::1")
