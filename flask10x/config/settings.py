"""Settings: environment variables `FLASK10X_<NAME>` over a TOML file over the defaults.

The names are those of the contract, sections 4 and 5. What the environment lacks comes from the
service's environment file. The TOML file is named by `FLASK10X_CONFIG`; its keys are the names in
lower or upper case, without the prefix. The class `Settings` is the one table of them: name, type,
reader, default.
"""

import os
import pwd
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import tzinfo
from gettext import gettext as _
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from flask10x.config import environment_file, readers, station_file, toml
from flask10x.config.alerts import file as alert_file
from flask10x.config.alerts.rules import Alerts
from flask10x.config.readers import (
    HIGHEST_PORT,
    POSTGRESQL,
    PartialReadings,
    Place,
    altitude,
    at_altitude,
    bind,
    choice,
    coordinates,
    database_url,
    folder,
    host_name,
    host_names,
    partial_readings,
    seconds,
    switch,
    time_zone,
    whole,
)
from flask10x.errors import SettingsError, nearest, wrong_setting
from flask10x.readings.stations import Stations
from flask10x.readings.times import unknown_tz

PREFIX = environment_file.PREFIX
CHECKOUT = Path(__file__).resolve().parents[2]
# Hosts of BIND that mean the whole machine -> where a program on it asks the service.
EVERYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "::1"}  # noqa: S104
CONFIG = PREFIX + "CONFIG"
# Variables that name a file with settings, and are none themselves.
FILES = {CONFIG, environment_file.VARIABLE}


def _setting(read: Callable[[str, Any], Any], default: Any) -> Any:
    """A row of the table: how a value is read, and what it is when nobody gives one.

    A default that is a function is given the settings that stand above it.
    """
    return field(metadata={"read": read, "default": default})


def is_checkout() -> bool:
    """Whether this runs from the source, with its Makefile, and not from an installed package."""
    return (CHECKOUT / "pyproject.toml").is_file()


