"""The channels that the page of notifications makes: what each needs, and where its secret goes.

Secrets are in files of mode 0600 in the data folder, under a new name at each change: so undoing a
change of `alerts.toml` brings the former secret back. A file that neither the file of alerts nor a
change that can be undone names is removed by the next change.
"""

import hashlib
import re
import secrets as random
from base64 import b32encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import quote, urlsplit

from flask10x.alerts.delivery.jobs import MAX_URLS, NotSendable, trouble_of_urls, url_of
from flask10x.alerts.words import TROUBLES
from flask10x.config import form, house, secrets
from flask10x.config.alerts.rules import CHANNELS, Channel, Command, Webhook, WithUrl, webhook_url
from flask10x.config.readers import WrongEntry, matching, takes
from flask10x.config.settings import Settings
from flask10x.config.toml import Key
from flask10x.errors import SettingsError
from flask10x.runtime.administrators import Administrators
from flask10x.system import own_files
from flask10x.translation import N_, chosen
from flask10x.translation import message as _

KEYS = form.named(CHANNELS["webhook"][1], "language", "daily_max")
"""The keys of all channels that a form has."""
SECRET_KEYS = {"webhook": "secret_file", "ntfy": "token_file"}
"""The key of the file for the secret beside the URL, by kind."""
# A file that is younger may be one that another browser's change is about to name.
UNUSED_AFTER_SEC = 3600
SECRET_CHARS = 4000
# 60 bits: at a million tries a second it takes 18,000 years to hit one.
TOPIC_CHARS = 12
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_SERVER = re.compile(rf"(?:(https?)://)?({_HOST})(?::([0-9]{{1,5}}))?/*")
_SERVER_EXAMPLE = "192.168.1.5:8080"


# Readers of the fields


def _secret(raw: str) -> str:
    if not raw:
        raise WrongEntry(raw, _("this is needed"))
    if len(raw) > SECRET_CHARS or not raw.isprintable():
        raise WrongEntry(raw, _("this is too long, or has a control character"))
    return raw


def _server(raw: str) -> tuple[str, str, bool]:
    """Return the host, `:port` or nothing, and whether it speaks TLS."""
    match = _SERVER.fullmatch(raw)
    if match is None or int(match[3] or 1) not in range(1, 65536):
        raise WrongEntry(raw, _("a name such as example.org or 192.168.1.5:8080 is needed"))
    return match[2], f":{match[3]}" if match[3] else "", match[1] != "http"


def _lines(raw: str) -> list[str]:
    lines = [line.strip() for line in raw.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _urls(raw: str) -> str:
    urls = _lines(raw)
    if not 1 <= len(urls) <= MAX_URLS:
        raise WrongEntry(raw, _("one to ten URLs are needed, each on its own line"))
    if len(raw) > SECRET_CHARS or not all(url.isprintable() for url in urls):
        raise WrongEntry(raw, _("a URL such as ntfys://ntfy.sh/topic is needed"))
    code, _colon, value = trouble_of_urls("\n".join(urls)).partition(":")
    if code:
        raise WrongEntry(raw, chosen()(TROUBLES.get(code, TROUBLES["failed"]), value=value))
    return raw


for reader in (_secret, _server, _urls):
    takes(reader, type="string")
_topic = matching("[-_A-Za-z0-9]{1,64}", N_("letters, digits, - and _ are needed, 64 at most"))
_line_token = matching("[A-Za-z0-9+/=]{40,1000}", N_("this is not a whole token"))
_line_user = matching("[UCR][0-9a-f]{32}", N_("U, C or R and 32 letters and digits are needed"))
_mail_address = matching(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,250}",
    N_("an address such as family@example.org is needed"),
)


# What the fields make


def _quoted(text: str) -> str:
    return quote(text, safe="")


