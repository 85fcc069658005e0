"""Settings: environment variables `FLASK10X_<NAME>` over two TOML files over the defaults.

The names are those of the contract, sections 4 and 5. What the environment lacks comes from the
service's environment file. A TOML file is named by `FLASK10X_CONFIG`; under it is `settings.toml`
in the data folder, which the pages of `/setup` write. Their keys are the names in lower or upper
case, without the prefix. The class `Settings` is the one table of them: name, type, reader,
default.
"""

import os
import pwd
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import time, tzinfo
from pathlib import Path
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from flask10x.config import environment_file, readers, station_file, toml
from flask10x.config.alerts import file as alert_file
from flask10x.config.alerts.rules import Alerts, clock
from flask10x.errors import MistakesInFile, SettingsError, nearest
from flask10x.readings.stations import Stations
from flask10x.readings.times import unknown_tz
from flask10x.translation import N_
from flask10x.translation import message as _

PREFIX = environment_file.PREFIX
CHECKOUT = Path(__file__).resolve().parents[2]
# The head of a phone has room for some twelve letters; more is cut there.
HOUSE_NAME_CHARS = 40
# Hosts of BIND that mean the whole machine -> where a program on it asks the service.
EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "::1"}  # noqa: S104
CONFIG = PREFIX + "CONFIG"
# Variables that name a file with settings, and are none themselves.
FILES = {CONFIG, environment_file.VARIABLE}


def whole(low: int, high: int) -> readers.Reader:
    """A whole number within these limits, both included."""
    return readers.from_text(int, readers.whole(low, high))


OFF = "off"


def _daily_time(raw: Any) -> str:
    """A time of the day such as `03:30`, or `off`."""
    if isinstance(raw, str) and raw.strip().lower() == OFF:
        return OFF
    try:
        return f"{clock(raw):%H:%M}"
    except readers.WrongEntry:
        text = _('a time from "00:00" to "23:59", or off, is needed')
        raise readers.WrongEntry(raw, text) from None


readers.takes(
    _daily_time,
    anyOf=[readers.SCHEMAS[clock], {"type": "string", "pattern": readers.any_case([OFF])}],
)


# A remote of rclone's configuration, by its name alone: in the options that rclone takes behind a
# name, and in a remote without one, commands can stand.
_REMOTE = r"[A-Za-z0-9_][A-Za-z0-9_.+@-]*:.+"


def _folder_or_remote(raw: Any) -> Path | None:
    """An absolute path, so that it means the same for the service and for a command; or a remote.

    A remote is a path that is not absolute.
    """
    if raw == "":
        return None
    if not isinstance(raw, str) or not (raw.startswith("/") or re.fullmatch(_REMOTE, raw)):
        raise readers.WrongEntry(
            raw, _("/absolute/path of a folder is needed, or remote:path of rclone")
        )
    return Path(raw)


readers.takes(_folder_or_remote, type="string", pattern=f"^(?:/.*|{_REMOTE})?$")


def _row(read: Callable[..., Any], default: Any, about: str, words: str = "", **more: Any) -> Any:
    """A row of the table: how a value is read, its default, and what it does.

    A default that is a function gets the settings above it; so does a reader that `depends` on
    them. With words forms have it, and `more` is as of Key.
    """
    row = {"read": read, "default": default, "about": about, "words": words}
    return field(metadata={**row, "depends": more.pop("depends", False), "more": more})


def is_checkout() -> bool:
    """Whether this runs from the source, with its Makefile, and not from an installed package."""
    return (CHECKOUT / "pyproject.toml").is_file()


def default_data_dir(_settings: Mapping[str, Any] | None = None) -> Path:
    """`instance/` in the checkout, or in the current folder when there is no checkout."""
    return (CHECKOUT if is_checkout() else Path.cwd()) / "instance"


