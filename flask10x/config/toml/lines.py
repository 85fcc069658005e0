"""On which line of a TOML file a table or a key stands, which `tomllib` does not say."""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterator

# Names of tables and keys, and numbers of the entries of an array, from the outside in.
Path = tuple[str | int, ...]

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_NAME = re.compile(r"""[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*'""")
# Three quotes first: two of them are an empty string otherwise.
_STRING = re.compile(
    r'''"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*\'''', re.DOTALL
)
# A number, a time, true or false.
_PLAIN = re.compile(r"[^,\]}#\n]+")


def lines_of(text: str) -> dict[Path, int]:
    """Each table and key of this text, which `tomllib` has read without an error, with its line.

    A table that is only implied by the name of another has that one's line.
    """
    newlines = [at for at, character in enumerate(text) if character == "\n"]
    places = _Places(text)
    places.read()
    found = places.implied | places.written
    return {path: bisect_right(newlines, at - 1) + 1 for path, at in found.items()}


class _Places:
    """A walk through the text that notes where each name begins."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        # How many entries each array of tables has so far.
        self._entries: dict[Path, int] = {}
        self.written: dict[Path, int] = {}
        self.implied: dict[Path, int] = {}

    def read(self) -> None:
        table: Path = ()
        while self._skip():
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        begin = self._at
        is_entry = self._text.startswith("[[", begin)
        self._at += 2 if is_entry else 1
        path: Path = ()
        for name in self._names():
            path = self._latest((*path, name))
        if is_entry:
            # The names have led into the entry before this one, if there is one.
            array = path[:-1] if isinstance(path[-1], int) else path
            self._entries[array] = self._entries.get(array, 0) + 1
            path = self._latest(array)
        self._note(path, begin)
        self._at += 2 if is_entry else 1
        return path

    def _latest(self, path: Path) -> Path:
        """Of an array of tables its last entry, which what follows belongs to."""
        entries = self._entries.get(path)
        return path if entries is None else (*path, entries - 1)

    def _pair(self, table: Path) -> None:
        begin = self._at
        path = (*table, *self._names())
        self._note(path, begin)
        self._at += 1  # The equals sign.
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip()
        first = self._text[self._at]
        if first == "[":
            for number in self._parts("]"):
                self._note((*path, number), self._at)
                self._value((*path, number))
        elif first == "{":
            for _ in self._parts("}"):
                self._pair(path)
        else:
            self._match(_STRING if first in "\"'" else _PLAIN)

    def _parts(self, end: str) -> Iterator[int]:
        """The number of each part of an array or an inline table; the caller reads the part."""
        self._at += 1
        number = 0
        while self._skip() and self._text[self._at] != end:
            yield number
            number += 1
            self._skip()
            self._at += self._text[self._at] == ","
        self._at += 1

    def _names(self) -> list[str]:
        """A dotted name, up to what follows it."""
        names = []
        while True:
            self._skip()
            written = self._match(_NAME)
            names.append(next(iter(tomllib.loads(f"{written} = 0"))))
            self._skip()
            if self._text[self._at] != ".":
                return names
            self._at += 1

    def _note(self, path: Path, at: int) -> None:
        self.written[path] = at
        for length in range(1, len(path)):
            self.implied.setdefault(path[:length], at)

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise ValueError(f"no TOML at {self._at}")
        self._at = found.end()
        return found[0]

    def _skip(self) -> bool:
        """Over blanks and comments; whether anything is left."""
        self._match(_SPACE)
        return self._at < len(self._text)
