"""Secret files: what others may not read, by a path or as a credential of systemd."""

import os
import stat
from gettext import gettext as _
from pathlib import Path

from flask10x.config.secret_places import CREDENTIAL
from flask10x.config.settings import process_user
from flask10x.errors import SettingsError

# A household has a handful of tokens; a file beyond this holds no secrets.
MAX_FILE_BYTES = 100_000
OTHERS = stat.S_IROTH | stat.S_IWOTH


def read(place: str, named: str) -> bytes:
    """What the file that a setting names has in it; `place` is how messages name the setting.

    Raises SettingsError when this user can't read it, and when everybody can.
    """
    return _text(place, _path(place, named))


def _path(place: str, named: str) -> Path:
    if not named.startswith(CREDENTIAL):
        return Path(named)
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        text = _("{place}: systemd gave no credentials; LoadCredential= belongs into the unit")
        raise SettingsError(text.format(place=place))
    return Path(folder) / named.removeprefix(CREDENTIAL)


def _text(place: str, path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        reason = _("{place}: user {user} cannot read it: {reason}")
        reason = reason.format(place=place, user=process_user(), reason=error)
        raise SettingsError(reason) from None
    if mode & OTHERS:
        reason = _("{place}: everybody may read or write it: chmod o= {path}")
        raise SettingsError(reason.format(place=place, path=path))
    if len(text) > MAX_FILE_BYTES:
        reason = _("{place}: it has more than {n} bytes")
        raise SettingsError(reason.format(place=place, n=MAX_FILE_BYTES))
    return text
