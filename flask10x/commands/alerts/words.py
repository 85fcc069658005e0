"""Rules and ways in plain words, a line each."""

from gettext import gettext as _

from flask10x.config.alerts.rules import (
    DEFAULT,
    Alerts,
    Apprise,
    BackupOverdue,
    Command,
    DatabaseTrouble,
    Disk,
    ExportOverdue,
    FailedSensor,
    Queue,
    Rate,
    RefusedSender,
    Rule,
    Silence,
    Threshold,
    Way,
    Webhook,
)
from flask10x.readings.stations import Stations
from flask10x.system.logs import escape
from flask10x.system.wording import exactly


def rule_line(rule: Rule, stations: Stations) -> str:
    """`stuffy_bedroom: co2 of data2 above 1500 ppm; ends at 1200 ppm; tells phone only`."""
    parts = [_rule(rule, stations)]
    if rule.ways:
        parts.append(_("tells {ways} only").format(ways=", ".join(rule.ways)))
    if rule in DEFAULT.rules:
        parts.append(_("on by default"))
    return f"{rule.name}: {'; '.join(parts)}"


def _rule(rule: Rule, stations: Stations) -> str:
    match rule:
        case Silence() | FailedSensor() | RefusedSender():
            named = ", ".join(rule.stations) or _("all stations")
            return f"{_of_stations(rule)} ({named})"
        case Threshold():
            return _threshold(rule, stations)
        case Rate():
            return _rate(rule, stations)
        case _:
            return _of_the_service(rule)


def _of_stations(rule: Silence | FailedSensor | RefusedSender) -> str:
    match rule:
        case Silence(after_sec=None):
            return _("a station sends no more, for longer than it usually does")
        case Silence():
            text = _("a station has sent nothing for {span}")
            return text.format(span=exactly(rule.after_sec or 0))
        case FailedSensor():
            text = _("a measurement missing or a fault value, {n} readings in a row")
            return text.format(n=rule.readings)
        case RefusedSender():
            text = _("{n} readings of a sender refused within {span}")
            return text.format(n=rule.readings, span=exactly(rule.within_sec))


def _of_the_service(rule: Queue | Disk | DatabaseTrouble | ExportOverdue | BackupOverdue) -> str:
    match rule:
        case Queue():
            text = _("many readings have been waiting to be stored for {span}")
            return text.format(span=exactly(rule.for_sec))
        case Disk():
            text = _("less than {percent} % of the database's disk free")
            return text.format(percent=_number(rule.free_percent))
        case DatabaseTrouble():
            text = _("the database damaged or missing, or nothing could be stored for {span}")
            return text.format(span=exactly(rule.for_sec))
        case ExportOverdue():
            text = _("readings that have been in no CSV file for {span}")
            return text.format(span=exactly(rule.after_sec))
        case BackupOverdue():
            return _("no backup for {span}").format(span=exactly(rule.after_sec))


def _threshold(rule: Threshold, stations: Stations) -> str:
    if rule.above is not None:
        text, limit = _("{column} of {station} above {limit}"), rule.above
    else:
        text, limit = _("{column} of {station} below {limit}"), rule.below or 0.0
    limit_with_unit = _value(limit, rule, stations)
    parts = [text.format(column=rule.column, station=rule.station, limit=limit_with_unit)]
    if rule.for_sec:
        parts.append(_("for {span} at least").format(span=exactly(rule.for_sec)))
    parts.append(_("ends at {clear}").format(clear=_value(rule.clear, rule, stations)))
    return "; ".join(parts)


def _rate(rule: Rate, stations: Stations) -> str:
    if rule.rise is not None:
        text = _("{column} of {station} rises by {change} within {span}")
        change = rule.rise
    else:
        text = _("{column} of {station} falls by {change} within {span}")
        change = rule.fall or 0.0
    return text.format(
        column=rule.column,
        station=rule.station,
        change=_value(change, rule, stations),
        span=exactly(rule.within_sec),
    )


def _value(number: float, rule: Threshold | Rate, stations: Stations) -> str:
    return f"{_number(number)} {stations.by_column[rule.column].unit}".rstrip()


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def way_line(way: Way, alerts: Alerts) -> str:
    """`phone: by Apprise, its URLs in /etc/flask10x/alerts-urls; in Japanese; 20 a day at most`."""
    daily = _("{n} a day at most").format(n=way.daily_max or alerts.daily_max)
    languages = {"ja": _("in Japanese"), "en": _("in English")}
    return f"{way.name}: {_way(way)}; {languages[way.language or alerts.language]}; {daily}"


def _way(way: Way) -> str:
    match way:
        case Webhook(secret_file=""):
            return _("JSON to {url}, not signed").format(url=way.url)
        case Webhook():
            text = _("JSON to {url}, signed with the secret in {file}")
            return text.format(url=way.url, file=way.secret_file)
        case Command():
            return _("the program {command}").format(command=escape(" ".join(way.arguments)))
        case Apprise():
            return _("by Apprise, its URLs in {file}").format(file=way.urls_file)


def other_lines(alerts: Alerts) -> list[str]:
    """When nothing is sent, and when what lasts is said again."""
    text = _("reminder: what lasts is said again after {span}")
    lines = [text.format(span=exactly(alerts.reminder_after_sec))]
    if hours := alerts.quiet_hours:
        text = _("quiet hours: {start} to {end}, but not for {rules}")
        if not hours.urgent:
            text = _("quiet hours: {start} to {end}")
        start, end = (f"{at:%H:%M}" for at in (hours.start, hours.end))
        lines.append(text.format(start=start, end=end, rules=", ".join(hours.urgent)))
    return lines
