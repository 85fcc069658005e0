"""The environment file of the service, which every command reads.

systemd reads it for the units. A command without it would write times of another zone into the CSV
files, and check readings by other rules than the service (docs/decisions/0026).
"""

import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path

from flask10x.errors import SettingsError

PREFIX = "FLASK10X_"
VARIABLE = PREFIX + "ENV_FILE"
DATA_DIR = PREFIX + "DATA_DIR"
# The zone of this process for all libraries: not a setting of ours, but CSV files depend on it.
TZ = "TZ"
# The paths in the manual and in the units.
PROGRAM = Path("/opt/flask10x")
SERVICE_FILE = Path("/etc/flask10x/flask10x.env")
SERVICE_DATA_DIR = Path("/var/lib/flask10x")
# The units of the system, where `flask10x service install` writes them.
SYSTEM_UNITS = Path("/etc/systemd/system")
UNIT = "flask10x.service"
# What it writes of a unit says which program it starts, with which file and data.
_OF_UNIT = re.compile(
    rf'^ExecStart="?(?P<program>[^"\n]+?)"? serve$|^EnvironmentFile=-(?P<file>.+)$'
    rf'|^Environment="?{PREFIX}DATA_DIR=(?P<data>[^"\n]+?)"?(?: LANGUAGE=en)?$',
    re.MULTILINE,
)

# The grammar of systemd.exec(5), EnvironmentFile=. Quotes count at the beginning of a value only;
# elsewhere a backslash keeps the character behind it, and joins a line with the next one.
QUOTED = r"""(?:'[^']*'|"(?:\\.|[^"\\])*")[ \t]*+"""
PLAIN = r"""(?!['"])(?:\\(?:.|\Z)|[^\\\r\n])*?(?=[ \t]*(?:[\r\n]|\Z))"""
PIECE = re.compile(
    r"[ \t\r\n]++"
    r"|[#;](?P<comment>[^\r\n]*+)"
    rf"|(?P<name>[^\r\n][^=\r\n]*+)=[ \t]*+(?P<quoted>(?:{QUOTED})*+)(?P<plain>{PLAIN})"
    r"|(?P<no_value>[^\r\n][^=\r\n]*+)(?=[\r\n]|\Z)",
    re.DOTALL,
)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# The file that this process has read, and the place of each variable in it, for messages.
_files: list[Path] = []
_places: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Assignment:
    """`name=value`, and the line where it begins."""

    name: str
    value: str
    line: int


@dataclass(frozen=True, slots=True)
class Service:
    """The service that a unit starts: its program, its environment file, its data folder."""

    program: Path
    file: Path
    data_dir: Path


def user_units(environ: Mapping[str, str]) -> Path:
    """The folder with the units of the user of this process (man 5 systemd.unit)."""
    config = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or "/", ".config")
    return Path(config, "systemd", "user")


def service_of(units: Path) -> Service | None:
    """The service whose unit is in this folder; None without one that says all three."""
    try:
        text = (units / UNIT).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    said: dict[str, str] = {}
    for match in _OF_UNIT.finditer(text):
        said |= {key: value for key, value in match.groupdict().items() if value}
    if said.keys() < {"program", "file", "data"}:
        return None
    # A percent sign is written twice in a unit.
    paths = {key: Path(value.replace("%%", "%")) for key, value in said.items()}
    return Service(paths["program"], paths["file"], paths["data"])


def take_over(environ: MutableMapping[str, str]) -> None:
    """Add to the environment what it lacks and the service's file has: our settings, and TZ.

    The file is that of FLASK10X_ENV_FILE, which may be empty for none; without it the service's
    own, for a program in PROGRAM, one that a unit starts, or a data folder that is the service's.
    It is read once: processes that this one starts inherit its variables, so that a new worker
    never reads a file that is being changed. Raises SettingsError when it can't be read, or has a
    line that systemd ignores.
    """
    path, data_dir = _file_for(environ)
    text = None if path is None else _text(path, needed=VARIABLE in environ)
    if path is not None and text is not None:
        _add(environ, path, text)
    # The units set it. Their file may be missing, but not this folder once the service has run.
    if data_dir is not None and (text is not None or data_dir.is_dir()):
        environ.setdefault(DATA_DIR, str(data_dir))
    environ[VARIABLE] = ""


def loaded_file() -> Path | None:
    """The file that this process has read; None without one."""
    return _files[-1] if _files else None


def place_of(name: str) -> str:
    """The place at which a variable of the environment was set, as messages name it."""
    return _places.get(name, name)


