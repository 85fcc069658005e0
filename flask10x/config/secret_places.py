"""Where a secret file is, as settings and `alerts.toml` name it."""

import re
from gettext import gettext as _

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
