"""The TOML files that people write: tables, the lines of their keys, and the mistakes in them.

`tomllib` does not report the line of a table or a key, so `lines_of` finds it.
"""

import re
import stat
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from flask10x.config.readers import WrongEntry, nearly, short, table
from flask10x.errors import MistakesInFile, SettingsError
from flask10x.translation import N_, chosen
from flask10x.translation import message as _

# Names of tables and keys, and numbers of the entries of an array, from the outside in.
KeyPath = tuple[str | int, ...]

# What may end a list or a text. Of long ones only such lines are tried, or it would take minutes.
_MAY_END = re.compile(r"""\s*\]|.*\]\s*(?:#.*)?$|.*(?:\"{3}|'{3})""")
LONG_LINES = 200


def lines_of(text: str) -> dict[KeyPath, int]:
    """Each table and key of this text, which `tomllib` has read without an error, with its line.

    A table that is only implied by the name of another has that one's line.
    """
    written: dict[KeyPath, int] = {}
    implied: dict[KeyPath, int] = {}
    # How many entries each array of tables has so far.
    entries: dict[KeyPath, int] = {}
    table: KeyPath = ()
    # A header, or a key and its value, which are read by themselves; and whether some entries of
    # its list are known already.
    statement, begin, is_in_list = "", 1, False
    for number, line in enumerate(text.split("\n"), 1):
        statement += f"{line}\n"
        if number - begin > LONG_LINES and not _MAY_END.match(line):
            continue
        value = _loaded(statement)
        is_whole = value is not None
        if value is None and (value := _loaded(f"{statement}]")) is None:
            continue
        if is_whole and statement.lstrip().startswith("["):
            table = _table_of(value, entries)
            written[table] = begin
            for length in range(1, len(table)):
                implied.setdefault(table[:length], begin)
        else:
            for path in _paths(value):
                written.setdefault((*table, *path), number if is_in_list else begin)
        is_in_list = not is_whole
        if is_whole:
            statement, begin = "", number + 1
    return implied | written


def _loaded(text: str) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _table_of(header: Any, entries: dict[KeyPath, int]) -> KeyPath:
    """The table of a header that was read by itself, after counting it among `entries`."""
    path: KeyPath = ()
    while header:
        ((name, header),) = header.items()
        path = (*path, name)
        if isinstance(header, list):
            entries[path] = entries.get(path, 0) + 1
            header = {}
        if path in entries:
            path = (*path, entries[path] - 1)
    return path


def _paths(value: Any, above: KeyPath = ()) -> Iterator[KeyPath]:
    """The path of each part of a value, what is around it first."""
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    for name, part in parts:
        yield (path := (*above, name))
        if isinstance(part, dict | list):
            yield from _paths(part, path)


# Keys of a measurement that are lists of tables: an entry is a part of the key.
LISTS = frozenset({"faults", "bands"})


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake in a file."""

    path: KeyPath
    """The names from the outside in, the last one a key or a table."""
    reason: str
    is_table: bool = False
    """Whether it is about the table of this path, and not about a key in a table."""

    def line(self, lines: Mapping[KeyPath, int]) -> int:
        """Its line in the file; that of the nearest table around it for a missing key."""
        path = self.path
        while path and path not in lines:
            path = path[:-1]
        return lines.get(path, 1)

    @property
    def text(self) -> str:
        """`[stations.balcony] label: what is wrong`."""
        names = [shown(name) for name in self.path if isinstance(name, str)]
        is_part = not LISTS.isdisjoint(names[4:-1])
        inside = 0 if self.is_table else 2 if is_part else 1
        table, key = ".".join(names[: len(names) - inside]), ".".join(names[len(names) - inside :])
        return " ".join(filter(None, (table and f"[{table}]", key and f"{key}:", self.reason)))


def shown(name: str) -> str:
    """A part of the file, short, on one line and without control characters."""
    name = short(name)
    return name if name.isprintable() else repr(name)


def schema_path(name: str) -> Path:
    """The JSON Schema of a file, one of `schema.NAMES`, which `config/schema.py` makes."""
    return Path(__file__).with_name("schemas") / f"{name}.schema.json"


def schema_line(name: str) -> str:
    """The line that names the schema of a file for editors, with its end; a file begins with it."""
    return "#:schema " + schema_path(name).as_uri() + "\n"


# 200 stations with 16 measurements and all their keys are half of it.
MAX_FILE_BYTES = 1_000_000
# A key with a value that begins like none of TOML's.
_WITHOUT_QUOTES = re.compile(r"""[\w.-]+\s*=\s*(?!true|false|inf|nan)[^\s\d"'\[{+-]""")