def assignments(text: str) -> Iterator[Assignment]:
    """The assignments that systemd reads. Raises SettingsError for a line of ours that it ignores.

    It is also an error if a quote is never closed, because it takes in the rest of the file, or if
    a comment ends with a backslash, because it took in the next line before systemd 254.
    """
    end = 0
    while end < len(text):
        line = text.count("\n", 0, end) + 1
        piece = PIECE.match(text, end)
        if piece is None:
            raise _wrong_line(line, _("a quote is opened and never closed"))
        end = piece.end()
        comment, name = piece["comment"] or "", (piece["name"] or "").rstrip()
        if (len(comment) - len(comment.rstrip("\\"))) % 2:
            raise _wrong_line(line, _("a comment must not end with a backslash"))
        if NAME.fullmatch(name):
            yield Assignment(name, _value(piece["quoted"], piece["plain"]), line)
        elif PREFIX in (line_start := name or piece["no_value"] or ""):
            needed = _("systemd ignores this line; NAME=value is needed, without export")
            raise _wrong_line(line, f"{line_start!r}: {needed}")


def _wrong_line(number: int, reason: str) -> SettingsError:
    return SettingsError(_("line {number}: {reason}").format(number=number, reason=reason))


def _file_for(environ: Mapping[str, str]) -> tuple[Path | None, Path | None]:
    """The environment file to be read, and the data folder that belongs to it."""
    named = environ.get(VARIABLE)
    if named is not None:
        # The service's own by its name, whichever unit has it.
        path = Path(named) if named else None
        return path, SERVICE_DATA_DIR if path == SERVICE_FILE else None
    # systemd has read the file as root; the user of the unit may not.
    if environ.get("SYSTEMD_EXEC_PID") == str(os.getpid()) and DATA_DIR in environ:
        return None, None
    installed = PROGRAM.resolve() in Path(__file__).resolve().parents
    if installed or environ.get(DATA_DIR) == str(SERVICE_DATA_DIR):
        return SERVICE_FILE, SERVICE_DATA_DIR
    for units in (SYSTEM_UNITS, user_units(environ)):
        service = service_of(units)
        if service is not None and service.program == Path(sys.prefix, "bin", "flask10x"):
            return service.file, service.data_dir
    return None, None


def _text(path: Path, *, needed: bool) -> str | None:
    """The text of the file; None without a file, unless it is `needed`."""
    try:
        # Bytes, because systemd ends a line at a CR alone; no environment can have a NUL.
        text = path.read_bytes().decode()
    except FileNotFoundError:
        if needed:
            text = _("{name}: there is no file {path}").format(name=VARIABLE, path=path)
            raise SettingsError(text) from None
        return None
    except PermissionError as error:
        text = _(
            "cannot read {path}, which has the settings of the service: {reason}. Run it as the"
            " user of the service: sudo -u flask10x …, who needs the right to read it: sudo chown"
            " root:flask10x {path}; sudo chmod 640 {path}"
        )
        raise SettingsError(text.format(path=path, reason=error.strerror)) from error
    except (OSError, UnicodeDecodeError) as error:
        text = _("cannot read {path}: {reason}").format(path=path, reason=error)
        raise SettingsError(text) from error
    if "\0" in text:
        reason = _("there is a NUL character in it")
        raise SettingsError(_("cannot read {path}: {reason}").format(path=path, reason=reason))
    return text


def _add(environ: MutableMapping[str, str], path: Path, text: str) -> None:
    try:
        by_name = {assignment.name: assignment for assignment in assignments(text)}
    except SettingsError as error:
        raise SettingsError(f"{path}, {error}") from None
    if VARIABLE in by_name:
        text = _("{path}, line {number}: {name} is not for this file")
        number = by_name[VARIABLE].line
        raise SettingsError(text.format(path=path, number=number, name=VARIABLE))
    for name, assignment in by_name.items():
        if (name.startswith(PREFIX) or name == TZ) and name not in environ:
            environ[name] = assignment.value
            text = _("{path}, line {number}: {name}")
            _places[name] = text.format(path=path, number=assignment.line, name=name)
    if TZ in _places:
        time.tzset()
    _files.append(path)


def _value(quoted: str, plain: str) -> str:
    parts = [_unquoted(part.rstrip(" \t")) for part in re.findall(QUOTED, quoted, re.DOTALL)]
    return "".join(parts) + re.sub(r"\\(?:[\r\n]|\Z)|\\(.)", r"\1", plain, flags=re.DOTALL)


def _unquoted(part: str) -> str:
    inside = part[1:-1]
    return inside if part[0] == "'" else re.sub(r'\\(?:\n|(["\\`$]))', r"\1", inside)
