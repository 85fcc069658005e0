"""The channels that the page of notifications makes: what each needs, and where its secret goes.

Secrets are in files of mode 0600 in the data folder, under a new name at each change: so undoing a
change of `alerts.toml` brings the former secret back. A file that neither the file of alerts nor a
change that can be undone names is removed by the next change.
"""

import os
import re
import secrets as random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import time
from urllib.parse import quote, urlsplit

from flask10x.alerts.delivery.jobs import MAX_URLS, NotSendable, trouble_of_urls, url_of
from flask10x.alerts.words import TROUBLES
from flask10x.config import form, secrets
from flask10x.config.alerts.rules import CHANNELS, Apprise, Channel, Webhook, webhook_url
from flask10x.config.readers import WrongEntry
from flask10x.config.settings import Settings
from flask10x.errors import SettingsError
from flask10x.runtime.administrators import Administrators
from flask10x.system import disk
from flask10x.translation import N_

KEYS = form.named(CHANNELS["webhook"][1], "language", "daily_max")
"""The keys of all channels that a form has."""
FOLDER = "channels"
FOLDER_MODE = 0o700
# A file that is younger may be one that another browser's change is about to name.
UNUSED_AFTER_SEC = 3600
SECRET_CHARS = 4000
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_HOST_PORT = re.compile(rf"({_HOST})(?::([0-9]{{1,5}}))?")
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,250}")
_TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]{1,30})://")