SECTIONS = {
    "data_dir": N_("Where things are"),
    "bind": N_("Server"),
    "house_name": N_("House"),
    "write_tokens_file": N_("Access"),
    "mqtt_url": N_("Broker"),
    "write_queue_maxsize": N_("Storing"),
    "ack": N_("Answers and rejected readings"),
    "inactivity_warn_sec": N_("Watching"),
}
"""By their first setting the groups in which pages and `reference/settings.md` have them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Every setting with its final value; `reference/settings.md` describes each."""

    data_dir: Path = _row(
        readers.folder, default_data_dir, N_("The folder of everything that is kept.")
    )
    database_url: str = _row(
        readers.database_url,
        lambda above: f"sqlite:///{above['data_dir'] / 'flask10x.sqlite3'}",
        N_("The database of the readings."),
    )
    host_name: str = _row(
        readers.host_name,
        lambda _above: os.uname().nodename,
        N_("The name of this host among those that share the database."),
    )
    stations: Stations = _row(
        readers.takes(
            lambda raw: station_file.load(readers.file(raw)), **readers.SCHEMAS[readers.file]
        ),
        station_file.default,
        N_("The file of the stations that were added or changed."),
    )
    """The built-in stations and those of the file that the setting names."""
    alerts: Alerts = _row(
        readers.takes(
            lambda raw, above: alert_file.load(readers.file(raw), above["stations"]),
            **readers.SCHEMAS[readers.file],
        ),
        alert_file.default,
        N_("The file of alerts: what is watched, and who is notified."),
        depends=True,
    )
    """The rules and channels of the file that the setting names."""
    csv_dir: Path = _row(
        readers.folder, lambda above: above["data_dir"] / "csv", N_("The folder of the CSV files.")
    )
    log_dir: Path = _row(
        readers.folder, lambda above: above["data_dir"] / "logs", N_("The folder of the log files.")
    )
    backup_dir: Path = _row(
        readers.folder,
        lambda above: above["data_dir"] / "backups",
        N_("The folder of the backups."),
    )
    backup_time: str = _row(
        _daily_time,
        # A server has backups of its own, and a copy of all of it is not made without being asked.
        lambda above: OFF if above["database_url"].startswith(readers.POSTGRESQL) else "03:30",
        N_("The time of day of the backup that the service makes itself; off: it makes none."),
        N_("Daily backup at"),
    )
    backup_keep: int = _row(
        whole(1, 1000),
        14,
        N_("How many backups are kept; the oldest are deleted."),
        N_("Backups to keep"),
    )
    backup_copy_dir: Path | None = _row(
        _folder_or_remote,
        None,
        N_(
            "A folder on another disk, such as a USB stick, or a remote of rclone, to which each"
            " backup is copied."
        ),
        N_("Copy each backup to"),
    )
    """None: backups are not copied."""
    bind: str = _row(
        readers.bind,
        lambda above: f"0.0.0.0:{above.get('port') or 8888}",
        N_("The address and port at which the service listens."),
    )
    workers: int = _row(
        whole(1, 16), 2, N_("How many processes receive readings and answer pages.")
    )
    threads: int = _row(
        whole(1, 64), 2, N_("How many threads each process has for pages, charts and downloads.")
    )
    history_max: int = _row(
        whole(1, 10_000), 1000, N_("How many readings the history shows at once.")
    )
    query_timeout_sec: float = _row(
        readers.seconds(0.1, 60),
        2.0,
        N_("After how many seconds a search in the history is ended."),
    )
    setup: Literal["on", "off"] = _row(
        readers.choice("on", "off"), "on", N_("Whether this page exists.")
    )
    house_name: str = _row(
        readers.line(HOUSE_NAME_CHARS),
        "",
        N_("The name of the house, at the top of the pages."),
        N_("Name of the house"),
    )
    """Empty: it is called Flask10X."""
    timezone: str = _row(
        readers.time_zone,
        "",
        N_("The time zone of the pages, CSV files and log."),
        N_("Time zone"),
    )
    place: readers.Place | None = _row(
        readers.coordinates,
        None,
        N_("Latitude and longitude of the house: charts shade its nights."),
        N_("Latitude, longitude"),
    )
    """The place by whose sun nights are shaded in charts; None: they are not shaded."""
    altitude_m: float | None = _row(
        readers.from_text(float, readers.altitude),
        None,
        N_("The altitude of the house in metres, for the pressure at sea level."),
        N_("Altitude in metres"),
    )
    """The altitude above sea level of stations without one in `stations.toml`; None: unknown."""
    write_tokens_file: str = _row(
        readers.secret_place, "", N_("The file of the tokens that stations need to send.")
    )
    read_tokens_file: str = _row(
        readers.secret_place,
        "",
        N_("The file of the tokens that people and programs need to read."),
    )
    notes_tokens_file: str = _row(
        readers.secret_place,
        "",
        N_("The file of the tokens that people need to write notes and corrections."),
    )
    """An absolute path, or `credential:` and a name; empty: no token is needed."""
    allowed_hosts: tuple[str, ...] = _row(
        readers.host_names, (), N_("The host names to which the service answers.")
    )
    """Names in lower case, a leading dot for all below it; empty: any name."""
    notify_hosts: tuple[str, ...] = _row(
        readers.host_names,
        (),
        N_("The hosts to which messages of alerts may go; without them, any."),
    )
    """As `allowed_hosts`, or addresses; empty: any."""
    mqtt_url: str = _row(
        readers.mqtt_url, "", N_("The broker from which flask10x mqtt takes readings.")
    )
    """The address of the broker for `flask10x mqtt`; empty: none."""
    mqtt_password_file: str = _row(
        readers.secret_place, "", N_("The file with the password for the broker.")
    )
    """As the files of tokens; empty: the broker needs no password."""
    mqtt_discovery: str = _row(
        readers.mqtt_prefix,
        "",
        N_("The prefix of the topics by which Home Assistant finds stations and alerts."),
    )
    """Empty: nothing is published."""
    write_queue_maxsize: int = _row(
        whole(1, 1_000_000), 5000, N_("How many readings may wait in each process.")
    )
    queue_warn_threshold: int = _row(
        whole(1, 1_000_000),
        lambda above: max(1, above["write_queue_maxsize"] * 80 // 100),
        N_("From how many waiting readings on the log warns."),
    )
    write_retries: int = _row(
        whole(0, 1000), 3, N_("After how many failed commits in a row the log warns.")
    )
    write_backoff_base_sec: float = _row(
        readers.seconds(0.001, 60), 0.05, N_("The pause after the first failed commit, in seconds.")
    )
    batch_max_rows: int = _row(whole(1, 100_000), 500, N_("The most readings in one commit."))
    commit_interval_sec: float = _row(
        readers.seconds(0, 600),
        0.1,
        N_("How many seconds a reading waits for others before it is committed."),
    )
    synchronous: Literal["FULL", "NORMAL"] = _row(
        readers.choice("FULL", "NORMAL"),
        "FULL",
        N_("FULL: a committed reading survives a power cut. NORMAL: it may be lost in one."),
    )
    commit_lock: bool = _row(
        readers.switch_word, True, N_("Whether the processes commit one after another.")
    )
    ack: Literal["enqueued", "committed"] = _row(
        readers.choice("enqueued", "committed"),
        "enqueued",
        N_("What a sender is promised: its reading is in the queue, or is committed."),
    )
    # A stopping worker waits REQUEST_CEILING_SEC (10) for its requests; all are answered by then.
    ack_timeout_sec: float = _row(
        readers.seconds(0.1, 8),
        2.0,
        N_("How many seconds a sender waits for the commit of its reading."),
    )
    partial_readings: frozenset[str] = _row(
        readers.partial_readings,
        lambda above: readers.accepting_partial(above["stations"], {}),
        N_("The stations whose readings are stored even if values are missing or wrong."),
        depends=True,
    )
    """The endpoints whose incomplete readings are accepted."""
    ignored_senders: tuple[str, ...] = _row(
        readers.endpoints,
        (),
        N_("The paths without a station whose boards the pages do not offer to add."),
    )
    # Never 0: the contract says that a rejected reading is kept (6.6).
    rejected_max_rows: int = _row(
        whole(10, 10_000_000), 100_000, N_("How many rejected readings are kept.")
    )
    rejected_max_bytes: int = _row(
        whole(1_000_000, 100_000_000_000),
        100_000_000,
        N_("How many bytes of the database rejected readings may take."),
    )
    # A batch has 1000 readings, and a sender that repeats one must find all its keys known.
    idempotency_max_rows: int = _row(
        whole(1000, 10_000_000),
        50_000,
        N_("How many keys of accepted readings are remembered, so that none is stored twice."),
    )
    repeat_window_sec: float = _row(
        readers.seconds(0, 86_400),
        0,
        N_("For how many seconds an equal reading without a key counts as a repeat; 0: never."),
    )
    """How long the same body is a repeat, at stations without a window in `stations.toml`."""
    retention_days: int = _row(
        readers.from_text(int, readers.retention_days),
        readers.NEVER_REMOVED,
        N_("After how many days readings are removed from the database; 0: never."),
    )
    inactivity_warn_sec: int = _row(
        whole(1, 1_000_000),
        120,
        N_("After how many seconds of silence the log warns of a station."),
    )
    log_level: str = _row(
        readers.choice("DEBUG", "INFO", "WARNING", "ERROR"),
        "INFO",
        N_("INFO: the log has a line for each reading. WARNING: only what went wrong."),
    )
    log_max_bytes: int = _row(
        whole(1000, 1_000_000_000),
        1_000_000,
        N_("The size in bytes at which a new log file begins."),
    )
    log_backup_count: int = _row(whole(1, 1000), 5, N_("How many older log files are kept."))
    places: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    """Where each setting is that has not its default, as messages name it; no setting itself."""
    digest: str = field(default="", compare=False, repr=False)
    """The SHA-256 of `settings.toml` as it was read, of no bytes without one; no setting itself."""

    def text_of(self, name: str) -> str:
        """Return the value of a setting as an environment has it; empty where there is none."""
        value: Any = getattr(self, name)
        match value:
            case None:
                value = ""
            case Stations() | Alerts():
                value = value.file
            case readers.Place():
                value = f"{value.latitude:g},{value.longitude:g}"
            case bool():
                value = str(value).lower()
            case frozenset() | tuple():
                value = ", ".join(sorted(value))
            case float():
                value = f"{value:g}"
        return str(value)

    @property
    def on_postgres(self) -> bool:
        """Whether the readings are in PostgreSQL; else they are in a file of SQLite."""
        return self.database_url.startswith(readers.POSTGRESQL)

    @property
    def backup_at(self) -> time | None:
        """The time of day of the service's own backup, in `zone`; None: it makes none."""
        return None if self.backup_time == OFF else time.fromisoformat(self.backup_time)

    @property
    def commits_synchronously(self) -> bool:
        """Whether a commit on PostgreSQL waits for the disk, and for standbys if there are any."""
        return self.synchronous == "FULL" or self.ack == "committed"

    @property
    def zone(self) -> tzinfo | None:
        """The zone of the CSV files and pages; None: the system's zone."""
        return ZoneInfo(self.timezone) if self.timezone else None


ROWS = tuple(row for row in fields(Settings) if row.metadata)
"""The rows of the table, in its order."""
# These belong to the process that the workers are made by: it has bound the socket, locked the
# database, made the workers and their queues, and holds leases by its name.
OF_THE_MASTER = (
    *("database_url", "host_name", "bind", "workers", "threads"),
    "write_queue_maxsize",
)
FOLDERS = ("data_dir", "csv_dir", "log_dir", "backup_dir")
"""With these, all that a reload does not change."""
NAME = "settings.toml"
"""The file in the data folder that the pages of `/setup` write."""
NOT_IN_FILE = {*OF_THE_MASTER, *FOLDERS, "port"}
"""What that file may not have."""
# `port` is another way to write `bind`, so it has no value of its own.
READERS: dict[str, Callable[..., Any]] = {
    "port": whole(1, readers.HIGHEST_PORT),
    **{row.name: row.metadata["read"] for row in ROWS},
}
KEYS = {
    row.name: toml.Key(
        row.name, row.metadata["read"], words=row.metadata["words"], **row.metadata["more"]
    )
    for row in ROWS
    if row.metadata["words"]
}
"""The settings that forms have, by name."""
_DEPENDENT = {row.name for row in ROWS if row.metadata["depends"]}


def load(
    environ: Mapping[str, str] | None = None,
    *,
    stations: Stations | None = None,
    alerts: Alerts | None = None,
    file: bytes | None = None,
) -> Settings:
    """The settings of this process; raises SettingsError that names each thing that is wrong.

    The default of the environment is that of this process, with the service's environment file.
    With `stations` the file of stations is not read, with `alerts` that of alerts, and with `file`
    `settings.toml` has these bytes.
    """
    if environ is None:
        environment_file.take_over(os.environ)
        environ = os.environ
    entries, digest = _entries(environ, file)
    values: dict[str, Any] = {"stations": stations} if stations else {}
    if alerts:
        values["alerts"] = alerts
    if "port" in entries:
        values["port"] = _read("port", entries, values)
    for row in ROWS:
        if row.name in entries and row.name not in values:
            values[row.name] = _read(row.name, entries, values)
        elif row.name not in values:
            default = row.metadata["default"]
            values[row.name] = default(values) if callable(default) else default
    if environ is os.environ and not values["timezone"] and (tz := unknown_tz()):
        place = environment_file.place_of("TZ")
        raise readers.WrongEntry(tz, _("a zone such as Asia/Tokyo is needed")).of_setting(place)
    values["stations"] = readers.at_altitude(values["stations"], values["altitude_m"])
    _check(values, entries)
    places = {name: entry.place for name, entry in entries.items()}
    return Settings(**values, places=places, digest=digest)


def stations_path() -> Path:
    """The file of stations, whether or not it is there and right; raises SettingsError."""
    return _file_of("stations", station_file.NAME)


def alerts_path() -> Path:
    """The file of alerts, whether or not it is there and right; raises SettingsError."""
    return _file_of("alerts", alert_file.NAME)


def _file_of(setting: str, name: str) -> Path:
    environment_file.take_over(os.environ)
    entries, _digest = _entries(os.environ)
    try:
        return readers.file(entries[setting].raw) if setting in entries else _folder(entries) / name
    except readers.WrongEntry as error:
        raise error.of_setting(entries[setting].place) from None


class _Entry(NamedTuple):
    """The value of a setting in the environment or in the TOML file."""

    place: str
    """Where it is, as messages name it."""
    raw: Any


_Entries = dict[str, _Entry]
"""By the settings' names in lower case."""


def _read(name: str, entries: _Entries, values: Mapping[str, Any]) -> Any:
    """The value of a setting; `values` has those above it in the table."""
    place, raw = entries[name]
    try:
        return READERS[name](raw, values) if name in _DEPENDENT else READERS[name](raw)
    except readers.WrongEntry as error:
        raise error.of_setting(place) from None
    except (FileNotFoundError, NotADirectoryError) as error:
        text = _("{place}: there is no file {path}; flask10x {command} init makes it")
        text = text.format(place=place, path=error.filename, command=name)
        raise SettingsError(text) from None


def _entries(environ: Mapping[str, str], file: bytes | None = None) -> tuple[_Entries, str]:
    """What the environment and the TOML files have, and the SHA-256 of `settings.toml`.

    Raises SettingsError for an unknown name.
    """
    named = environ.get(CONFIG)
    entries = _named(_document(named), named) if named else {}
    for name, value in environ.items():
        if name.startswith(PREFIX) and name not in FILES:
            place = environment_file.place_of(name)
            entries[name.removeprefix(PREFIX).lower()] = _Entry(place, value)
    path, content = _folder(entries) / NAME, file
    if content is None:
        try:
            content = toml.read_document(path)
        except (FileNotFoundError, NotADirectoryError):
            content = b""
    entries = parse(content, path) | entries
    unknown = [
        _unknown(name, entry.place) for name, entry in entries.items() if name not in READERS
    ]
    if unknown:
        raise SettingsError("; ".join(unknown))
    return entries, toml.digest_of(content)


def _folder(entries: _Entries) -> Path:
    """The data folder, which has a file with settings itself."""
    entry = entries.get("data_dir")
    if entry is None:
        return default_data_dir()
    try:
        return readers.folder(entry.raw)
    except readers.WrongEntry as error:
        raise error.of_setting(entry.place) from None


def parse(content: bytes, path: Path) -> _Entries:
    """Return the entries of a file `settings.toml` with these bytes, whose values are not read yet.

    Raises SettingsError for a mistake of TOML, and for what only a restart changes.
    """
    entries = _named(toml.Document(content, path, MistakesInFile).data, str(path))
    for name, entry in entries.items():
        if name in NOT_IN_FILE:
            text = _("{place}: only a restart changes this; set {name} in the environment")
            raise SettingsError(text.format(place=entry.place, name=PREFIX + name.upper()))
    return entries


def _named(document: Mapping[str, Any], path: str) -> _Entries:
    entries: _Entries = {}
    for key, value in document.items():
        name, place = key.lower(), f"{path}: {key}"
        if key.upper().startswith(PREFIX):
            text = _("{place}: names are written without {prefix} in this file")
            raise SettingsError(text.format(place=place, prefix=PREFIX))
        if name in entries:
            text = _("{place} is there twice, also as {key}")
            raise SettingsError(text.format(place=entries[name].place, key=key))
        # The environment can't hold one, and no path may.
        if isinstance(value, str) and "\0" in value:
            raise readers.WrongEntry(value, _("there is a NUL character in it")).of_setting(place)
        entries[name] = _Entry(place, value)
    return entries


def _document(path: str) -> dict[str, Any]:
    place = environment_file.place_of(CONFIG)
    try:
        content = toml.read_document(Path(path))
        if len(content) > toml.MAX_FILE_BYTES:
            raise ValueError(_("it has more than {n} bytes").format(n=toml.MAX_FILE_BYTES))
        return tomllib.loads(content.decode())
    except SettingsError as error:
        raise SettingsError(f"{place}: {error}") from error
    except (OSError, ValueError) as error:
        text = _("{place}: cannot read {path}: {reason}")
        raise SettingsError(text.format(place=place, path=path, reason=error)) from error


def _unknown(name: str, place: str) -> str:
    """The message, with the right name as it would be written in that place."""
    file, colon, key = place.rpartition(": ")
    near = nearest(name, READERS)
    if near and key.startswith(PREFIX):
        near = PREFIX + near.upper()
    text = _("unknown setting {name}").format(name=key)
    if near:
        text += _(" (did you mean {name}?)").format(name=near)
    return f"{file}{colon}{text}"


def _check(values: dict[str, Any], entries: _Entries) -> None:
    """Refuse settings that contradict each other; `port` becomes a part of `bind`."""
    port = values.pop("port", None)
    if port is not None and not values["bind"].endswith(f":{port}"):
        text = _("{port} is {number} but {bind} is {address}: set only one of them")
        names = {"port": entries["port"].place, "bind": entries["bind"].place}
        raise SettingsError(text.format(**names, number=port, address=values["bind"]))
    maxsize, threshold = values["write_queue_maxsize"], values["queue_warn_threshold"]
    if threshold > maxsize:
        place = entries["queue_warn_threshold"].place
        text = _("{place} is {value}, above {name} {limit}: it would never warn")
        name = f"{PREFIX}WRITE_QUEUE_MAXSIZE"
        raise SettingsError(text.format(place=place, value=threshold, name=name, limit=maxsize))


def process_user() -> str:
    """The name of the user that this process runs as, for a message; its number if it has none."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
