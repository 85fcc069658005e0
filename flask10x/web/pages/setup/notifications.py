"""`/setup/notifications`: channels, rules, and when messages are sent; all of it in `alerts.toml`.

Nothing of a secret is on a page, in the log or among the changes: its file is only named. What a
form was sent with comes back with it where something is wrong.
"""

import logging
from collections.abc import Iterable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from flask import make_response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from flask10x.alerts.delivery.jobs import begin_test, end_test
from flask10x.alerts.subjects import sentence
from flask10x.alerts.words import trouble_in
from flask10x.config.alerts import file as alert_file
from flask10x.config.alerts import rules as alert_rules
from flask10x.config.alerts.rules import (
    MAX_H,
    MAX_MESSAGES,
    Apprise,
    Channel,
    Command,
    Rule,
    Webhook,
)
from flask10x.config.readers import Reader, WrongEntry
from flask10x.config.station_keys import ENDPOINT
from flask10x.errors import SettingsError
from flask10x.readings.numbers import NotTyped, typed_number
from flask10x.runtime.administrators import Browser
from flask10x.translation import N_, Translation
from flask10x.web import administrators, context, preferences
from flask10x.web.pages.setup import alerts_file, changes, channels, preview, rules
from flask10x.web.pages.setup.alerts_file import AlertsFile, WrongFields
from flask10x.web.pages.setup.channels import SERVICES, Service, WrongField
from flask10x.web.pages.setup.page import blueprint, refused, shown, with_nearest
from flask10x.web.pages.status.commands import shell

log = logging.getLogger(__name__)
Answer = AnyResponse | tuple[str, int]
# Longer than a webhook may take, and shorter than a proxy waits for a page.
TEST_WAIT_SEC = 25.0
# One at a time: each is a process, and the pages have few threads.
_testing = Lock()
LANGUAGES = {"": "", "en": "English", "ja": "日本語"}
FIELD_OF_KEY = dict.fromkeys(("above", "below", "rise", "fall"), "value")
FIELD_OF_KEY |= {"station": "about", "measurement": "about"}
# Half an hour is a time; half a message is none.
FRACTIONS = {"reminder_after_h"}
GENERAL = ("base_url", "from", "to", "reminder_after_h", "daily_max")


# The page


class ChannelRow(NamedTuple):
    """A channel as the page lists it."""

    name: str
    label: str
    """What it goes by."""
    about: str
    receives: str
    """Which rules send to it; empty: all."""
    is_ours: bool
    """Whether it can be changed here."""


@dataclass(frozen=True, slots=True)
class Tested:
    """What became of a test message."""

    name: str
    trouble: str
    """Empty: it arrived."""


@blueprint.get("/setup/notifications")
def as_notifications() -> Answer:
    """The channels, the rules, and when messages are sent."""
    return _page()


def _page(
    status: int = 200,
    *,
    tested: Tested | None = None,
    message: str = "",
    sent: Mapping[str, Any] | None = None,
    problems: Mapping[str, str] | None = None,
) -> tuple[str, int]:
    settings, t = context.store().settings, preferences.texts()
    file, own = alerts_file.load(settings), shell(settings)
    uses_apprise = any(isinstance(channel, Apprise) for channel in file.alerts.channels)
    return shown(
        "setup/notifications.html",
        status,
        file=file,
        channels=[_channel_row(channel, file, t) for channel in file.alerts.channels],
        services=SERVICES.values(),
        rules=[(row, _sentence(row.rule, t)) for row in file.rules()],
        kinds=rules.KINDS,
        templates=rules.TEMPLATES,
        general=sent or _general(file),
        problems=problems or {},
        tested=tested,
        message=message,
        languages=LANGUAGES,
        # A change of the file reaches the other hosts by the database, which has no secrets.
        others_need=_folder_of_secrets(file) if context.store().database.hosts.name else "",
        installing=own.installing("alerts")
        if uses_apprise and channels.is_apprise_missing()
        else "",
    )


