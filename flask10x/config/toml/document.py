"""A TOML file that people write: read, taken apart, and refused with the line of each mistake."""

import re
import tomllib
from collections.abc import Iterable
from gettext import gettext as _
from pathlib import Path
from typing import Any

from flask10x.config.toml.lines import lines_of
from flask10x.config.toml.mistakes import Mistake, shown
from flask10x.errors import MistakesInFile, SettingsError, wrong_setting

# 200 stations with 16 measurements and all their keys are half of it.
MAX_FILE_BYTES = 1_000_000
# A key with a value that begins like none of TOML's.
_WITHOUT_QUOTES = re.compile(r"""[\w.-]+\s*=\s*(?!true|false|inf|nan)[^\s\d"'\[{+-]""")


def path_of(place: str, raw: Any) -> Path:
    """The file that a setting names; raises SettingsError when it names none."""
    if not isinstance(raw, str) or not raw:
        raise wrong_setting(place, raw, _("a file is needed"))
    return Path(raw).expanduser().absolute()


def read(path: Path) -> bytes:
    """What is in the file; raises SettingsError, and FileNotFoundError or NotADirectoryError."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        text = _("cannot read {path}: {reason}")
        raise SettingsError(text.format(path=path, reason=error.strerror or error)) from error


class Document:
    """A file's text and what `tomllib` makes of it."""

    def __init__(self, written: bytes, path: Path, refusal: type[MistakesInFile]) -> None:
        """Raises a `refusal` when the bytes are no TOML."""
        self._path = path
        self._refusal = refusal
        if len(written) > MAX_FILE_BYTES:
            raise self._unreadable(1, _("it has more than {n} bytes").format(n=MAX_FILE_BYTES))
        try:
            self._text = written.decode()
        except UnicodeDecodeError as error:
            line = written.count(b"\n", 0, error.start) + 1
            raise self._unreadable(line, _("the text is not UTF-8")) from error
        try:
            self.data = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            raise self._unreadable(*_no_toml(self._text, str(error))) from error
        except RecursionError as error:
            raise self._unreadable(1, _("it is nested too deeply")) from error

    def check(self, mistakes: Iterable[Mistake]) -> None:
        """Raises a refusal with all of these, from the top of the file down, if there is any."""
        if mistakes := [*mistakes]:
            lines = lines_of(self._text)
            found = [(mistake.line(lines), mistake.text) for mistake in mistakes]
            raise self._refusal(self._path, sorted(found, key=lambda pair: pair[0]))

    def _unreadable(self, line: int, text: str) -> MistakesInFile:
        return self._refusal(self._path, [(line, text)])


def _no_toml(text: str, said: str) -> tuple[int, str]:
    """The line that is no TOML, and what is wrong with it."""
    number, said = _place_in(text, said)
    lines = [line.strip() for line in text.split("\n")]
    line = lines[number - 1]
    if line.startswith("[") and line in lines[: number - 1]:
        reason = _("{table} is on line {number} already: write the keys there")
        return number, reason.format(table=shown(line), number=lines.index(line) + 1)
    if _WITHOUT_QUOTES.match(line):
        reason = _('{line}: a text needs straight quotes around it, as "hPa" has')
        return number, reason.format(line=shown(line))
    return number, f"{said}: {shown(line)}" if line else said


def _place_in(text: str, said: str) -> tuple[int, str]:
    """The line that `tomllib` names, and what it says without it."""
    # Python 3.14 has attributes for it.
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", said, re.DOTALL)
    if found is None:
        return 1, said
    return int(found[2] or text.count("\n") + 1), found[1]
