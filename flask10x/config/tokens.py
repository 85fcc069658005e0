"""Tokens: who may write, who may read (docs/en/explanation/security.md).

They stand in a file that others can't read, or in a credential of systemd, one a line:
`<station> <token>`, or `* <token>` for all stations. Empty lines and lines that begin with # count
for nothing. Memory holds only their hashes, and no message shows a token or a part of one.
"""

import codecs
import hmac
import os
import re
import stat
from dataclasses import dataclass
from gettext import gettext as _
from hashlib import sha256
from pathlib import Path

from flask10x.config.settings import CREDENTIAL, PREFIX, Settings, process_user
from flask10x.errors import SettingsError

ALL = "*"
# What an Authorization header takes without quoting (RFC 6750, section 2.1). Sixteen characters are
# the least that nobody tries through; what the documents make (`openssl rand -hex 32`) has 64.
TOKEN = re.compile(rb"(?=.{16,200}$)[A-Za-z0-9._~+/-]+=*")
# A household has a handful; a file beyond this is not a file of tokens.
MAX_FILE_BYTES = 100_000
OTHERS = stat.S_IROTH | stat.S_IWOTH


def _wanted() -> str:
    return _(
        "a token is 16 to 200 letters, digits or any of -._~+/ (openssl rand -hex 32 makes one)"
    )


class Tokens:
    """The tokens that allow one thing: posting, or reading."""

    def __init__(self, tokens: list[tuple[str, bytes]]) -> None:
        """Each is a station's endpoint, or `*`, and the token."""
        self._hashes = tuple((station, sha256(token).digest()) for station, token in tokens)

    def knows(self, token: str) -> bool:
        """Whether this token is one of them, for whichever station."""
        return any(self.open_for(token, station) for station, _ in self._hashes)

    def open_for(self, token: str, station: str = ALL) -> bool:
        """Whether this token is one of those for that station, or of those for all.

        Takes as long whichever it is like: hashes of one length, and always all of them.
        """
        given = sha256(token.encode("utf-8", "backslashreplace")).digest()
        found = False
        for who, known in self._hashes:
            found |= hmac.compare_digest(known, given) and who in (ALL, station)
        return found


@dataclass(frozen=True, slots=True)
class Keyring:
    """The tokens for posting and for reading; None for what everybody may."""

    write: Tokens | None
    read: Tokens | None


def load(settings: Settings) -> Keyring:
    """Read the files that the settings name; raises SettingsError with the place, never a token."""
    stations = {ALL, *settings.stations.by_endpoint}
    return Keyring(
        write=_read("WRITE_TOKENS_FILE", settings.write_tokens_file, stations),
        read=_read("READ_TOKENS_FILE", settings.read_tokens_file, {ALL}),
    )


def _read(setting: str, named: str, stations: set[str]) -> Tokens | None:
    if not named:
        return None
    place = _("{setting} is {value}").format(setting=f"{PREFIX}{setting}", value=named)
    text = _text(place, _path(place, named))
    found = []
    # Some editors put a BOM at the beginning, which nobody sees.
    for number, line in enumerate(text.removeprefix(codecs.BOM_UTF8).splitlines(), 1):
        words = line.split()
        if words and not words[0].startswith(b"#"):
            line_of = _("{place}: line {number}").format(place=place, number=number)
            found.append(_token(line_of, words, stations))
    if not found:
        reason = _("{place}: there is no token in it; {wanted}")
        raise SettingsError(reason.format(place=place, wanted=_wanted()))
    return Tokens(found)


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


def _token(place: str, words: list[bytes], stations: set[str]) -> tuple[str, bytes]:
    """One line; no message repeats a word of it, for it may be the token in the wrong place."""
    known = ", ".join(sorted(stations))
    if len(words) != 2:  # noqa: PLR2004
        text = _("{place}: two words are needed: one of {words}, and the token")
        raise SettingsError(text.format(place=place, words=known))
    station, token = words[0].decode("ascii", "replace"), words[1]
    if station not in stations:
        text = _("{place}: the first word is none of {words}")
        raise SettingsError(text.format(place=place, words=known))
    if not TOKEN.fullmatch(token):
        raise SettingsError(f"{place}: {_wanted()}")
    return station, token
