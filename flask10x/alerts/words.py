"""The words of alerts, one table for all that speak of them.

Messages and the page `/alerts` say what is wrong and what to do, rules say when there is an alert,
and Home Assistant has a name for each.
"""

import string
from collections.abc import Mapping
from dataclasses import dataclass, replace

from flask10x.alerts.alert import Alert
from flask10x.config.alerts.rules import Rate, Rule, Threshold
from flask10x.translation import N_, Language, Translation, translation


@dataclass(frozen=True, kw_only=True, slots=True)
class Wording:
    """The sentences of one kind of alert. A sentence that lacks a fact in its braces is left out.

    `{name}` is the subject; the facts are those of `alerts/alert.py`, with their units.
    """

    title: str
    later: str = ""
    """The title of later messages, without the value at which it fired; empty: the same."""
    entity: str = ""
    """What it is called beside the name of its station, in Home Assistant; empty: by its title."""
    rule: tuple[str, ...]
    """When there is an alert; of several sentences the first that has its values is used."""
    what: tuple[str, ...]
    """Sentences of which the first that has its facts is used."""
    more: tuple[str, ...] = ()
    """Further lines."""
    do: str
    """What a person at home can do."""
    over: str
    """The sentence when it is resolved."""


WORDINGS = {
    "silence": Wording(
        title=N_("{name}: no data"),
        entity=N_("No data"),
        rule=(
            N_("No data from a station for {span}: {where}"),
            N_("No data from a station for longer than usual: {where}"),
        ),
        what=(N_("No data has come from {name} since {since}."),),
        more=(N_("The last values: {values}"),),
        do=N_(
            "Check that the sensor has power and that the Wi-Fi works. If both are fine, unplug the"
            " sensor and plug it in again after 10 seconds."
        ),
        over=N_("Data comes from {name} again."),
    ),
    "threshold.above": Wording(
        title=N_("{name} too high: {value}"),
        later=N_("{name} too high"),
        entity=N_("{name} above {limit}"),
        rule=(
            N_("{name} above {limit} for {span}; ends at {clear}"),
            N_("{name} above {limit}; ends at {clear}"),
        ),
        what=(
            N_(
                "{name} has been above {limit} since {since}; it was {value} when this was noticed."
            ),
        ),
        do=N_(
            "Check what it is like there. In a room it may help to open a window or to turn the"
            " heating down."
        ),
        over=N_("{name} is back to normal."),
    ),
    "threshold.below": Wording(
        title=N_("{name} too low: {value}"),
        later=N_("{name} too low"),
        entity=N_("{name} below {limit}"),
        rule=(
            N_("{name} below {limit} for {span}; ends at {clear}"),
            N_("{name} below {limit}; ends at {clear}"),
        ),
        what=(
            N_(
                "{name} has been below {limit} since {since}; it was {value} when this was noticed."
            ),
        ),
        do=N_(
            "Check what it is like there. In a room it may help to close a window or to turn the"
            " heating up."
        ),
        over=N_("{name} is back to normal."),
    ),
    "rate.rise": Wording(
        title=N_("{name} is rising fast"),
        rule=(N_("{name} rises by {change} within {span}"),),
        what=(N_("{name} has risen from {before} to {value} within {within_sec} ({since})."),),
        do=N_("Check what it is like there."),
        over=N_("{name} is no longer rising fast."),
    ),
    "rate.fall": Wording(
        title=N_("{name} is falling fast"),
        rule=(N_("{name} falls by {change} within {span}"),),
        what=(N_("{name} has fallen from {before} to {value} within {within_sec} ({since})."),),
        do=N_("Check what it is like there: is a window open, or a heater off?"),
        over=N_("{name} is no longer falling fast."),
    ),
    "stuck": Wording(
        title=N_("{name} does not change: {value}"),
        later=N_("{name} does not change"),
        rule=(N_("{name} has the same value for {span}"),),
        what=(N_("{name} has been {value} since {since}, though its board is sending."),),
        do=N_(
            "Check the sensor: is it plugged in, is it wet or covered? If all is fine, unplug the"
            " board and plug it in again after 10 seconds."
        ),
        over=N_("{name} changes again."),
    ),
    "failed_sensor": Wording(
        title=N_("{name}: the sensor does not measure"),
        rule=(N_("A sensor gives no value or a fault value {n} times in a row: {where}"),),
        what=(N_("{name} has not been measured since {since}; its board is still sending."),),
        more=(N_("The last value: {last_value} ({last_value_at})"),),
        do=N_(
            "Check the sensor: is it plugged in, is a cable loose? If all is fine, unplug the board"
            " and plug it in again after 10 seconds."
        ),
        over=N_("{name} is measured again."),
    ),
    "rejected": Wording(
        title=N_("{name}: data cannot be used"),
        entity=N_("Readings rejected"),
        rule=(N_("{n} readings rejected within {span}: {where}"),),
        what=(N_("{readings} readings from {name} could not be used since {since}."),),
        more=(N_("The reason: {field}: {reason}"),),
        do=N_("They are kept, nothing is lost. Tell the person who looks after the sensor."),
        over=N_("Readings from {name} can be used again."),
    ),
    "queue": Wording(
        title=N_("Data is stored too slowly"),
        rule=(N_("Many readings waiting to be stored for {span}"),),
        what=(
            N_(
                "Data has been waiting to be stored since {since}: {waiting} readings when this was"
                " noticed."
            ),
        ),
        do=N_(
            "If this does not end by itself, the memory card may be failing. Tell the person who"
            " looks after the server."
        ),
        over=N_("Data is stored in time again."),
    ),
    "disk": Wording(
        title=N_("The server's disk is nearly full"),
        rule=(N_("Less than {n} % of the disk is free"),),
        what=(
            N_(
                "The server's disk has been nearly full since {since}: {free_percent} %"
                " ({free_bytes}) was free when this was noticed."
            ),
        ),
        more=(N_("At that rate it will be full in about {full_in_days}."),),
        do=N_(
            "Delete what is not needed, or use a larger card. Once it is full, no data can be"
            " stored."
        ),
        over=N_("The server's disk has enough space again."),
    ),
    "database": Wording(
        title=N_("Data cannot be stored"),
        rule=(N_("The database is damaged or missing, or readings cannot be stored for {span}"),),
        what=(N_("The server has not been able to store data properly since {since}."),),
        more=(N_("The server says: {reason}"),),
        do=N_(
            "Check that the disk is plugged in. Do not switch the server off; tell the person who"
            " looks after it."
        ),
        over=N_("Data is stored again."),
    ),
    "export": Wording(
        title=N_("The CSV files are not up to date"),
        rule=(N_("Readings in no CSV file for {span}"),),
        what=(N_("Data since {oldest_at} is not in the CSV files yet."),),
        do=N_("This is not urgent. Tell the person who looks after the server."),
        over=N_("The CSV files are up to date again."),
    ),
    "backup": Wording(
        title=N_("No new backup"),
        rule=(N_("The newest backup is older than {span}"),),
        what=(
            N_("The newest copy of the backups in {folder} is from {newest_at}."),
            N_("There is no copy of the backups in {folder}."),
            N_("The newest backup is from {newest_at}."),
            N_("No backup can be found."),
        ),
        do=N_(
            "If the backups are on their own disk or USB stick, check that it is plugged in."
            " If it is, tell the person who looks after the server."
        ),
        over=N_("There is a new backup."),
    ),
    "replica": Wording(
        title=N_("The replica is not up to date"),
        rule=(N_("The replica is behind by more than {span}"),),
        what=(N_("New data has not been copied to the replica since {newest_at}."),),
        do=N_(
            "If the replica is on a USB stick, check that it is plugged in; if it is on a NAS or in"
            " the cloud, check the network. If that is fine, tell the person who looks after the"
            " server."
        ),
        over=N_("The replica is up to date again."),
    ),
    "copies": Wording(
        title=N_("Stored data has changed or is missing"),
        rule=(N_("Copies of the readings differ (flask10x verify)"),),
        what=(
            N_("CSV files that are the only copy of removed readings are lost: {lost_files}."),
            N_("Copies of the readings differ at {differences} places, found on {found_at}."),
        ),
        do=N_(
            "The memory card may be wearing out. Tell the person who looks after the server: the"
            " status page says what differs, and flask10x verify --repair puts back what is known."
        ),
        over=N_("The copies of the readings are the same again."),
    ),
}
# Why a message could not be sent, by the code in the state file. A code is a word, some with a
# value after a colon, so that neither a URL nor a secret can get into the file, the log or a page.
TROUBLES = {
    "no_answer": N_("no answer came in time"),
    "no_such_host": N_("no such host, or no network"),
    "refused": N_("the connection was refused"),
    "host": N_("messages may not go to this host: see FLASK10X_NOTIFY_HOSTS"),
    "unreachable": N_("the connection broke, or the host cannot be reached"),
    "certificate": N_("the certificate of the host is not valid"),
    "tls": N_("TLS failed"),
    "no_http": N_("what answered speaks no HTTP"),
    "bad_url": N_("the URL is not one that can be used"),
    "parameter": N_(
        "the parameter {value} may name a file of this machine, so only a channel that is written"
        " into alerts.toml by hand can have it"
    ),
    "parameters": N_("the URL has a parameter that this kind of URL does not have"),
    "local_way": N_(
        "only a channel that is written into alerts.toml by hand can use the screen and the log of"
        " this machine"
    ),
    "status": N_("it answered {value}"),
    "not_taken": N_("the service did not take it"),
    "no_apprise": N_("the package apprise is missing: pip install 'flask10x[alerts]'"),
    "no_urls": N_("the file of URLs is empty"),
    "many_urls": N_("the file of URLs has more than {value}"),
    "secret_file": N_("the file with the secret can't be read: flask10x alerts check says why"),
    "secret_text": N_("the file with the secret is no UTF-8 text"),
    "no_text": N_("its text could not be made: the log says why"),
    "no_way": N_("alerts.toml has no channel of this name any more"),
    "exit": N_("the program ended with {value}"),
    "killed": N_("the program was ended by signal {value}"),
    "no_program": N_("the program can't be started"),
    "failed": N_("the try ended early"),
    "outdated": N_("a newer message is sent instead"),
}

