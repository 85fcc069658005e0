"""`/setup/notifications`: channels, rules, and when messages are sent; all of it in `alerts.toml`.

Nothing of a secret is on a page, in the log or among the changes: its file is only named. What a
form was sent with comes back with it where something is wrong.
"""

import logging
from collections.abc import Mapping, MutableMapping
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

from flask import make_response, request
from werkzeug.wrappers import Response as AnyResponse

from flask10x.alerts.delivery.jobs import send_test
from flask10x.alerts.subjects import sentence
from flask10x.alerts.words import trouble_in
from flask10x.config import form, toml
from flask10x.config.alerts import rules as alert_rules
from flask10x.config.house import SECRETS
from flask10x.config.station_keys import ENDPOINT, ENDPOINT_NEEDED
from flask10x.translation import N_, Translation, speaking
from flask10x.web import administrators, context, preferences
from flask10x.web.cards import offered_stations
from flask10x.web.pages.setup import alerts_file, channels, rules
from flask10x.web.pages.setup.alerts_file import AlertsFile
from flask10x.web.pages.setup.channels import SERVICES, Service
from flask10x.web.pages.setup.page import back_or_to, blueprint, code_of, refused, shown
from flask10x.web.pages.setup.preview import preview_of
from flask10x.web.shell import shell

log = logging.getLogger(__name__)
Answer = AnyResponse | tuple[str, int]
# Longer than a webhook may take, and shorter than a proxy waits for a page.
TEST_WAIT_SEC = 25.0
# One at a time: each is a process, and the pages have few threads.
_testing = Lock()
GENERAL, HOURS = (
    alert_rules.keys_of(alert_rules.Alerts),
    alert_rules.keys_of(alert_rules.QuietHours),
)
# While it is not saved, a rule is called so.
NEW_NAME = "new"


# The page


@blueprint.get("/setup/notifications")
def as_notifications() -> Answer:
    """The channels, the rules, and when messages are sent."""
    return _page()


def _page(
    status: int = 0,
    *,
    tested: tuple[str, str] | None = None,
    message: str = "",
    sent: Mapping[str, Any] | None = None,
    problems: Mapping[str, str] | None = None,
) -> tuple[str, int]:
    """Return the page; `tested` is the channel that was sent a test, and its trouble."""
    store, t = context.store(), preferences.texts()
    settings, own = store.settings, shell(store.settings)
    file = alerts_file.load(settings)
    alerts, tables = file.alerts, file.data.get("channels", {})
    others = any(not rule.channels for rule in alerts.rules)
    rows = []
    for channel in alerts.channels:
        service = channels.service_of(channel)
        label, about = t(service.label) if service else t("Program"), ""
        if isinstance(channel, alert_rules.WithUrl):
            about = channels.host_of(channel)
        elif isinstance(channel, alert_rules.Command):
            about = " ".join(channel.arguments)
        named = [rule.name for rule in alerts.rules if channel.name in rule.channels]
        row = {
            "name": channel.name,
            "label": label,
            "about": about,
            # Which rules send to it; empty: all.
            "receives": "" if others else t.listed(named),
            # Whether it can be changed here.
            "is_ours": bool(service),
        }
        rows.append(row)
    folder = str(settings.data_dir / SECRETS)
    has_secrets = any(
        str(table.get(key, "")).startswith(f"{folder}/")
        for table in tables.values()
        for key in ("urls_file", "url_file", *channels.SECRET_KEYS.values())
    )
    uses_apprise = any(isinstance(channel, alert_rules.Apprise) for channel in alerts.channels)
    quiet = alerts.quiet_hours
    general = form.fields_of(GENERAL, {}, alerts)
    general |= form.fields_of(HOURS, {} if quiet else {"urgent": alert_rules.URGENT}, quiet)
    return shown(
        "setup/notifications.html",
        status,
        file=file,
        channels=rows,
        services=SERVICES.values(),
        rules=[(row, _sentence(row.rule, t)) for row in file.rules()],
        kinds=rules.KINDS,
        templates=rules.TEMPLATES,
        general=sent or general,
        keys={key.name: key for key in (*GENERAL, *HOURS)},
        problems=problems or {},
        tested=tested,
        message=message,
        # A change of the file reaches the other hosts by the database, which has no secrets.
        others_need=folder if has_secrets and store.database.hosts.name else "",
        installing=own.installing("alerts")
        if uses_apprise and channels.is_apprise_missing()
        else "",
    )