def default_data_dir(_given: Mapping[str, Any] | None = None) -> Path:
    """`instance/` in the checkout, or in the current folder when there is no checkout."""
    return (CHECKOUT if is_checkout() else Path.cwd()) / "instance"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Every setting with its final value; the page `reference/settings.md` says what each does."""

    data_dir: Path = _setting(folder, default_data_dir)
    database_url: str = _setting(
        database_url, lambda given: f"sqlite:///{given['data_dir'] / 'flask10x.sqlite3'}"
    )
    host_name: str = _setting(host_name, lambda _given: os.uname().nodename)
    """How this host is told from others that share a database."""
    stations: Stations = _setting(station_file.read, station_file.default)
    """Those of the file that the setting names: all that this installation knows."""
    alerts: Alerts = _setting(alert_file.read, alert_file.default)
    """What people want to be told of, by the file that the setting names."""
    csv_dir: Path = _setting(folder, lambda given: given["data_dir"] / "csv")
    log_dir: Path = _setting(folder, lambda given: given["data_dir"] / "logs")
    backup_dir: Path = _setting(folder, lambda given: given["data_dir"] / "backups")
    bind: str = _setting(bind, lambda given: f"0.0.0.0:{given.get('port') or 8888}")
    workers: int = _setting(whole(1, 16), 2)
    threads: int = _setting(whole(1, 64), 2)
    ack: Literal["enqueued", "committed"] = _setting(choice("enqueued", "committed"), "enqueued")
    # A stopping worker waits REQUEST_CEILING_SEC (10) for its requests; all are answered by then.
    ack_timeout_sec: float = _setting(seconds(0.1, 8), 2.0)
    partial_readings: frozenset[str] = _setting(partial_readings, PartialReadings())
    """The endpoints whose incomplete readings are accepted."""
    # Never 0: "a refused reading is kept" is a promise (contract, 6.6).
    rejected_max_rows: int = _setting(whole(10, 10_000_000), 100_000)
    rejected_max_bytes: int = _setting(whole(1_000_000, 100_000_000_000), 100_000_000)
    # A batch has 1000 readings, and a sender that repeats one must find all its keys known.
    idempotency_max_rows: int = _setting(whole(1000, 10_000_000), 50_000)
    repeat_window_sec: float = _setting(seconds(0, 86_400), 0)
    """For how long the same body of a station is a repeat, unless the station says otherwise."""
    retention_days: int = _setting(readers.retention_days, readers.NEVER_REMOVED)
    timezone: str = _setting(time_zone, "")
    place: Place | None = _setting(coordinates, None)
    """Where the sun shades the charts; None: nowhere."""
    write_tokens_file: str = _setting(readers.secret_place, "")
    read_tokens_file: str = _setting(readers.secret_place, "")
    notes_tokens_file: str = _setting(readers.secret_place, "")
    """An absolute path, or `credential:` and a name; empty: no token is asked for."""
    mqtt_url: str = _setting(readers.mqtt_url, "")
    """Where `flask10x mqtt` finds the broker; empty: there is none."""
    mqtt_password_file: str = _setting(readers.secret_place, "")
    """As the files of tokens; empty: the broker asks for no password."""
    altitude_m: float | None = _setting(altitude, None)
    """That of the house above sea level, unless a station says otherwise; None: not known."""
    allowed_hosts: tuple[str, ...] = _setting(host_names, ())
    """Names in lower case, a leading dot for all below it; empty: any name."""
    history_max: int = _setting(whole(1, 10_000), 1000)
    query_timeout_sec: float = _setting(seconds(0.1, 60), 2.0)
    write_queue_maxsize: int = _setting(whole(1, 1_000_000), 5000)
    queue_warn_threshold: int = _setting(
        whole(1, 1_000_000), lambda given: max(1, given["write_queue_maxsize"] * 80 // 100)
    )
    write_retries: int = _setting(whole(0, 1000), 3)
    write_backoff_base_sec: float = _setting(seconds(0.001, 60), 0.05)
    batch_max_rows: int = _setting(whole(1, 100_000), 500)
    commit_interval_sec: float = _setting(seconds(0, 600), 0.1)
    synchronous: Literal["FULL", "NORMAL"] = _setting(choice("FULL", "NORMAL"), "FULL")
    commit_lock: bool = _setting(switch, True)
    inactivity_warn_sec: int = _setting(whole(1, 1_000_000), 120)
    log_level: str = _setting(choice("DEBUG", "INFO", "WARNING", "ERROR"), "INFO")
    log_max_bytes: int = _setting(whole(1000, 1_000_000_000), 1_000_000)
    log_backup_count: int = _setting(whole(1, 1000), 5)

    @property
    def on_postgres(self) -> bool:
        """Whether the readings are in PostgreSQL; else they are in a file of SQLite."""
        return self.database_url.startswith(POSTGRESQL)

    @property
    def commits_synchronously(self) -> bool:
        """Whether a commit on PostgreSQL waits for the disk, and for standbys if there are any."""
        return self.synchronous == "FULL" or self.ack == "committed"

    @property
    def zone(self) -> tzinfo | None:
        """The zone of the CSV files and pages; None stands for the system's own."""
        return ZoneInfo(self.timezone) if self.timezone else None


# `port` is another way to say `bind`, so it has no value of its own.
READERS: dict[str, Callable[[str, Any], Any]] = {
    "port": whole(1, HIGHEST_PORT),
    **{field.name: field.metadata["read"] for field in fields(Settings)},
}


def load(
    environ: Mapping[str, str] | None = None,
    *,
    stations: Stations | None = None,
    alerts: Alerts | None = None,
) -> Settings:
    """The settings of this process; raises SettingsError that names each thing that is wrong.

    Without an environment it is that of this process, with the service's environment file.
    `stations` stand for those of the file that the setting STATIONS names, which is not read then;
    `alerts` likewise.
    """
    if environ is None:
        environment_file.take_over(os.environ)
        environ = os.environ
    given = _given(environ)
    instead = {"stations": stations, "alerts": alerts}
    read = {name: value for name, value in instead.items() if value is not None}
    for name, (place, raw) in given.items():
        if name not in read:
            read[name] = READERS[name](place, raw)
    if environ is os.environ and not read.get("timezone") and (tz := unknown_tz()):
        place = environment_file.place_of("TZ")
        raise wrong_setting(place, tz, _("a zone such as Asia/Tokyo is needed"))
    return _complete(read, {name: place for name, (place, _value) in given.items()})