# Python 3.14 has attributes for it.
_PLACE_IN_MESSAGE = re.compile(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", re.DOTALL)


# What may be in the place of a file, beside a folder, of which the system says so.
KINDS = {
    stat.S_IFIFO: N_("a pipe"),
    stat.S_IFSOCK: N_("a socket"),
    stat.S_IFCHR: N_("a device"),
    stat.S_IFBLK: N_("a device"),
}


def read_document(path: Path) -> bytes:
    """The bytes of the file; raises SettingsError, FileNotFoundError or NotADirectoryError.

    Only a regular file is opened: whoever opens a pipe waits for its writer, perhaps for ever.
    """
    try:
        if kind := KINDS.get(stat.S_IFMT(path.stat().st_mode)):
            text = _("{path} is {kind}, not a file: move it away, or put a file in its place")
            raise SettingsError(text.format(path=path, kind=chosen()(kind)))
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        text = _("cannot read {path}: {reason}")
        raise SettingsError(text.format(path=path, reason=error.strerror or error)) from error


def digest_of(data: bytes | None) -> str:
    """Return the SHA-256 of a file's bytes; of no bytes without a file."""
    return sha256(data or b"").hexdigest()


def edited(content: bytes, edit: Callable[[MutableMapping[str, Any]], None]) -> bytes:
    """Return a TOML file after a change of its tables, with all its comments and its order.

    `edit` changes a mapping. Raises SettingsError where the text would not read back as exactly
    that change; then it has to be made by hand. The file has to be TOML.
    """
    # Few processes ever change a file.
    import tomlkit  # noqa: PLC0415
    from tomlkit.exceptions import TOMLKitError  # noqa: PLC0415

    text = content.decode()
    plain = tomllib.loads(text)
    try:
        document = tomlkit.parse(text)
        edit(document)
        written = tomlkit.dumps(document)
    except TOMLKitError as error:
        raise SettingsError(str(error)) from error
    edit(plain)
    # What tomlkit writes may not be TOML: a new table beside dotted keys of the same one.
    with suppress(tomllib.TOMLDecodeError):
        if tomllib.loads(written) == plain:
            return written.encode()
    raise SettingsError(_("this change has to be made in the file by hand"))


def inner(document: MutableMapping[str, Any], *names: str) -> MutableMapping[str, Any]:
    """Return the table of these names, which is made where there is none."""
    table = document
    for name in names:
        if name not in table:
            table[name] = {}
        table = table[name]
    return table


def put(table: MutableMapping[str, Any], values: Mapping[str, Any]) -> None:
    """Give the keys of a table these values; None takes a key out, and others stay."""
    for name, value in values.items():
        if value is None:
            table.pop(name, None)
        elif table.get(name) != value:
            table[name] = value


class Document:
    """The text of a file, and its tables."""

    def __init__(self, content: bytes, path: Path, refusal: type[MistakesInFile]) -> None:
        """Raises a `refusal` when the bytes are no TOML."""
        self._path = path
        self._refusal = refusal
        if len(content) > MAX_FILE_BYTES:
            raise self._unreadable(1, _("it has more than {n} bytes").format(n=MAX_FILE_BYTES))
        try:
            self._text = content.decode()
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
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
            texts = [(mistake.line(lines), mistake.text) for mistake in mistakes]
            raise self._refusal(self._path, sorted(texts, key=lambda pair: pair[0]))

    def _unreadable(self, line: int, text: str) -> MistakesInFile:
        return self._refusal(self._path, [(line, text)])


def _no_toml(text: str, message: str) -> tuple[int, str]:
    """The number of the line that is no TOML, and what is wrong with it."""
    match, number = _PLACE_IN_MESSAGE.fullmatch(message), 1
    if match is not None:
        number, message = int(match[2] or text.count("\n") + 1), match[1]
    lines = [line.strip() for line in text.split("\n")]
    line = lines[number - 1]
    if line.startswith("[") and line in lines[: number - 1]:
        reason = _("{table} is on line {number} already: write the keys there")
        return number, reason.format(table=shown(line), number=lines.index(line) + 1)
    if _WITHOUT_QUOTES.match(line):
        reason = _('{line}: a text needs straight quotes around it, as "hPa" has')
        return number, reason.format(line=shown(line))
    return number, f"{message}: {shown(line)}" if line else message


def nearly_right(name: str, pattern: re.Pattern[str], needed: str) -> str:
    """What a name has to be, with this name as it would be right."""
    right = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return nearly(needed, right, [right]) if pattern.fullmatch(right) else needed


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table."""

    name: str
    """As it is written in the file."""
    read: Callable[[Any], Any]
    """What `tomllib` gives -> the field's value; raises WrongEntry with the reason."""
    field: str = ""
    """The field of the class that the table becomes; empty: called like the key."""
    default: Callable[[str], Any] | None = None
    """The name of the table -> the value without the key; None: the field's own default."""
    needed: bool = False
    """Whether the table must have it."""
    missing: str = N_("is missing")
    """The message when a table without it must have it."""
    fixed: bool = False
    """Whether the built-in stations keep their value: senders and readers rely on it."""
    words: str = ""
    """What it is called in a form (`config/form.py`); empty: no form has it."""
    example: str = ""
    """What the field of a form shows while it is empty."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "field", self.field or self.name)


class Tables:
    """Reads tables and gathers what is wrong with them in `mistakes`."""

    def __init__(self) -> None:
        self.mistakes: list[Mistake] = []

    def wrong(self, path: KeyPath, reason: str, is_table: bool = False) -> None:
        """Note a mistake; `Mistake` describes `is_table`."""
        self.mistakes.append(Mistake(path, reason, is_table))

    def unknown(self, path: KeyPath, names: Iterable[str]) -> None:
        """Note that there is no key of this name, and which of the names is near."""
        self.wrong(path, nearly(_("unknown key"), str(path[-1]), names))

    def read(self, path: KeyPath, read: Callable[[Any], Any], raw: Any) -> Any:
        """What a reader returns; None after a WrongEntry, which is noted."""
        try:
            return read(raw)
        except WrongEntry as error:
            self.wrong(path, str(error))
            return None

    def table(self, path: KeyPath, raw: Any) -> dict[str, Any]:
        """A table; an empty one for anything else, which is noted."""
        rows: dict[str, Any] | None = self.read(path, table, raw)
        return {} if rows is None else rows

    def fields(
        self,
        path: KeyPath,
        raw: Any,
        keys: Iterable[Key],
        *,
        others: Collection[str] = (),
        built_in: object | None = None,
    ) -> dict[str, Any] | None:
        """The fields that the keys of a table give, or None after a mistake, which is noted.

        With `built_in` the table changes that object and must keep the values of its fixed keys.
        Without it the table makes something new and has the defaults, too. Keys in `others` are
        read elsewhere.
        """
        before = len(self.mistakes)
        rows = self.table(path, raw)
        if len(self.mistakes) > before:
            return None
        by_name = {key.name: key for key in keys}
        values: dict[str, Any] = {}
        for name, value in rows.items():
            if key := by_name.get(name):
                values[key.field] = self._field((*path, name), key, value, built_in)
            elif name not in others:
                self.unknown((*path, name), [*by_name, *others])
        for key in () if built_in else by_name.values():
            if key.name in rows:
                continue
            if key.needed:
                self.wrong((*path, key.name), chosen()(key.missing))
            elif key.default:
                values[key.field] = key.default(str(path[-1]))
        return None if len(self.mistakes) > before else values

    def _field(self, path: KeyPath, key: Key, raw: Any, built_in: object | None) -> Any:
        """The value of a key; a wrong one and a change of a fixed one are noted."""
        before = len(self.mistakes)
        value = self.read(path, key.read, raw)
        if key.fixed and built_in and len(self.mistakes) == before:
            fixed = getattr(built_in, key.field)
            if value != fixed:
                text = _("must stay {value} at a built-in station")
                self.wrong(path, text.format(value=repr(fixed)))
        return value