def _sentence(rule: alert_rules.Rule | None, t: Translation) -> str:
    return sentence(rule, context.store().settings.stations, t) if rule else ""


@blueprint.post("/setup/notifications", guard="setup")
def change_notifications() -> Answer:
    """Change when messages are sent, and in which language; then the page."""
    file = _file()
    fields: form.Fields = {key.name: request.form.get(key.name, "") for key in (*GENERAL, *HOURS)}
    fields["urgent"] = request.form.getlist("urgent")
    has_hours = bool(fields["from"].strip() or fields["to"].strip())
    with speaking(preferences.texts().language):
        table, problems = form.table_of(GENERAL, fields)
        hours, wrong = form.table_of(HOURS if has_hours else (), fields)

    def edit(data: MutableMapping[str, Any]) -> None:
        toml.put(data, table)
        if has_hours:
            # No name is a list, too: without the key some rules do not wait.
            toml.put(toml.inner(data, "quiet_hours"), {**hours, "urgent": fields["urgent"]})
        else:
            data.pop("quiet_hours", None)

    problems |= wrong
    if not problems:
        problems = file.change("notifications", "", edit, [(), ("quiet_hours",)])
    return _page(sent=fields, problems=problems) if problems else _back()


# Changes of the file


def _file() -> AlertsFile:
    """The file, which has to be right: what is wrong is on the page itself."""
    file = alerts_file.load(context.store().settings)
    if file.trouble:
        raise BrokenFile(file.trouble)
    return file


def gone() -> tuple[str, int]:
    """What a request names is not there any more, or never was."""
    t = preferences.texts()
    return refused(t("There is no such channel or rule."), 404)


def _back(anchor: str = "") -> AnyResponse:
    return back_or_to("setup.as_notifications", anchor)


class BrokenFile(Exception):
    """The file of alerts has mistakes, so nothing of it is changed here."""


@blueprint.errorhandler(BrokenFile)
def broken(_error: Exception) -> tuple[str, int]:
    """The file of alerts has mistakes, which the page shows."""
    return _page(409)


# Channels


@blueprint.get("/setup/notifications/channel")
def as_channel() -> Answer:
    """The form of the channel `name`, or of a new one of the `kind`."""
    file = alerts_file.load(context.store().settings)
    if name := request.args.get("name", ""):
        channel = file.channel(name)
        service = channels.service_of(channel) if channel else None
        if channel is None or service is None:
            return gone()
        values = form.fields_of(channels.KEYS, {}, channel) | {"name": name}
        return _channel_form(file, service, values, {})
    service = SERVICES.get(request.args.get("kind", ""))
    if service is None:
        return gone()
    return _channel_form(file, service, new_values(file, service), {})


def new_values(file: AlertsFile, service: Service) -> dict[str, str]:
    """Return what the form of a new channel begins with: a name, and a topic that is made up."""
    taken = [channel.name for channel in file.alerts.channels]
    values = {"new": alerts_file.free_name(service.name, taken)}
    if service.name == "ntfy" and administrators.browser():
        values["topic"] = channels.made_up_topic(administrators.form_token(), len(taken))
    return values


def _channel_form(
    file: AlertsFile, service: Service, values: Mapping[str, Any], problems: Mapping[str, str]
) -> Answer:
    needs_apprise = service.kind == "apprise" and channels.is_apprise_missing()
    present = file.channel(values.get("name", ""))
    page = shown(
        "setup/channel.html",
        part="setup.as_notifications",
        file=file,
        service=service,
        values=values,
        problems=problems,
        keys={key.name: key for key in channels.KEYS},
        # Its secret is set, and stays where the fields of it are left empty.
        is_set=present is not None,
        topic_url=""
        if problems or not values.get("topic")
        else channels.ntfy_url({"server": "", **values}),
        code_of=code_of,
        installing=shell(file.settings).installing("alerts") if needs_apprise else "",
    )
    # It may have a secret that somebody has just typed.
    answer = make_response(page)
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.post("/setup/notifications/channel", guard="setup")
def change_channel() -> Answer:
    """Make the channel, or change it; then the page. 400 with the form when something is wrong."""
    file = _file()
    service = SERVICES.get(request.form.get("kind", ""))
    if service is None:
        return gone()
    values, problems = kept(file, service)
    if problems is None:
        return gone()
    return _channel_form(file, service, values, problems) if problems else _back("channels")