def _folder_of_secrets(file: AlertsFile) -> str:
    """The folder that has secrets of channels; empty while no channel needs one."""
    folder = str(file.settings.data_dir / channels.FOLDER)
    is_used = any(
        str(table.get(key, "")).startswith(f"{folder}/")
        for table in file.data.get("channels", {}).values()
        for key in ("urls_file", "url_file", "secret_file")
    )
    return folder if is_used else ""


def _channel_row(channel: Channel, file: AlertsFile, t: Translation) -> ChannelRow:
    service = channels.service_of(channel)
    match channel:
        case Command():
            label, about = t("Program"), " ".join(channel.arguments)
        case Webhook():
            label, about = t("Webhook"), channels.host_of(channel)
        case Apprise():
            label, about = t(service.label) if service else "Apprise", ""
    named = [rule.name for rule in file.alerts.rules if channel.name in rule.channels]
    others = any(not rule.channels for rule in file.alerts.rules)
    return ChannelRow(channel.name, label, about, "" if others else t.listed(named), bool(service))


def _sentence(rule: Rule | None, t: Translation) -> str:
    return sentence(rule, context.store().settings.stations, t) if rule else ""


def _general(file: AlertsFile) -> dict[str, Any]:
    alerts, quiet = file.alerts, file.alerts.quiet_hours
    return {
        "language": alerts.language,
        "base_url": alerts.base_url,
        "from": f"{quiet.start:%H:%M}" if quiet else "",
        "to": f"{quiet.end:%H:%M}" if quiet else "",
        "urgent": [*quiet.urgent] if quiet else ["database", "disk"],
        "reminder_after_h": rules.number_text(alerts.reminder_after_sec / 3600),
        "daily_max": str(alerts.daily_max),
    }


@blueprint.post("/setup/notifications", guard="setup")
def change_notifications() -> Answer:
    """Change when messages are sent, and in which language; then the page."""
    browser, t = administrators.required(), preferences.texts()
    file, sent = _file(), {name: request.form.get(name, "").strip() for name in GENERAL}
    values: dict[str, Any] = {**sent, "urgent": request.form.getlist("urgent")}
    values["language"] = request.form.get("language", "")
    problems: dict[str, str] = {}
    quiet = _quiet_hours(values, problems, t)
    table: dict[str, Any] = {"language": values["language"] if values["language"] else None}
    table["base_url"] = sent["base_url"] or None
    if sent["base_url"]:
        needed = t("an address such as http://raspberrypi.local:8888 is needed")
        _read(alert_rules.base_url, sent["base_url"], "base_url", problems, needed)
    for name, limit in (("reminder_after_h", MAX_H), ("daily_max", MAX_MESSAGES)):
        table[name] = _number(sent[name], limit, name, problems, t)

    def edit(data: MutableMapping[str, Any]) -> None:
        alerts_file.put(data, table, [*table])
        if quiet is None:
            data.pop("quiet_hours", None)
        else:
            of_hours = alerts_file.tables_of(data, "quiet_hours")
            alerts_file.put(of_hours, quiet, [*quiet])

    if not problems:
        change = _Change(file, "notifications", "", (), edit)
        problems = change.make(browser)
    if problems:
        return _page(400, sent=values, problems=problems)
    return _back()


def _quiet_hours(
    values: Mapping[str, Any], problems: dict[str, str], t: Translation
) -> dict[str, Any] | None:
    times = {name: values[name] for name in ("from", "to")}
    if not any(times.values()):
        return None
    for name, text in times.items():
        _read(alert_rules.clock, text, name, problems, t("a time such as 22:00 is needed"))
    if not problems and times["from"] == times["to"]:
        problems["to"] = t("another time is needed than that of the beginning")
    return {**times, "urgent": values["urgent"]}