def ntfy_url(of: Mapping[str, str]) -> str:
    """Return the address of a topic, where a browser shows its messages, too."""
    host, port, is_tls = _server(of["server"] or "ntfy.sh")
    return f"{'https' if is_tls else 'http'}://{host}{port}/{of['topic']}"


def made_up_topic(seed: str, number: int) -> str:
    """Return a topic that nobody guesses, the same for a browser until the channel is there.

    So a phone that subscribed gets the messages even if the page was loaded again.
    `seed` is a secret of the browser, `number` how many channels there are.
    """
    digest = hashlib.sha256(f"topic {seed} {number}".encode()).digest()
    return f"house-{b32encode(digest).decode().lower()[:TOPIC_CHARS]}"


def _mail_url(of: Mapping[str, str]) -> str:
    host, port, _ = _server(of["server"])
    user, mode = _quoted(of["user"]), "starttls" if port == ":587" else "ssl"
    addresses = f"from={user}&to={_quoted(of['to'])}&mode={mode}"
    return f"mailtos://{user}:{_quoted(of['secret'])}@{host}{port or ':465'}?{addresses}"


@dataclass(frozen=True, slots=True)
class Service:
    """What a channel may go by."""

    name: str
    label: str
    about: str
    """Where what it needs comes from."""
    fields: tuple[Key, ...]
    """The fields of its form, which are not keys of the file."""
    url: Callable[[Mapping[str, str]], str]
    """Return the URL that these fields make; of Apprise also several, a line each."""
    kind: str = "apprise"
    """That of the channel in the file."""
    schemes: tuple[str, ...] = ()
    """Those of its URLs for Apprise."""

    @property
    def of_url(self) -> list[Key]:
        """The fields that make the URL: one for Apprise has the secret in it."""
        return [key for key in self.fields if self.kind == "apprise" or key.name != "secret"]


def _field(name: str, words: str, read: Callable[[str], Any], example: str = "") -> Key:
    return Key(name, read, words=words, example=example, needed=True)


def _may_be_empty(key: Key) -> Key:
    return replace(key, needed=False)


_SERVICES = (
    Service(
        "ntfy",
        "ntfy",
        N_(
            "Install the free app ntfy on the phone, and subscribe to this topic there. It is made"
            " up for you and hard to guess. Anyone who knows the topic can read it."
        ),
        (
            _field("topic", N_("Topic"), _topic, "house-8f3kq2"),
            _may_be_empty(_field("server", N_("Own server"), _server, f"http://{_SERVER_EXAMPLE}")),
            _may_be_empty(_field("secret", N_("Access token"), _secret)),
        ),
        ntfy_url,
        "ntfy",
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
            _field("secret", N_("Channel access token"), _line_token),
            _field("user", N_("User ID"), _line_user, "U0123456789abcdef0123456789abcdef"),
        ),
        lambda of: f"line://{_quoted(of['secret'])}/{of['user']}",
        schemes=("line",),
    ),
    Service(
        "mail",
        N_("Mail"),
        N_(
            "The mail provider names its SMTP server. Many want an app password: Gmail has them"
            " under the security of the account, the server is smtp.gmail.com."
        ),
        (
            _field("to", N_("Send to"), _mail_address, "family@example.org"),
            _field("server", N_("SMTP server"), _server, "smtp.example.org:465"),
            _field("user", N_("Your address"), _mail_address, "me@example.org"),
            _field("secret", N_("Password"), _secret),
        ),
        _mail_url,
        schemes=("mailto", "mailtos"),
    ),
    Service(
        "webhook",
        N_("Webhook"),
        N_(
            "JSON is posted to this address, for example of Home Assistant or of a program of"
            " your own. With a secret it is signed."
        ),
        (
            _field("url", N_("Address"), webhook_url, "https://example.org/hook"),
            _may_be_empty(_field("secret", N_("Secret for the signature"), _secret)),
        ),
        lambda of: of["url"],
        "webhook",
    ),
    Service(
        "apprise",
        N_("Others, by Apprise"),
        N_(
            "Telegram, Discord, Slack, MQTT and some hundred more services have a URL for Apprise:"
            " appriseit.com/services says how it is made."
        ),
        (_field("secret", N_("Apprise URL, one a line"), _urls, "pover://USER@TOKEN"),),
        lambda of: "\n".join(_lines(of["secret"])),
    ),
)
SERVICES = {service.name: service for service in _SERVICES}
"""What the wizard offers, by name."""