def kept(
    file: AlertsFile, service: Service, sent: Mapping[str, str] | None = None
) -> tuple[dict[str, str], dict[str, str] | None]:
    """Make the channel of a form, or change it; return its fields, and what is wrong, by field.

    None: there is no such channel. `sent` is in the place of the form.
    """
    t, sent = preferences.texts(), request.form if sent is None else sent
    names = ("name", "new", *(key.name for key in (*service.fields, *channels.KEYS)))
    values = {name: sent.get(name, "").strip() for name in names}
    name = values["name"] or values["new"]
    channel = file.channel(name)
    if values["name"] and (channel is None or channels.service_of(channel) != service):
        return values, None
    is_taken, channel = channel is not None, channel if values["name"] else None
    with speaking(t.language):
        table, problems = form.table_of(channels.KEYS, values)
        problems |= form.table_of(channels.keys_of(service, values, channel), values)[1]
    if not values["name"] and not ENDPOINT.fullmatch(name):
        problems["new"] = t(ENDPOINT_NEEDED)
    elif not values["name"] and is_taken:
        problems["new"] = t("there is a channel of this name already")
    if not problems:
        table = {"kind": service.kind} | table
        if channels.leads_elsewhere(service, values, channel):
            # What was set up by hand keeps what it may reach until then.
            table["loopback"] = False
        texts = channels.secrets_of(service, values, channel)
        problems = _put_channel(file, name, table, texts)
    return values, problems


def _put_channel(
    file: AlertsFile, name: str, table: dict[str, Any], texts: Mapping[str, str]
) -> dict[str, str]:
    """Write secrets and name them in the file of alerts; return what is wrong, by field.

    Secrets that nothing names go again.
    """
    paths: list[Path] = []
    problems: dict[str, str] | None = None
    try:
        for key, text in texts.items():
            paths.append(channels.keep(file.settings, name, text))
            table[key] = str(paths[-1])
        if "url_file" in texts:
            table["url"] = None
        problems = file.change(
            "channel",
            name,
            lambda data: toml.put(toml.inner(data, "channels", name), table),
            [("channels", name)],
        )
    finally:
        for path in paths if problems != {} else ():
            path.unlink(missing_ok=True)
    return problems


@blueprint.post("/setup/notifications/test", guard="setup")
def test_channel() -> Answer:
    """Send a test message to the channel `name`, and say what became of it."""
    t, file = preferences.texts(), _file()
    channel = file.channel(request.form.get("name", ""))
    if channel is None or isinstance(channel, alert_rules.Command):
        return gone()
    reason = tested(file, channel, t)
    if reason is None:
        return _page(503, message=t("Another test is still being sent. Try again in a minute."))
    return _page(tested=(channel.name, reason))


def tested(file: AlertsFile, channel: alert_rules.Channel, t: Translation) -> str | None:
    """Send a test to a channel; return what is wrong, empty where it was taken.

    None: another one is still being sent.
    """
    if not _testing.acquire(blocking=False):
        return None
    try:
        results = send_test(replace(file.settings, alerts=file.alerts), channel, TEST_WAIT_SEC)
    finally:
        _testing.release()
    trouble = next(filter(None, results), "")
    log.info("Test message to %s: %s", channel.name, trouble or "sent")
    return trouble_in(t.language, trouble) if trouble else ""


@blueprint.post("/setup/notifications/remove", guard="setup")
def remove_notification() -> Answer:
    """Remove the `channel` or the `rule` of this name; then the page."""
    t, file = preferences.texts(), _file()
    top, name = "channels", request.form.get("channel", "")
    if name:
        channel = file.channel(name)
        if channel is None or isinstance(channel, alert_rules.Command):
            return gone()
        if only := file.only_to(name):
            text = t("These rules send to {name} alone: change them first: {rules}")
            return _page(400, message=text.format(name=name, rules=t.listed(only)))
    else:
        top, name = "rules", request.form.get("rule", "")
        if not file.table(top, name):
            return gone()
    kind = "channel_removed" if top == "channels" else "rule_removed"
    if problems := file.change(kind, name, alerts_file.removed(top, name)):
        return _page(400, message=t.listed(problems.values()))
    return _back()