def _read(read: Reader, raw: str, name: str, problems: dict[str, str], needed: str) -> None:
    try:
        read(raw)
    except WrongEntry:
        problems[name] = needed


def _number(
    text: str, limit: int, name: str, problems: dict[str, str], t: Translation
) -> int | float | None:
    """The number of a field, from 1 on; None for an empty one, and for what is none."""
    if not text:
        return None
    with suppress(NotTyped):
        value = typed_number(text)
        value = int(value) if float(value).is_integer() else value
        if 1 <= value <= limit and (isinstance(value, int) or name in FRACTIONS):
            return value
    needed = N_("a whole number from {low} to {high} is needed")
    if name in FRACTIONS:
        needed = N_("a number from {low} to {high} is needed")
    problems[name] = with_nearest(t, t(needed, low=1, high=limit), text)
    return None


# Changes of the file


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of the file that a form asks for."""

    file: AlertsFile
    kind: str
    """A key of `changes.SENTENCES`."""
    name: str
    at: tuple[str, ...]
    """The table that the form shows."""
    edit: alerts_file.Editing

    def make(self, browser: Browser) -> dict[str, str]:
        """Make it, and return what is wrong, by field; raises NotWritten."""
        language = preferences.texts().language
        edit = alerts_file.with_language(self.edit, self.file.former, language)
        try:
            changes.make(browser, self.file.edited(self.kind, self.name, edit, self.at))
        except WrongFields as error:
            return {FIELD_OF_KEY.get(key, key): text for key, text in error.reasons.items()}
        except SettingsError as error:
            return {"file": str(error)}
        channels.forget_unused(self.file.settings, self.file.former)
        return {}


def _file() -> AlertsFile:
    """The file, which has to be right: what is wrong is on the page itself."""
    file = alerts_file.load(context.store().settings)
    if file.trouble:
        raise BrokenFile(file.trouble)
    return file


def _gone() -> tuple[str, int]:
    """What a request names is not there any more, or never was."""
    t = preferences.texts()
    return refused(t("There is no such channel or rule."), 404)


def _back(anchor: str = "") -> AnyResponse:
    return redirect(url_for("setup.as_notifications", _anchor=anchor or None), 303)


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
            return _gone()
        return _channel_form(file, service, _of_channel(channel), {})
    service = SERVICES.get(request.args.get("kind", ""))
    if service is None:
        return _gone()
    taken = [channel.name for channel in file.alerts.channels]
    return _channel_form(file, service, {"new": alerts_file.free_name(service.name, taken)}, {})


def _of_channel(channel: Channel) -> dict[str, str]:
    return {
        "name": channel.name,
        "language": channel.language or "",
        "daily_max": str(channel.daily_max or ""),
    }


def _channel_form(
    file: AlertsFile, service: Service, values: Mapping[str, str], problems: Mapping[str, str]
) -> Answer:
    settings = file.settings
    own = shell(settings)
    needs_apprise = service.url is not None and channels.is_apprise_missing()
    needs_mqtt = service.name == "mqtt" and channels.is_mqtt_missing()
    present = file.channel(values.get("name", ""))
    page = shown(
        "setup/channel.html",
        400 if problems else 200,
        part="setup.as_notifications",
        file=file,
        service=service,
        values=values,
        problems=problems,
        # Its secret is set, and stays where the fields of it are left empty.
        is_set=present is not None,
        languages=LANGUAGES,
        installing=[
            own.installing(extra)
            for extra, is_needed in (("alerts", needs_apprise), ("mqtt", needs_mqtt))
            if is_needed
        ],
        hosts=settings.notify_hosts,
    )
    # It may have a secret that somebody has just typed.
    answer = make_response(page)
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.post("/setup/notifications/channel", guard="setup")
def change_channel() -> Answer:
    """Make the channel, or change it; then the page. 400 with the form when something is wrong."""
    browser, t, file = administrators.required(), preferences.texts(), _file()
    service = SERVICES.get(request.form.get("kind", ""))
    if service is None:
        return _gone()
    form = _ChannelForm(file, service, t)
    if form.name and (form.channel is None or channels.service_of(form.channel) != service):
        return _gone()
    problems = form.save(browser)
    if problems:
        return _channel_form(file, service, form.values, problems)
    return _back("channels")


class _ChannelForm:
    """A form of a channel as it was sent."""

    def __init__(self, file: AlertsFile, service: Service, t: Translation) -> None:
        own = [field.name for field in service.fields]
        names = ("name", "new", "language", "daily_max", *own)
        self.values = {name: request.form.get(name, "").strip() for name in names}
        if service.name == "apprise":
            # As a browser sends the lines of a field.
            self.values["secret"] = self.values["secret"].replace("\r\n", "\n")
        self.name = self.values["name"]
        self._file, self._service, self._t = file, service, t
        self._daily_max: int | float | None = None
        self.channel = file.channel(self.name) if self.name else None

    def save(self, browser: Browser) -> dict[str, str]:
        """Make the change, and return what is wrong, by field."""
        problems, texts = self._check(), {}
        # Of a channel that is there what is left empty stays as it is.
        is_new = self.channel is None
        if is_new or any(self.values[f.name] for f in self._service.fields):
            try:
                texts = channels.secrets_of(self._service, self.values, keeps=not is_new)
            except WrongField as error:
                problems[error.field] = self._t(error.text, value=error.value)
        if problems:
            return problems
        if isinstance(self.channel, Webhook) and self.channel.url and "url_file" not in texts:
            # It was written by hand, or by an earlier version: it may be a secret.
            texts["url_file"] = f"{self.channel.url}\n"
        name, paths = self.name or self.values["new"], {}
        try:
            for key, text in texts.items():
                paths[key] = channels.keep(self._file.settings, name, text)
            return self._put(browser, name, paths)
        except OSError:
            _remove(paths.values())
            raise

    def _put(self, browser: Browser, name: str, paths: Mapping[str, Path]) -> dict[str, str]:
        """Name the secret files in the file of alerts, or remove them again."""
        values = self._table({key: str(path) for key, path in paths.items()})

        def edit(data: MutableMapping[str, Any]) -> None:
            tables = alerts_file.tables_of(data, "channels")
            if name not in tables:
                tables[name] = {}
            alerts_file.put(tables[name], values, [*values])

        is_named = False
        try:
            problems = _Change(self._file, "channel", name, ("channels", name), edit).make(browser)
            is_named = not problems
        finally:
            if not is_named:
                _remove(paths.values())
        return problems

    def _check(self) -> dict[str, str]:
        t, problems = self._t, dict[str, str]()
        taken = {channel.name for channel in self._file.alerts.channels}
        if not self.name and not ENDPOINT.fullmatch(self.values["new"]):
            problems["new"] = t(
                "small letters, digits, - and _ are needed, a letter first, 32 at most"
            )
        elif not self.name and self.values["new"] in taken:
            problems["new"] = t("there is a channel of this name already")
        if self.values["language"] not in LANGUAGES:
            problems["language"] = t("one of the languages is needed")
        self._daily_max = _number(self.values["daily_max"], MAX_MESSAGES, "daily_max", problems, t)
        return problems

    def _table(self, paths: Mapping[str, str]) -> dict[str, Any]:
        table: dict[str, Any] = {"kind": "apprise" if self._service.url else "webhook", **paths}
        if "url_file" in paths:
            table["url"] = None
        table["language"] = self.values["language"] or None
        table["daily_max"] = self._daily_max
        # What was set up by hand keeps what it may reach, unless it goes elsewhere from now on.
        leads_elsewhere = self._service.url is not None and bool(paths)
        if self._service.url is None and self.values["url"]:
            former = channels.address_of(self.channel)
            leads_elsewhere = self.values["url"] != former
        if self.channel is None or leads_elsewhere:
            table["loopback"] = False
        return table


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


@blueprint.post("/setup/notifications/test", guard="setup")
def test_channel() -> Answer:
    """Send a test message to the channel `name`, and say what became of it."""
    administrators.required()
    t, file = preferences.texts(), _file()
    channel = file.channel(request.form.get("name", ""))
    if channel is None or isinstance(channel, Command):
        return _gone()
    if not _testing.acquire(blocking=False):
        return _page(503, message=t("Another test is still being sent. Try again in a minute."))
    try:
        tries, trouble = begin_test(replace(file.settings, alerts=file.alerts), channel)
        troubles = [trouble] if trouble else end_test(tries, TEST_WAIT_SEC)
    finally:
        _testing.release()
    log.info("Test message to %s: %s", channel.name, troubles[0] if troubles else "sent")
    reason = trouble_in(t.language, troubles[0]) if troubles else ""
    return _page(tested=Tested(channel.name, reason))


@blueprint.post("/setup/notifications/remove", guard="setup")
def remove_notification() -> Answer:
    """Remove the `channel` or the `rule` of this name; then the page."""
    browser, t, file = administrators.required(), preferences.texts(), _file()
    if name := request.form.get("channel", ""):
        channel = file.channel(name)
        if channel is None or isinstance(channel, Command):
            return _gone()
        if only := file.only_to(name):
            text = t("These rules send to {name} alone: change them first: {rules}")
            text = text.format(name=name, rules=t.listed(only))
            return _page(400, message=text)
        change = _Change(file, "channel_removed", name, (), alerts_file.removed("channels", name))
    else:
        name = request.form.get("rule", "")
        if not file.table("rules", name):
            return _gone()
        change = _Change(file, "rule_removed", name, (), alerts_file.removed("rules", name))
    if problems := change.make(browser):
        return _page(400, message=t.listed(problems.values()))
    return _back()


# Rules


@blueprint.post("/setup/notifications/switch", guard="setup")
def switch_rule() -> Answer:
    """Switch the rule `name` on or off; then the page."""
    browser, t, file = administrators.required(), preferences.texts(), _file()
    row = file.rule(request.form.get("name", ""))
    if row is None:
        return _gone()
    name, is_on = row.name, request.form.get("on") == "1"

    def edit(data: MutableMapping[str, Any]) -> None:
        tables = alerts_file.tables_of(data, "rules")
        if name not in tables:
            tables[name] = {}
        if is_on:
            # Those that are in the file are on without the key.
            tables[name].pop("on", None)
        else:
            tables[name]["on"] = False

    change = _Change(file, "rule_on" if is_on else "rule_off", name, (), edit)
    if problems := change.make(browser):
        return _page(400, message=t.listed(problems.values()))
    return _back("rules")


@blueprint.get("/setup/notifications/rule")
def as_rule() -> Answer:
    """The form of the rule `name`, or of a new one that a template, a chart or a tile fills in."""
    file = alerts_file.load(context.store().settings)
    if name := request.args.get("name", ""):
        row = file.rule(name)
        if row is None or row.kind not in alert_rules.KINDS:
            return _gone()
        values = rules.of_rule(row.kind, file.table("rules", name), row.rule) | {"name": name}
        return _rule_form(file, values, {})
    stations = file.settings.stations
    if (template := request.args.get("template", "")) in rules.TEMPLATES:
        values = rules.of_template(template, stations)
    else:
        values = {name: value for name, value in rules.sent(request.args).items() if value}
    if values.get("kind") not in rules.KINDS:
        return _gone()
    return _rule_form(file, {**rules.USUAL.get(values["kind"], {}), **values}, {})


@blueprint.post("/setup/notifications/rule", guard="setup")
def change_rule() -> Answer:
    """Make the rule or change it; or only show when it would have fired, where that was pressed."""
    browser, file, values = administrators.required(), _file(), rules.sent(request.form)
    name = values["name"]
    row = file.rule(name) if name else None
    kinds = rules.KINDS if row is None else {row.kind: ""}
    if (name and row is None) or values["kind"] not in kinds:
        return _gone()
    draft = _Draft.of(file, values)
    problems = dict(draft.problems)
    if request.form.get("do") == "show" or problems:
        return _rule_form(file, values, problems)
    problems = draft.change().make(browser)
    if problems:
        return _rule_form(file, values, problems)
    return _back("rules")


@dataclass(frozen=True, slots=True)
class _Draft:
    """The rule of a form."""

    file: AlertsFile
    kind: str
    name: str
    table: dict[str, Any]
    problems: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, file: AlertsFile, values: Mapping[str, Any]) -> "_Draft":
        problems: dict[str, str] = {}
        known: dict[str, Any] = {"stations": [], "channels": [], **dict.fromkeys(rules.LABELS, "")}
        known |= {"stations": [], "channels": []} | dict(values)
        stations = file.settings.stations
        table = rules.Reader(stations, preferences.texts(), known, problems).table()
        taken = [row.name for row in file.rules()]
        name = values.get("name") or rules.name_for(known, taken)
        if not ENDPOINT.fullmatch(name):
            name = alerts_file.free_name(known["kind"], [*taken, *alert_rules.KINDS])
        return cls(file, known["kind"], name, table, problems)

    def edit(self, data: MutableMapping[str, Any]) -> None:
        """Put the rule into the tables of the file."""
        tables = alerts_file.tables_of(data, "rules")
        if self.name not in tables:
            tables[self.name] = {} if self.name == self.kind else {"kind": self.kind}
        alerts_file.put(tables[self.name], self.table, [*self.table])

    def change(self) -> _Change:
        """Return the change of the file."""
        return _Change(self.file, "rule", self.name, ("rules", self.name), self.edit)

    def rule(self) -> Rule | None:
        """Return the rule; None while something is wrong with it."""
        if self.problems:
            return None
        values = {name: value for name, value in self.table.items() if value is not None}
        kind = {} if self.name == self.kind else {"kind": self.kind}
        data = {
            "rules": {self.name: {**kind, **values}},
            "channels": self.file.data.get("channels", {}),
        }
        stations = self.file.settings.stations
        alerts, mistakes = alert_file.checked(data, self.file.path, stations)
        return None if mistakes else alerts.by_name.get(self.name)

    @property
    def subject(self) -> tuple[str, str] | None:
        """The endpoint and the column of the measurement that is chosen."""
        if "about" in self.problems or "measurement" not in self.table:
            return None
        return self.table["station"], self.table["measurement"]


def _rule_form(
    file: AlertsFile, values: Mapping[str, Any], problems: Mapping[str, str]
) -> tuple[str, int]:
    settings, t = file.settings, preferences.texts()
    draft = _Draft.of(file, values)
    rule = None if problems else draft.rule()
    return shown(
        "setup/rule.html",
        400 if problems else 200,
        part="setup.as_notifications",
        file=file,
        values=values,
        problems=problems,
        kind=values["kind"],
        labels=rules.LABELS | rules.LABELS_OF_KIND.get(values["kind"], {}),
        title=_sentence(rule, t) if values.get("name") and rule else t(_title(values["kind"])),
        directions=rules.DIRECTIONS.get(values["kind"], {}),
        keys=[key.name for key in alert_rules.RULES[values["kind"]][1]],
        subjects=rules.subjects(settings.stations, t),
        stations=settings.stations.ordered,
        channels=[channel.name for channel in file.alerts.channels],
        is_new=not values.get("name"),
        preview=preview.of(rule, draft.subject, t),
    )


def _title(kind: str) -> str:
    return rules.KINDS.get(kind, N_("Rule"))
