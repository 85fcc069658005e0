"""Where a secret file is, as settings and `alerts.toml` name it."""

import re
from gettext import gettext as _
from typing import Any

from flask10x.errors import wrong_setting

CREDENTIAL = "credential:"
"""What stands before the name of a credential of systemd."""
_PLACE = re.compile(rf"/\S*[^\s/]|{CREDENTIAL}[A-Za-z0-9_-][A-Za-z0-9_.-]*")


def is_place(named: str) -> bool:
    """Whether it is an absolute path, or `credential:` and a name.

    Others than the service read the settings too, so the file is not looked at.
    """
    return bool(_PLACE.fullmatch(named))


def wanted() -> str:
    """What a place has to be."""
    return _("/absolute/path is needed, or credential: and a name")


def read(place: str, raw: Any) -> str:
    """The value of a setting that names a secret file; raises SettingsError."""
    if not isinstance(raw, str) or not is_place(raw):
        raise wrong_setting(place, raw, wanted())
    return raw
