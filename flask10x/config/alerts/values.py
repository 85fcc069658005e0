"""Values in `alerts.toml`: each reader takes what `tomllib` gives and says what is wrong."""

import re
from collections.abc import Callable
from datetime import time
from gettext import gettext as _
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import SplitResult, urlsplit

from flask10x.config import secret_places
from flask10x.config.toml.values import number, wrong

URL_CHARS = 2000
MAX_NAMES = 200
MAX_ARGUMENTS = 32
MINUTE_SEC = 60
HOUR_SEC = 3600
NAMES_EXAMPLE = '["data", "data2"]'
COMMAND_EXAMPLE = '["/usr/local/bin/say", "--loud"]'
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")


def between(low: float, high: float) -> Callable[[Any], float]:
    """A number within these limits, both included."""

    def read(raw: Any) -> float:
        value = number(raw)
        if not low <= value <= high:
            wanted = _("a number from {low} to {high} is needed")
            raise wrong(raw, wanted.format(low=low, high=high))
        return value

    return read


def minutes(low: float, high: float) -> Callable[[Any], int]:
    """Minutes within these limits, both included, as whole seconds."""
    return lambda raw: round(between(low, high)(raw) * MINUTE_SEC)


def hours(low: float, high: float) -> Callable[[Any], int]:
    """Hours within these limits, both included, as whole seconds."""
    return lambda raw: round(between(low, high)(raw) * HOUR_SEC)


def change(raw: Any) -> float:
    """By how much something rises or falls."""
    if (value := number(raw)) <= 0:
        raise wrong(raw, _("a number above 0 is needed"))
    return value


def text(raw: Any) -> str:
    """A name that is compared with those that there are."""
    if not isinstance(raw, str):
        raise wrong(raw, _("a text is needed"))
    return raw


def names(raw: Any) -> tuple[str, ...]:
    """Several of them, each once, at least one: nothing stands for all of them but no key."""
    are_texts = isinstance(raw, list) and all(isinstance(name, str) for name in raw)
    if not are_texts or len(raw) > MAX_NAMES:
        raise wrong(raw, _("a list such as {example} is needed").format(example=NAMES_EXAMPLE))
    if not raw:
        raise wrong(raw, _("name one at least; without the key it is all of them"))
    if len(set(raw)) < len(raw):
        raise wrong(raw, _("a name is there twice"))
    return tuple(raw)


def rule_names(raw: Any) -> tuple[str, ...]:
    """The names of rules, none too."""
    return () if raw == [] else names(raw)


def clock(raw: Any) -> time:
    """A time of the day: `"22:00"`, or a time of TOML's own, `22:00:00`."""
    if isinstance(raw, time):
        return raw.replace(microsecond=0)
    found = _CLOCK.fullmatch(raw) if isinstance(raw, str) else None
    if not found:
        raise wrong(raw, _('a time from "00:00" to "23:59" is needed'))
    return time(int(found[1]), int(found[2]))


def base_url(raw: Any) -> str:
    """The address of the pages, without the slash at its end."""
    address = _address(raw, _("an address such as http://raspberrypi.local:8888 is needed"))
    if address.query:
        raise wrong(raw, _("an address without ? is needed"))
    return str(raw).rstrip("/")


def webhook_url(raw: Any) -> str:
    """The address that a message is posted to."""
    _address(raw, _("an address such as https://example.org/hook is needed"))
    return str(raw)


def _address(raw: Any, wanted: str) -> SplitResult:
    plain = isinstance(raw, str) and len(raw) <= URL_CHARS and re.fullmatch(r"[!-~]+", raw)
    try:
        address = urlsplit(raw if plain else "")
        host, _port = address.hostname, address.port
    except ValueError:
        raise wrong(raw, wanted) from None
    if address.scheme not in ("http", "https") or not host or "#" in raw:
        raise wrong(raw, wanted)
    if "@" in address.netloc:
        raise wrong(raw, _("an address without a user and a password is needed"))
    return address


def secret_file(raw: Any) -> str:
    """Where a secret file is; it is not looked at here."""
    if not isinstance(raw, str) or not secret_places.is_place(raw):
        raise wrong(raw, secret_places.wanted())
    return raw


def arguments(raw: Any) -> tuple[str, ...]:
    """A program, by its whole path, and what it is given."""
    are_texts = isinstance(raw, list) and all(isinstance(each, str) for each in raw)
    if not are_texts or not 1 <= len(raw) <= MAX_ARGUMENTS or any("\0" in each for each in raw):
        raise wrong(raw, _("a list such as {example} is needed").format(example=COMMAND_EXAMPLE))
    if not PurePosixPath(raw[0]).is_absolute():
        raise wrong(raw[0], _("the whole path of the program is needed, such as /usr/bin/logger"))
    return tuple(raw)