# Rules


@blueprint.post("/setup/notifications/switch", guard="setup")
def switch_rule() -> Answer:
    """Switch the rule `name` on or off; then the page."""
    t, file = preferences.texts(), _file()
    row = file.rule(request.form.get("name", ""))
    if row is None:
        return gone()
    name, is_on = row.name, request.form.get("on") == "1"

    def edit(data: MutableMapping[str, Any]) -> None:
        # Those that are in the file are on without the key.
        toml.put(toml.inner(data, "rules", name), {"on": None if is_on else False})

    if problems := file.change("rule_on" if is_on else "rule_off", name, edit):
        return _page(400, message=t.listed(problems.values()))
    return _back("rules")


@blueprint.get("/setup/notifications/rule")
def as_rule() -> Answer:
    """The form of the rule `name`, or of a new one that a template, a chart or a tile fills in."""
    file = alerts_file.load(context.store().settings)
    if name := request.args.get("name", ""):
        row = file.rule(name)
        if row is None or row.kind not in alert_rules.KINDS:
            return gone()
        values = rules.of_rule(row.kind, file.table("rules", name), row.rule) | {"name": name}
        return _rule_form(file, values, {})
    if (template := request.args.get("template", "")) in rules.TEMPLATES:
        values = rules.of_template(template, offered_stations(context.store()))
    elif (kind := request.args.get("kind", "")) in rules.KINDS:
        sent = rules.sent(kind, request.args)
        values = rules.USUAL.get(kind, {}) | {name: value for name, value in sent.items() if value}
    else:
        return gone()
    return _rule_form(file, values, {})


@blueprint.post("/setup/notifications/rule", guard="setup")
def change_rule() -> Answer:
    """Make the rule or change it; or only show when it would have fired, where that was pressed."""
    t, file = preferences.texts(), _file()
    kind, name = request.form.get("kind", ""), request.form.get("name", "").strip()
    row = file.rule(name) if name else None
    if (name and row is None) or kind not in (rules.KINDS if row is None else (row.kind,)):
        return gone()
    values = rules.sent(kind, request.form)
    table, problems = rules.table_of(values, file.settings.stations, t)
    if problems or request.form.get("do") == "show":
        return _rule_form(file, values, problems)
    name = name or rules.name_for(values, [row.name for row in file.rules()])

    def edit(data: MutableMapping[str, Any]) -> None:
        of = toml.inner(data, "rules", name)
        if not of and name != kind:
            of["kind"] = kind
        toml.put(of, table)

    reasons = file.change("rule", name, edit, [("rules", name)])
    if reasons:
        problems = {rules.FIELD_OF_KEY.get(key, key): text for key, text in reasons.items()}
        return _rule_form(file, values, problems)
    return _back("rules")


def _rule_form(
    file: AlertsFile, values: Mapping[str, Any], problems: Mapping[str, str]
) -> tuple[str, int]:
    settings, t, kind = file.settings, preferences.texts(), values["kind"]
    table, wrong = rules.table_of(values, settings.stations, t)
    rule = None
    if not problems and not wrong:
        rule = file.as_if_on(values.get("name") or NEW_NAME, {"kind": kind, **table})
    subject = None
    if "station" in table and "about" not in wrong:
        subject = tuple(values["about"].split(".", 1))
    endpoint, _, _ = values.get("about", "").partition(".")
    stations = offered_stations(context.store(), [endpoint, *values.get("stations", ())])
    return shown(
        "setup/rule.html",
        part="setup.as_notifications",
        file=file,
        values=values,
        problems=problems,
        kind=kind,
        title=_sentence(rule, t)
        if values.get("name") and rule
        else t(rules.KINDS.get(kind, N_("Rule"))),
        directions=rules.DIRECTIONS.get(kind, {}),
        keys={key.name: key for key in rules.keys_of(kind)},
        stations=stations,
        subjects=rules.subjects(stations, t),
        channels=[channel.name for channel in file.alerts.channels],
        is_new=not values.get("name"),
        preview=preview_of(rule, subject, t),
    )