def service_of(channel: Channel) -> Service | None:
    """Return what a channel goes by; None for a program, which pages do not change."""
    if isinstance(channel, Command):
        return None
    if isinstance(channel, WithUrl):
        return SERVICES["webhook" if isinstance(channel, Webhook) else "ntfy"]
    with suppress(SettingsError, UnicodeDecodeError):
        text = secrets.read_secret(channel.name, channel.urls_file).decode("utf-8-sig")
        urls = [line.strip().lower() for line in text.splitlines() if line.strip()]
        schemes = {url.partition("://")[0] for url in urls}
        for service in SERVICES.values():
            if schemes and schemes <= {*service.schemes}:
                return service
    return SERVICES["apprise"]


def keys_of(service: Service, values: Mapping[str, str], channel: Channel | None) -> list[Key]:
    """Return the fields of the form; of a channel that is there what is left empty may stay.

    The URL stays only if all fields that make it are empty.
    """
    if channel is None or any(values[key.name] for key in service.of_url):
        return [*service.fields]
    return [*map(_may_be_empty, service.fields)]


def secrets_of(
    service: Service, values: Mapping[str, str], channel: Channel | None = None
) -> dict[str, str]:
    """Return the texts of the secret files that these fields make, by the keys that name them."""
    # What was written by hand, or by an earlier version, may be a secret, too.
    former = channel.url if isinstance(channel, WithUrl) else ""
    url = service.url(values) if any(values[key.name] for key in service.of_url) else former
    texts = {"urls_file" if service.kind == "apprise" else "url_file": url}
    if key := SECRET_KEYS.get(service.kind):
        texts[key] = values["secret"]
    return {key: f"{text}\n" for key, text in texts.items() if text}


def leads_elsewhere(service: Service, values: Mapping[str, str], channel: Channel | None) -> bool:
    """Return whether messages go to another place from now on than those of the channel."""
    if channel is None:
        return True
    is_typed = any(values[key.name] for key in service.of_url)
    return is_typed and service.url(values) != address_of(channel)


def address_of(channel: Channel | WithUrl) -> str:
    """Return the whole address of a webhook or topic, which may be secret; empty if unknown."""
    with suppress(NotSendable):
        return url_of(channel) if isinstance(channel, WithUrl) else ""
    return ""


def host_of(channel: WithUrl) -> str:
    """Return where a channel leads to, without what may be secret; empty where that is unknown."""
    with suppress(ValueError):
        address = urlsplit(address_of(channel))
        return f"{address.scheme}://{address.netloc.rpartition('@')[2]}/…"
    return ""


def keep(settings: Settings, name: str, text: str) -> Path:
    """Write a secret file for a channel, and return its path; raises OSError."""
    path = settings.data_dir / house.SECRETS / f"{name}-{random.token_hex(4)}"
    own_files.put_secret(path, text.encode())
    return path


def forget_unused(settings: Settings, present: bytes | None) -> None:
    """Remove the secret files that nothing names any more; what can't be removed stays."""
    texts = [(present or b"").decode(errors="replace")]
    texts += [change.before or "" for change in Administrators(settings).changes]
    with suppress(OSError):
        for path in (settings.data_dir / house.SECRETS).iterdir():
            is_old = path.stat().st_mtime < time() - UNUSED_AFTER_SEC
            if is_old and not any(path.name in text for text in texts):
                path.unlink()


def is_apprise_missing() -> bool:
    """Whether Apprise, by which most channels go, has still to be installed."""
    return find_spec("apprise") is None
