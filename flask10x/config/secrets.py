"""Secrets: files that others may not read, and the tokens for writing and reading in them.

A file is named by an absolute path or as a credential of systemd (docs/en/explanation/security.md).
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

from flask10x.config.readers import CREDENTIAL
from flask10x.config.settings import PREFIX, Settings, process_user
from flask10x.errors import SettingsError

# A household has a handful of tokens; a file beyond this holds no secrets.
SECRET_MAX_BYTES = 100_000
OTHERS = stat.S_IROTH | stat.S_IWOTH


def read_secret(place: str, named: str) -> bytes:
    """The content of the file that a setting names; `place` is how messages name the setting.

    Raises SettingsError when this user can't read it, and when others can.
    """
    path = Path(named)
    if named.startswith(CREDENTIAL):
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            text = _("{place}: systemd gave no credentials; LoadCredential= belongs into the unit")
            raise SettingsError(text.format(place=place))
        path = Path(folder) / named.removeprefix(CREDENTIAL)
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(SECRET_MAX_BYTES + 1)
    except OSError as error:
        reason = _("{place}: user {user} cannot read it: {reason}")
        reason = reason.format(place=place, user=process_user(), reason=error)
        raise SettingsError(reason) from None
    if mode & OTHERS:
        reason = _("{place}: everybody may read or write it: chmod o= {path}")
        raise SettingsError(reason.format(place=place, path=path))
    if len(content) > SECRET_MAX_BYTES:
        reason = _("{place}: it has more than {n} bytes")
        raise SettingsError(reason.format(place=place, n=SECRET_MAX_BYTES))
    return content


# Tokens for writing and for reading (docs/en/explanation/security.md).
#
# A file has one a line: `<station> <token>`, or `* <token>` for all stations. Empty lines and lines
# that begin with # are ignored. Only hashes of the tokens stay in memory, and no message shows a
# token or a part of one.

ALL = "*"
# What an Authorization header takes without quoting (RFC 6750, section 2.1). Sixteen characters are
# the least that can't be guessed; a token of `openssl rand -hex 32` has 64.
TOKEN = re.compile(rb"(?=.{16,200}$)[A-Za-z0-9._~+/-]+=*")


def _token_needed() -> str:
    return _(
        "a token is 16 to 200 letters, digits or any of -._~+/ (openssl rand -hex 32 makes one)"
    )


class Tokens:
    """The tokens that allow one thing: posting, or reading."""

    def __init__(self, tokens: list[tuple[str, bytes]]) -> None:
        """Each is a station's endpoint, or `*`, and the token."""
        self._hashes = tuple((station, sha256(token).digest()) for station, token in tokens)

    def knows(self, token: str) -> bool:
        """Whether this token is one of them, for any station."""
        return bool(self._stations_of(token))

    def open_for(self, token: str, station: str = ALL) -> bool:
        """Whether this token is one of that station, or one for all stations.

        It takes the same time for any token, because it compares it with all hashes.
        """
        return not self._stations_of(token).isdisjoint((ALL, station))

    def _stations_of(self, token: str) -> set[str]:
        digest = sha256(token.encode("utf-8", "backslashreplace")).digest()
        return {who for who, stored in self._hashes if hmac.compare_digest(stored, digest)}


@dataclass(frozen=True, slots=True)
class Keyring:
    """The tokens for posting and for reading; None where no token is needed."""

    write: Tokens | None
    read: Tokens | None
    notes: Tokens | None = None
    """Those for notes and corrections, which allow reading, too; None: those for reading do."""


def load_tokens(settings: Settings) -> Keyring:
    """Read the files that the settings name; raises SettingsError with the place, never a token."""
    stations = {ALL, *settings.stations.by_endpoint}
    return Keyring(
        write=_tokens_of("WRITE_TOKENS_FILE", settings.write_tokens_file, stations),
        read=_tokens_of("READ_TOKENS_FILE", settings.read_tokens_file, {ALL}),
        notes=_tokens_of("NOTES_TOKENS_FILE", settings.notes_tokens_file, {ALL}),
    )


def own_token(settings: Settings) -> str:
    """A token that allows posting for every station; empty if none is needed.

    Raises SettingsError as `load_tokens` does, and when no token is for every station.
    """
    named = settings.write_tokens_file
    stations = {ALL, *settings.stations.by_endpoint}
    lines = _lines("WRITE_TOKENS_FILE", named, stations)
    token = next((token.decode() for station, token in lines if station == ALL), "")
    if named and not token:
        text = _("{setting} is {value}: a line of * and a token is needed")
        raise SettingsError(text.format(setting=f"{PREFIX}WRITE_TOKENS_FILE", value=named))
    return token


def _tokens_of(setting: str, named: str, stations: set[str]) -> Tokens | None:
    return Tokens(_lines(setting, named, stations)) if named else None


def _lines(setting: str, named: str, stations: set[str]) -> list[tuple[str, bytes]]:
    if not named:
        return []
    place = _("{setting} is {value}").format(setting=f"{PREFIX}{setting}", value=named)
    text = read_secret(place, named)
    tokens = []
    # Some editors put an invisible BOM at the beginning.
    for number, line in enumerate(text.removeprefix(codecs.BOM_UTF8).splitlines(), 1):
        words = line.split()
        if words and not words[0].startswith(b"#"):
            line_of = _("{place}: line {number}").format(place=place, number=number)
            tokens.append(_token(line_of, words, stations))
    if not tokens:
        reason = _("{place}: there is no token in it; {wanted}")
        raise SettingsError(reason.format(place=place, wanted=_token_needed()))
    return tokens


def _token(place: str, words: list[bytes], stations: set[str]) -> tuple[str, bytes]:
    """One line; no message repeats a word of it, because any word may be the token."""
    choices = ", ".join(sorted(stations))
    if len(words) != 2:  # noqa: PLR2004
        text = _("{place}: two words are needed: one of {words}, and the token")
        raise SettingsError(text.format(place=place, words=choices))
    station, token = words[0].decode("ascii", "replace"), words[1]
    if station not in stations:
        text = _("{place}: the first word is none of {words}")
        raise SettingsError(text.format(place=place, words=choices))
    if not TOKEN.fullmatch(token):
        raise SettingsError(f"{place}: {_token_needed()}")
    return station, token