# It also ends with the hours of its rule, whatever the value is then.
OVER_AFTER_HOURS = N_(
    "{name} is back to normal, or the hours of the rule ({from} to {to}) are over."
)
WORDINGS |= {
    f"{name}.hours": replace(WORDINGS[name], over=OVER_AFTER_HOURS)
    for name in ("threshold.above", "threshold.below")
}


def wording_of_alert(alert: Alert) -> Wording:
    """Return the words of an alert, by its kind and its facts."""
    if alert.kind == "threshold":
        name = "threshold.above" if alert.facts.get("above", 1) else "threshold.below"
        return WORDINGS[f"{name}.hours" if alert.facts.get("from") else name]
    if alert.kind == "rate":
        return WORDINGS["rate.rise" if alert.facts.get("rise", 1) else "rate.fall"]
    return WORDINGS[alert.kind]


def wording_of_rule(rule: Rule) -> Wording:
    """Return the words of the alerts of a rule."""
    match rule:
        case Threshold():
            return WORDINGS["threshold.above" if rule.below is None else "threshold.below"]
        case Rate():
            return WORDINGS["rate.rise" if rule.fall is None else "rate.fall"]
    return WORDINGS[rule.kind]


def first_filled(sentences: tuple[str, ...], values: Mapping[str, str], t: Translation) -> str:
    """Return the first of these sentences that has its values; "" when none has."""
    for english in sentences:
        template = t(english)
        parsed = string.Formatter().parse(template)
        if all(name in values for _text, name, _spec, _conversion in parsed if name):
            return template.format(**values)
    return ""


def trouble_in(language: Language, trouble: str) -> str:
    """Return the text of a code, or the code itself where it is of another version."""
    code, _colon, value = trouble.partition(":")
    if code not in TROUBLES:
        return trouble
    return translation(language)(TROUBLES[code], value=value)