def stations_path() -> Path:
    """The file of stations, whether or not it is there and right; raises SettingsError."""
    return _file_of("stations", station_file.NAME)


def alerts_path() -> Path:
    """The file of alerts, likewise."""
    return _file_of("alerts", alert_file.NAME)


def _file_of(setting: str, name: str) -> Path:
    environment_file.take_over(os.environ)
    given = _given(os.environ)
    if setting in given:
        return toml.path_of(*given[setting])
    data_dir = folder(*given["data_dir"]) if "data_dir" in given else default_data_dir()
    return data_dir / name


# A setting's name in lower case -> where it stands, as messages name it, and what it is.
_Given = dict[str, tuple[str, Any]]


def _given(environ: Mapping[str, str]) -> _Given:
    """What the environment and the TOML file have; raises SettingsError for an unknown name."""
    given = _from_file(environ.get(CONFIG)) | _from_environment(environ)
    unknown = [
        _unknown(name, place) for name, (place, _value) in given.items() if name not in READERS
    ]
    if unknown:
        raise SettingsError("; ".join(unknown))
    return given


def _from_file(path: str | None) -> _Given:
    given: _Given = {}
    for key, value in _read(path).items() if path else ():
        if key.upper().startswith(PREFIX):
            text = _("{place}: names are written without {prefix} in this file")
            raise SettingsError(text.format(place=f"{path}: {key}", prefix=PREFIX))
        if key.lower() in given:
            text = _("{place} is there twice, also as {key}")
            raise SettingsError(text.format(place=given[key.lower()][0], key=key))
        # The environment can't hold one, and no path may.
        if isinstance(value, str) and "\0" in value:
            raise wrong_setting(f"{path}: {key}", value, _("there is a NUL character in it"))
        given[key.lower()] = f"{path}: {key}", value
    return given


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (OSError, ValueError) as error:
        place = environment_file.place_of(CONFIG)
        text = _("{place}: cannot read {path}: {reason}")
        raise SettingsError(text.format(place=place, path=path, reason=error)) from error


def _from_environment(environ: Mapping[str, str]) -> _Given:
    return {
        name[len(PREFIX) :].lower(): (environment_file.place_of(name), value)
        for name, value in environ.items()
        if name.startswith(PREFIX) and name not in FILES
    }


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


def _complete(given: dict[str, Any], places: dict[str, str]) -> Settings:
    """Fill in the defaults, and refuse what contradicts each other."""
    for row in fields(Settings):
        if row.name not in given:
            default = row.metadata["default"]
            given[row.name] = default(given) if callable(default) else default
    given["stations"] = at_altitude(given["stations"], given["altitude_m"])
    given["partial_readings"] = given["partial_readings"].endpoints(given["stations"])
    if not isinstance(given["alerts"], Alerts):
        given["alerts"] = given["alerts"].alerts(given["stations"])
    port = given.pop("port", None)
    if port is not None and not given["bind"].endswith(f":{port}"):
        text = _("{port} is {number} but {bind} is {address}: set only one of them")
        raise SettingsError(
            text.format(
                port=places["port"], number=port, bind=places["bind"], address=given["bind"]
            )
        )
    maxsize, threshold = given["write_queue_maxsize"], given["queue_warn_threshold"]
    if threshold > maxsize:
        place = places["queue_warn_threshold"]
        text = _("{place} is {value}, above {name} {limit}: it would never warn")
        name = f"{PREFIX}WRITE_QUEUE_MAXSIZE"
        raise SettingsError(text.format(place=place, value=threshold, name=name, limit=maxsize))
    return Settings(**given)


def process_user() -> str:
    """The name of the user that this process runs as, for a message; its number if it has none."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
