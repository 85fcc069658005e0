"""Settings: environment variables `FLASK10X_<NAME>` over a TOML file over the defaults.

The names are those of the contract, sections 4 and 5. The TOML file is named by
`FLASK10X_CONFIG`; its keys are the names in lower or upper case, without the prefix.
"""

import difflib
import os
import pwd
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from flask10x.config import setting_values as values
from flask10x.errors import SettingsError

PREFIX = "FLASK10X_"
CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Every setting with its final value; `docs/settings.md` says what each one does."""

    data_dir: Path
    database_url: str
    csv_dir: Path
    log_dir: Path
    backup_dir: Path
    bind: str
    workers: int = 2
    threads: int = 2
    ack: Literal["enqueued", "committed"] = "enqueued"
    ack_timeout_sec: float = 2.0
    partial_readings: frozenset[str] = frozenset()
    """The endpoints whose incomplete readings are accepted."""
    rejected_max_rows: int = 100_000
    rejected_max_bytes: int = 100_000_000
    timezone: str = ""
    write_tokens_file: str = ""
    read_tokens_file: str = ""
    """An absolute path, or `credential:` and a name; empty: that door is open."""
    allowed_hosts: tuple[str, ...] = ()
    """Names in lower case, a leading dot for all below it; empty: any name."""
    history_max: int = 1000
    query_timeout_sec: float = 2.0
    write_queue_maxsize: int = 5000
    queue_warn_threshold: int
    write_retries: int = 3
    write_backoff_base_sec: float = 0.05
    batch_max_rows: int = 500
    commit_interval_sec: float = 0.1
    synchronous: Literal["FULL", "NORMAL"] = "FULL"
    commit_lock: bool = True
    inactivity_warn_sec: int = 120
    log_level: str = "INFO"
    log_max_bytes: int = 1_000_000
    log_backup_count: int = 5

    @property
    def zone(self) -> tzinfo | None:
        """The zone of the CSV files and pages; None stands for the system's own."""
        return ZoneInfo(self.timezone) if self.timezone else None


def process_user() -> str:
    """The name of the user that this process runs as, for a message; its number if it has none."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process; raises SettingsError that names each thing that is wrong."""
    environ = os.environ if environ is None else environ
    given = _from_file(environ.get(PREFIX + "CONFIG")) | _from_environment(environ)
    unknown = [_unknown(name, place) for name, (place, _) in given.items() if name not in READERS]
    if unknown:
        raise SettingsError("; ".join(unknown))
    read = {name: READERS[name](place, raw) for name, (place, raw) in given.items()}
    return _complete(read, {name: place for name, (place, _) in given.items()})


# A setting's name in lower case -> where it stands, as messages name it, and what it is.
_Given = dict[str, tuple[str, Any]]


def _from_file(path: str | None) -> _Given:
    given: _Given = {}
    for key, value in _read(path).items() if path else ():
        if key.upper().startswith(PREFIX):
            raise SettingsError(f"{path}: {key}: names are written without {PREFIX} in this file")
        if key.lower() in given:
            raise SettingsError(f"{given[key.lower()][0]} is there twice, also as {key}")
        # The environment can't hold one, and no path may.
        if isinstance(value, str) and "\0" in value:
            raise SettingsError(f"{path}: {key} is {value!r}: there is a NUL character in it")
        given[key.lower()] = f"{path}: {key}", value
    return given


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{PREFIX}CONFIG: cannot read {path}: {error}") from error


def _from_environment(environ: Mapping[str, str]) -> _Given:
    return {
        name[len(PREFIX) :].lower(): (name, value)
        for name, value in environ.items()
        if name.startswith(PREFIX) and name != PREFIX + "CONFIG"
    }


def _unknown(name: str, place: str) -> str:
    """The message, with the right name as it would be written in that place."""
    near = difflib.get_close_matches(name, READERS, n=1)
    if place.startswith(PREFIX):
        hint = f" (did you mean {PREFIX}{near[0].upper()}?)" if near else ""
        return f"unknown setting {place}{hint}"
    path, _, key = place.rpartition(": ")
    return f"{path}: unknown setting {key}" + (f" (did you mean {near[0]}?)" if near else "")


def _complete(given: dict[str, Any], places: dict[str, str]) -> Settings:
    """Fill in the defaults that depend on other settings."""
    port = given.pop("port", None)
    data_dir = given.setdefault("data_dir", _default_data_dir())
    given.setdefault("database_url", f"sqlite:///{data_dir / 'flask10x.sqlite3'}")
    given.setdefault("csv_dir", data_dir / "csv")
    given.setdefault("log_dir", data_dir / "logs")
    given.setdefault("backup_dir", data_dir / "backups")
    given.setdefault("bind", f"0.0.0.0:{port or 8888}")
    if port is not None and not given["bind"].endswith(f":{port}"):
        raise SettingsError(
            f"{places['port']} is {port} but {places['bind']} is {given['bind']}:"
            " set only one of them"
        )
    maxsize = given.setdefault("write_queue_maxsize", 5000)
    threshold = given.setdefault("queue_warn_threshold", max(1, maxsize * 80 // 100))
    if threshold > maxsize:
        place = places["queue_warn_threshold"]
        raise SettingsError(
            f"{place} is {threshold}, above {PREFIX}WRITE_QUEUE_MAXSIZE"
            f" {maxsize}: it would never warn"
        )
    return Settings(**given)


def _default_data_dir() -> Path:
    """`instance/` in the checkout, or in the current folder when there is no checkout."""
    inside = (CHECKOUT / "pyproject.toml").is_file()
    return (CHECKOUT if inside else Path.cwd()) / "instance"


# Each takes the place that messages name, and what stands there.
READERS: dict[str, Callable[[str, Any], Any]] = {
    "port": values.whole(1, values.HIGHEST_PORT),
    "data_dir": values.folder,
    "database_url": values.database_url,
    "csv_dir": values.folder,
    "log_dir": values.folder,
    "backup_dir": values.folder,
    "bind": values.bind,
    "workers": values.whole(1, 16),
    "threads": values.whole(1, 64),
    "ack": values.choice("enqueued", "committed"),
    # A stopping worker waits REQUEST_CEILING_SEC (10) for its requests; all are answered by then.
    "ack_timeout_sec": values.seconds(0.1, 8),
    "partial_readings": values.partial,
    # Never 0: "a refused reading is kept" is a promise (contract, 6.6).
    "rejected_max_rows": values.whole(10, 10_000_000),
    "rejected_max_bytes": values.whole(1_000_000, 100_000_000_000),
    "timezone": values.zone_name,
    "write_tokens_file": values.secret_file,
    "read_tokens_file": values.secret_file,
    "allowed_hosts": values.host_names,
    "history_max": values.whole(1, 10_000),
    "query_timeout_sec": values.seconds(0.1, 60),
    "write_queue_maxsize": values.whole(1, 1_000_000),
    "queue_warn_threshold": values.whole(1, 1_000_000),
    "write_retries": values.whole(0, 1000),
    "write_backoff_base_sec": values.seconds(0.001, 60),
    "batch_max_rows": values.whole(1, 100_000),
    "commit_interval_sec": values.seconds(0, 60),
    "synchronous": values.choice("FULL", "NORMAL"),
    "commit_lock": values.switch,
    "inactivity_warn_sec": values.whole(1, 1_000_000),
    "log_level": values.choice("DEBUG", "INFO", "WARNING", "ERROR"),
    "log_max_bytes": values.whole(1000, 1_000_000_000),
    "log_backup_count": values.whole(1, 1000),
}