class WrongField(ValueError):
    """A field that is not right; the text is a sentence of the catalogue, perhaps with {value}."""

    def __init__(self, field: str, text: str, value: str = "") -> None:
        super().__init__(text)
        self.field, self.text, self.value = field, text, value


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a form."""

    name: str
    label: str
    example: str = ""
    is_needed: bool = True
    is_secret: bool = True
    """Whether it is never shown again."""
    is_long: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """What a channel may go by."""

    name: str
    label: str
    about: str
    """Where what it needs comes from."""
    fields: tuple[Field, ...]
    url: Callable[[Mapping[str, str]], str] | None = None
    """The URL for Apprise that these fields make, or several, a line each; raises WrongField."""
    schemes: tuple[str, ...] = ()
    """Those of its URLs."""


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _matched(values: Mapping[str, str], name: str, pattern: str, text: str) -> str:
    if not re.fullmatch(pattern, values[name]):
        raise WrongField(name, text)
    return values[name]


def _server(values: Mapping[str, str], name: str) -> tuple[str, str, bool]:
    """The host, `:port` or nothing, and whether it speaks TLS."""
    scheme, _, rest = values[name].rstrip("/").rpartition("://")
    match = _HOST_PORT.fullmatch(rest)
    if (
        match is None
        or scheme not in ("", "http", "https")
        or int(match[2] or 1) not in range(1, 65536)
    ):
        raise WrongField(name, N_("a name such as example.org or 192.168.1.5:8080 is needed"))
    return match[1], f":{match[2]}" if match[2] else "", scheme != "http"


def _ntfy(values: Mapping[str, str]) -> str:
    needed = N_("letters, digits, - and _ are needed, 64 at most")
    topic = _matched(values, "topic", _TOPIC.pattern, needed)
    host, port, is_tls = _server(values, "server") if values["server"] else ("ntfy.sh", "", True)
    return f"{'ntfys' if is_tls else 'ntfy'}://{host}{port}/{topic}"


def _line(values: Mapping[str, str]) -> str:
    token = _matched(values, "secret", r"[A-Za-z0-9+/=]{40,}", N_("this is not a whole token"))
    needed = N_("U, C or R and 32 letters and digits are needed")
    user = _matched(values, "user", r"[UCR][0-9a-f]{32}", needed)
    return f"line://{_quoted(token)}/{user}"


def _telegram(values: Mapping[str, str]) -> str:
    needed = N_("digits, a colon and some 35 letters and digits are needed")
    token = _matched(values, "secret", r"[0-9]{6,12}:[A-Za-z0-9_-]{30,50}", needed)
    chat = _matched(values, "chat", r"-?[0-9]{3,20}", N_("a number is needed"))
    return f"tgram://{token}/{chat}"


def _discord(values: Mapping[str, str]) -> str:
    pattern = r"https://(?:ptb\.|canary\.)?discord(?:app)?\.com/api/webhooks/[0-9]{5,30}/[\w-]{20,}"
    return _matched(
        values, "secret", pattern, N_("it begins with https://discord.com/api/webhooks/")
    )


def _slack(values: Mapping[str, str]) -> str:
    pattern = r"https://hooks\.slack\.com/services/\w{5,20}/\w{5,20}/\w{16,40}"
    needed = N_("it begins with https://hooks.slack.com/services/")
    return _matched(values, "secret", pattern, needed)


def _mail(values: Mapping[str, str]) -> str:
    host, port, _ = _server(values, "server")
    needed = N_("an address such as family@example.org is needed")
    user = _matched(values, "user", _ADDRESS.pattern, needed)
    to = _matched(values, "to", _ADDRESS.pattern, needed)
    mode = "starttls" if port == ":587" else "ssl"
    addresses = f"from={_quoted(user)}&to={_quoted(to)}&mode={mode}"
    login = f"{_quoted(user)}:{_quoted(values['secret'])}"
    return f"mailtos://{login}@{host}{port or ':465'}?{addresses}"


def _mqtt(values: Mapping[str, str]) -> str:
    host, port, _ = _server(values, "server")
    needed = N_("a topic such as house/alerts is needed, without + and #")
    topic = _matched(values, "topic", r"[^+#\s\0?&]{1,200}", needed)
    login = f"{_quoted(values['user'])}:{_quoted(values['secret'])}@" if values["user"] else ""
    return f"mqtt://{login}{host}{port}/{quote(topic)}"


def _apprise(values: Mapping[str, str]) -> str:
    urls = [line.strip() for line in values["secret"].splitlines()]
    urls = [url for url in urls if url and not url.startswith("#")]
    if not 1 <= len(urls) <= MAX_URLS:
        raise WrongField("secret", N_("one to ten URLs are needed, each on its own line"))
    if not all(url.isprintable() for url in urls):
        raise WrongField("secret", N_("a URL such as ntfys://ntfy.sh/topic is needed"))
    text = "\n".join(urls)
    code, _colon, value = trouble_of_urls(text).partition(":")
    if code:
        raise WrongField("secret", TROUBLES.get(code, TROUBLES["failed"]), value)
    return text


def _first_of(url: str) -> str:
    match = _SCHEME.match(url.lower())
    return match[1] if match else ""


_SERVER_EXAMPLE = "192.168.1.5:8080"
SERVICES = {
    service.name: service
    for service in (
        Service(
            "ntfy",
            "ntfy",
            N_(
                "Install the app ntfy on the phone, choose a long topic that is hard to guess, and"
                " subscribe to it there. Anyone who knows the topic can read it."
            ),
            (
                Field("topic", N_("Topic"), "house-8f3kq2"),
                Field("server", N_("Own server"), f"http://{_SERVER_EXAMPLE}", is_needed=False),
            ),
            _ntfy,
            ("ntfy", "ntfys"),
        ),
        Service(
            "line",
            "LINE",
            N_(
                "In the LINE Developers console switch the Messaging API on for an official"
                " account. Under “Messaging API” issue a channel access token; your user ID is"
                " under “Basic settings”. Add the account as a friend."
            ),
            (
                Field("secret", N_("Channel access token")),
                Field("user", N_("User ID"), "U0123456789abcdef0123456789abcdef"),
            ),
            _line,
            ("line",),
        ),
        Service(
            "telegram",
            "Telegram",
            N_(
                "Write /newbot to @BotFather: it answers with the token. Write to the new bot"
                " first; @userinfobot tells the number of your chat."
            ),
            (
                Field("secret", N_("Token of the bot")),
                Field("chat", N_("Number of the chat"), "987654321"),
            ),
            _telegram,
            ("tgram",),
        ),
        Service(
            "discord",
            "Discord",
            N_("In the settings of the channel: Integrations, Webhooks, Copy Webhook URL."),
            (Field("secret", N_("Webhook URL")),),
            _discord,
            ("discord", "https"),
        ),
        Service(
            "slack",
            "Slack",
            N_("Make an app with Incoming Webhooks, and copy its Webhook URL."),
            (Field("secret", N_("Webhook URL")),),
            _slack,
            ("slack",),
        ),
        Service(
            "mail",
            N_("Mail"),
            N_(
                "The mail provider names its SMTP server. Many want an app password: Gmail has them"
                " under the security of the account, the server is smtp.gmail.com."
            ),
            (
                Field("to", N_("Send to"), "family@example.org", is_secret=False),
                Field("server", N_("SMTP server"), "smtp.example.org:465", is_secret=False),
                Field("user", N_("Your address"), "me@example.org", is_secret=False),
                Field("secret", N_("Password")),
            ),
            _mail,
            ("mailto", "mailtos"),
        ),
        Service(
            "mqtt",
            "MQTT",
            N_("The broker of the house, for example that of Home Assistant, and a topic."),
            (
                Field("server", N_("Broker"), "homeassistant.local:1883", is_secret=False),
                Field("topic", N_("Topic"), "house/alerts", is_secret=False),
                Field("user", N_("User"), is_needed=False, is_secret=False),
                Field("secret", N_("Password"), is_needed=False),
            ),
            _mqtt,
            ("mqtt", "mqtts"),
        ),
        Service(
            "webhook",
            N_("Webhook"),
            N_(
                "JSON is posted to this address, for example of Home Assistant or of a program of"
                " your own. With a secret it is signed."
            ),
            (
                Field("url", N_("Address"), "https://example.org/hook"),
                Field("secret", N_("Secret for the signature"), is_needed=False),
            ),
        ),
        Service(
            "apprise",
            N_("Others, by Apprise"),
            N_("Apprise knows some hundred services. Their URLs are on appriseit.com/services."),
            (Field("secret", N_("Apprise URL, one a line"), "pover://USER@TOKEN", is_long=True),),
            _apprise,
        ),
    )
}
"""What the wizard offers, by name."""


def service_of(channel: Channel) -> Service | None:
    """Return what a channel goes by; None for a program, which pages do not change."""
    if isinstance(channel, Webhook):
        return SERVICES["webhook"]
    if not isinstance(channel, Apprise):
        return None
    with suppress(SettingsError, UnicodeDecodeError):
        text = secrets.read_secret(channel.name, channel.urls_file).decode("utf-8-sig")
        schemes = {_first_of(line.strip()) for line in text.splitlines() if line.strip()}
        if "https" in schemes and "hooks.slack.com" in text:
            return SERVICES["slack"]
        for service in SERVICES.values():
            if schemes and schemes <= {*service.schemes}:
                return service
    return SERVICES["apprise"]


def secrets_of(
    service: Service, values: Mapping[str, str], channel: Channel | None = None
) -> dict[str, str]:
    """Return the texts of the secret files that these fields make, by the keys that name them.

    Of a channel that is there what is left empty stays as it is. Raises WrongField.
    """
    texts: dict[str, str] = {}
    if isinstance(channel, Webhook) and channel.url:
        # It was written by hand, or by an earlier version: it may be a secret.
        texts["url_file"] = f"{channel.url}\n"
    if channel is not None and not any(values[field.name] for field in service.fields):
        return texts
    for field in service.fields:
        text, may_stay = values[field.name], channel is not None and service.url is None
        if field.is_needed and not text and not may_stay:
            raise WrongField(field.name, N_("this is needed"))
        if len(text) > SECRET_CHARS or not (text.isprintable() or field.is_long):
            raise WrongField(field.name, N_("this is too long, or has a control character"))
    if service.url is not None:
        return {"urls_file": f"{service.url(values)}\n"}
    try:
        if values["url"]:
            webhook_url(values["url"])
    except WrongEntry:
        text = N_("an address such as https://example.org/hook is needed, without a password")
        raise WrongField("url", text) from None
    typed = {"url_file": values["url"], "secret_file": values["secret"]}
    return texts | {key: f"{text}\n" for key, text in typed.items() if text}


def leads_elsewhere(service: Service, values: Mapping[str, str], channel: Channel | None) -> bool:
    """Return whether messages go to another place from now on than those of the channel."""
    if channel is None:
        return True
    if service.url is None:
        return values["url"] not in ("", address_of(channel))
    return any(values[field.name] for field in service.fields)


def address_of(channel: Channel | None) -> str:
    """Return the whole address of a webhook, which may be secret; empty where there is none."""
    with suppress(NotSendable):
        return url_of(channel) if isinstance(channel, Webhook) else ""
    return ""


def host_of(channel: Webhook) -> str:
    """Return where a webhook leads to, without what may be secret; empty where that is unknown."""
    with suppress(ValueError):
        address = urlsplit(address_of(channel))
        return f"{address.scheme}://{address.netloc.rpartition('@')[2]}/…"
    return ""


def keep(settings: Settings, name: str, text: str) -> Path:
    """Write a secret file for a channel, and return its path; raises OSError."""
    folder = settings.data_dir / FOLDER
    if not folder.is_dir():
        folder.mkdir(mode=FOLDER_MODE, parents=True)
        disk.leave_to_owner(folder, settings.data_dir)
    path = folder / f"{name}-{random.token_hex(4)}"
    disk.make_private(path)
    try:
        path.chmod(0o600)
        with path.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        disk.leave_to_owner(path, folder)
        disk.sync(folder)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path


def forget_unused(settings: Settings, present: bytes | None) -> None:
    """Remove the secret files that nothing names any more; what can't be removed stays."""
    texts = [(present or b"").decode(errors="replace")]
    texts += [change.before or "" for change in Administrators(settings).changes]
    with suppress(OSError):
        for path in (settings.data_dir / FOLDER).iterdir():
            is_old = path.stat().st_mtime < time() - UNUSED_AFTER_SEC
            if is_old and not any(path.name in text for text in texts):
                path.unlink()


def is_apprise_missing() -> bool:
    """Whether Apprise, by which most channels go, has still to be installed."""
    return find_spec("apprise") is None


def is_mqtt_missing() -> bool:
    """Whether the library by which Apprise speaks MQTT has still to be installed."""
    return find_spec("paho") is None
