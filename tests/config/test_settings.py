"""Settings: defaults as the contract names them, and clear refusals."""

import json
import os
import socket
from pathlib import Path

import pytest

from flask10x.config import settings
from flask10x.config.alerts.rules import DEFAULT
from flask10x.config.readers import Place
from flask10x.config.settings import Settings
from flask10x.errors import SettingsError
from flask10x.readings.stations import BUILT_IN
from tests.support import schemas


def test_defaults_are_the_contracts() -> None:
    loaded = settings.load({"FLASK10X_DATA_DIR": "/srv/x"})
    assert loaded == Settings(
        data_dir=Path("/srv/x"),
        database_url="sqlite:////srv/x/flask10x.sqlite3",
        host_name=socket.gethostname(),
        stations=BUILT_IN,
        alerts=DEFAULT,
        csv_dir=Path("/srv/x/csv"),
        log_dir=Path("/srv/x/logs"),
        backup_dir=Path("/srv/x/backups"),
        backup_time="03:30",
        backup_keep=14,
        backup_copy_dir=None,
        bind="0.0.0.0:8888",
        workers=2,
        threads=2,
        house_name="",
        ignored_senders=(),
        ack="enqueued",
        ack_timeout_sec=2.0,
        partial_readings=frozenset(),
        rejected_max_rows=100_000,
        rejected_max_bytes=100_000_000,
        idempotency_max_rows=50_000,
        repeat_window_sec=0,
        retention_days=0,
        timezone="",
        place=None,
        write_tokens_file="",
        read_tokens_file="",
        notes_tokens_file="",
        mqtt_url="",
        mqtt_password_file="",
        mqtt_discovery="",
        altitude_m=None,
        allowed_hosts=(),
        notify_hosts=(),
        history_max=1000,
        query_timeout_sec=2.0,
        write_queue_maxsize=5000,
        queue_warn_threshold=4000,
        write_retries=3,
        write_backoff_base_sec=0.05,
        batch_max_rows=500,
        commit_interval_sec=0.1,
        synchronous="FULL",
        commit_lock=True,
        inactivity_warn_sec=120,
        log_level="INFO",
        log_max_bytes=1_000_000,
        log_backup_count=5,
        setup="on",
    )
    assert loaded.zone is None


def test_every_setting_can_be_set() -> None:
    assert settings.READERS.keys() == {row.name for row in settings.ROWS} | {"port"}


def test_data_dir_defaults_to_instance_in_the_checkout() -> None:
    assert settings.load({}).data_dir == Path(__file__).parents[2] / "instance"


def test_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "flask10x.toml"
    file.write_text('workers = 1\nHISTORY_MAX = 10\ntimezone = "Asia/Tokyo"\ncommit_lock = false\n')
    loaded = settings.load({"FLASK10X_CONFIG": str(file), "FLASK10X_HISTORY_MAX": "20"})
    assert (loaded.workers, loaded.history_max, loaded.commit_lock) == (1, 20, False)
    assert str(loaded.zone) == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("35.68,139.77", Place(35.68, 139.77)),
        (" -33.87 , +151.2 ", Place(-33.87, 151.2)),
        ("90,-180", Place(90, -180)),
    ],
)
def test_a_place_is_latitude_and_longitude(text: str, place: Place) -> None:
    assert settings.load({"FLASK10X_PLACE": text}).place == place


def test_what_begins_like_a_setting_is_one_or_a_mistake() -> None:
    with pytest.raises(SettingsError, match="did you mean FLASK10X_ALERTS"):
        settings.load({"FLASK10X_ALERT": "x"})
    with pytest.raises(SettingsError, match="FLASK10X_ALERT_FILE"):
        settings.load({"FLASK10X_ALERT_FILE": "x"})


def test_port_alone_changes_the_bind() -> None:
    assert settings.load({"FLASK10X_PORT": "9000"}).bind == "0.0.0.0:9000"


WRONG = [
    ("WORKER", "2", "unknown setting FLASK10X_WORKER (did you mean FLASK10X_WORKERS?)"),
    ("WORKERS", "two", "FLASK10X_WORKERS is 'two': a whole number from 1 to 16 is needed"),
    ("WORKERS", "0", "FLASK10X_WORKERS is '0': a whole number from 1 to 16 is needed"),
    ("COMMIT_INTERVAL_SEC", "nan", "FLASK10X_COMMIT_INTERVAL_SEC is 'nan': seconds"),
    ("COMMIT_INTERVAL_SEC", "601", "COMMIT_INTERVAL_SEC is '601': seconds from 0 to 600"),
    ("SYNCHRONOUS", "off", "FLASK10X_SYNCHRONOUS is 'off': one of FULL, NORMAL is needed"),
    ("BACKUP_TIME", "24:00", 'BACKUP_TIME is \'24:00\': a time from "00:00" to "23:59", or off,'),
    ("BACKUP_TIME", "", "BACKUP_TIME is '': a time from"),
    ("BACKUP_COPY_DIR", "usb", "BACKUP_COPY_DIR is 'usb': /absolute/path of a folder is needed"),
    # rclone would run a command that stands in such a remote.
    ("BACKUP_COPY_DIR", ":sftp,ssh=id:house", "folder is needed, or remote:path of rclone"),
    ("BACKUP_COPY_DIR", "nas,ssh=id:house", "folder is needed, or remote:path of rclone"),
    ("BACKUP_COPY_DIR", "--config:house", "folder is needed, or remote:path of rclone"),
    ("BACKUP_KEEP", "none", "BACKUP_KEEP is 'none': a whole number from 1 to 1000 is needed"),
    ("RETENTION_DAYS", "3", "RETENTION_DAYS is '3': a whole number of days from 30 to 36500"),
    ("RETENTION_DAYS", "a year", "is 'a year': a whole number of days from 30 to 36500"),
    ("COMMIT_LOCK", "maybe", "FLASK10X_COMMIT_LOCK is 'maybe': true or false is needed"),
    (
        "MQTT_DISCOVERY",
        "home/#",
        "is 'home/#': the beginning of topics is needed, such as home",
    ),
    ("ACK", "stored", "FLASK10X_ACK is 'stored': one of enqueued, committed is needed"),
    ("ACK_TIMEOUT_SEC", "9", "FLASK10X_ACK_TIMEOUT_SEC is '9': seconds from 0.1 to 8"),
    ("PARTIAL_READINGS", "yes", "PARTIAL_READINGS is 'yes': accept or reject is needed, or"),
    ("PARTIAL_READINGS", "data5=accept", "such as data4=accept (data, data2, data3, data4)"),
    ("PARTIAL_READINGS", "data4=accept,data4=reject", "accept or reject is needed"),
    ("PARTIAL_READINGS", "accept,", "accept or reject is needed"),
    ("PARTIAL_READINGS", "=accept", "accept or reject is needed"),
    ("REJECTED_MAX_ROWS", "0", "a whole number from 10 to 10000000 is needed"),
    ("IDEMPOTENCY_MAX_ROWS", "999", "a whole number from 1000 to 10000000 is needed"),
    ("REPEAT_WINDOW_SEC", "-1", "REPEAT_WINDOW_SEC is '-1': seconds from 0 to 86400"),
    ("ALTITUDE_M", "35m", "FLASK10X_ALTITUDE_M is '35m': metres above sea level from -430 to"),
    ("ALTITUDE_M", "801", "FLASK10X_ALTITUDE_M is '801': metres above sea level from -430"),
    ("ALTITUDE_M", "nan", "FLASK10X_ALTITUDE_M is 'nan': metres above sea level"),
    ("TIMEZONE", "Asia/Tokio", "FLASK10X_TIMEZONE is 'Asia/Tokio': a zone such as Asia/Tokyo"),
    ("PLACE", "Tokyo", "FLASK10X_PLACE is 'Tokyo': latitude and longitude in degrees such as"),
    ("PLACE", "35.68", "FLASK10X_PLACE is '35.68': latitude and longitude in degrees such as"),
    ("PLACE", "35.68;139.77", "latitude and longitude in degrees such as 35.68,139.77"),
    ("PLACE", "35,68,139,77", "latitude and longitude in degrees such as 35.68,139.77"),
    ("PLACE", "nan,0", "latitude and longitude in degrees such as 35.68,139.77"),
    ("PLACE", "139.77,35.68", "a latitude from -90 to 90 comes first, then a longitude"),
    ("PLACE", "0,180.1", "then a longitude from -180 to 180"),
    ("HOST_NAME", "", "FLASK10X_HOST_NAME is '': a name such as school-1 is needed"),
    ("HOST_NAME", "the first", "HOST_NAME is 'the first': a name such as school-1 is needed"),
    ("HOST_NAME", "-a", "HOST_NAME is '-a': a name such as school-1 is needed"),
    ("HOST_NAME", "a" * 254, "a name such as school-1 is needed, of letters, digits, dots"),
    ("DATABASE_URL", "mysql://x", "FLASK10X_DATABASE_URL is 'mysql://x': sqlite:////"),
    ("BIND", "8888", "FLASK10X_BIND is '8888': address:port such as 0.0.0.0:8888"),
    ("BIND", "localhost", "FLASK10X_BIND is 'localhost': address:port"),
    ("BIND", ":8888", "FLASK10X_BIND is ':8888': address:port"),
    ("BIND", "::1:8888", "FLASK10X_BIND is '::1:8888': address:port"),
    ("BIND", "[::1:8888", "FLASK10X_BIND is '[::1:8888': address:port"),
    ("BIND", "[nobody]:8888", "FLASK10X_BIND is '[nobody]:8888': address:port"),
    ("BIND", "http://pi:8888", "FLASK10X_BIND is 'http://pi:8888': address:port"),
    ("BIND", "a, b:8888", "FLASK10X_BIND is 'a, b:8888': address:port"),
    ("BIND", "0.0.0.0:0", "FLASK10X_BIND is '0.0.0.0:0': a port from 1 to 65535 is needed"),
    ("BIND", "0.0.0.0:65536", "FLASK10X_BIND is '0.0.0.0:65536': a port from 1 to 65535"),
    ("BIND", "0.0.0.0:http", "FLASK10X_BIND is '0.0.0.0:http': a port from 1 to 65535"),
    ("BIND", "0.0.0.0:", "FLASK10X_BIND is '0.0.0.0:': a port from 1 to 65535"),
    (
        "BIND",
        "unix:flask10x.sock",
        "FLASK10X_BIND is 'unix:flask10x.sock': unix:/absolute/path",
    ),
    ("BIND", "unix:/run/", "FLASK10X_BIND is 'unix:/run/': unix:/absolute/path"),
    ("BIND", "unix:8888", "FLASK10X_BIND is 'unix:8888': unix:/absolute/path"),
    ("DATA_DIR", "", "FLASK10X_DATA_DIR is '': a folder is needed"),
    ("WRITE_TOKENS_FILE", "tokens", "is 'tokens': /absolute/path is needed, or credential:"),
    ("READ_TOKENS_FILE", "credential:", "/absolute/path is needed, or credential: and a name"),
    ("READ_TOKENS_FILE", "credential:../x", "/absolute/path is needed"),
    ("ALLOWED_HOSTS", "", "FLASK10X_ALLOWED_HOSTS is '': a text is needed"),
    ("ALLOWED_HOSTS", "*", "names such as raspberrypi.local,.home.arpa are needed"),
    ("ALLOWED_HOSTS", "pi.local:8888", "are needed, without ports"),
    ("ALLOWED_HOSTS", "http://pi", "are needed, without ports"),
    ("ALLOWED_HOSTS", "a,,b", "are needed, without ports"),
    ("ALLOWED_HOSTS", "a..b", "are needed, without ports"),
    ("ALLOWED_HOSTS", "a..", "are needed, without ports"),
    ("ALLOWED_HOSTS", ".", "are needed, without ports"),
    ("ALLOWED_HOSTS", "é.local", "are needed, without ports"),
    ("QUERY_TIMEOUT_SEC", "0", "seconds from 0.1 to 60 are needed"),
    ("CONFIG", "/nowhere.toml", "FLASK10X_CONFIG: cannot read /nowhere.toml"),
    ("QUEUE_WARN_THRESHOLD", "5001", "above FLASK10X_WRITE_QUEUE_MAXSIZE 5000"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_a_bad_setting_is_named(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings.load({f"FLASK10X_{name}": value})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "bind",
    [
        "0.0.0.0:1",
        "127.0.0.1:65535",
        "raspberrypi.local:8888",
        "[::]:8888",
        "[fe80::1]:8888",
        "unix:/run/flask10x/flask10x.sock",
    ],
)
def test_where_it_can_listen(bind: str) -> None:
    assert settings.load({"FLASK10X_BIND": bind}).bind == bind


@pytest.mark.parametrize("bind", ["127.0.0.1:8888", "unix:/run/flask10x.sock"])
def test_port_against_bind_is_refused(bind: str) -> None:
    with pytest.raises(SettingsError, match="set only one of them"):
        settings.load({"FLASK10X_PORT": "9000", "FLASK10X_BIND": bind})


def test_the_names_by_which_it_may_be_called() -> None:
    loaded = settings.load({"FLASK10X_ALLOWED_HOSTS": " RaspberryPi.local, .home.arpa,pi"})
    assert loaded.allowed_hosts == ("raspberrypi.local", ".home.arpa", "pi")


def test_a_float_or_switch_in_toml_is_no_whole_number(tmp_path: Path) -> None:
    file = tmp_path / "flask10x.toml"
    file.write_text("workers = 2.5\n")
    with pytest.raises(SettingsError, match=r"workers is 2\.5"):
        settings.load({"FLASK10X_CONFIG": str(file)})
    assert not schemas.takes("flask10x", "workers = 2.5")


# Limits of a number in a text, what there is (stations, zones) and what settings mean to each
# other.
BEYOND_THE_SCHEMA = {
    *(("WORKERS", "0"), ("COMMIT_INTERVAL_SEC", "601"), ("RETENTION_DAYS", "3")),
    *(("ACK_TIMEOUT_SEC", "9"), ("REJECTED_MAX_ROWS", "0"), ("IDEMPOTENCY_MAX_ROWS", "999")),
    *(("REPEAT_WINDOW_SEC", "-1"), ("ALTITUDE_M", "801"), ("QUERY_TIMEOUT_SEC", "0")),
    *(("PLACE", "139.77,35.68"), ("PLACE", "0,180.1"), ("TIMEZONE", "Asia/Tokio")),
    *(("BIND", "0.0.0.0:0"), ("BIND", "0.0.0.0:65536"), ("QUEUE_WARN_THRESHOLD", "5001")),
    *(("PARTIAL_READINGS", "data5=accept"), ("PARTIAL_READINGS", "data4=accept,data4=reject")),
}


@pytest.mark.skipif(not schemas.HAS_JSONSCHEMA, reason="jsonschema is not installed")
def test_the_schema_refuses_what_the_program_refuses() -> None:
    taken = {
        (name, value)
        for name, value, _message in WRONG
        if schemas.takes("flask10x", f"{name.lower()} = {json.dumps(value)}")
    }
    assert taken == BEYOND_THE_SCHEMA


RIGHT = r"""
workers = 2
WORKERS = "2"
Workers = " +1_6 "
commit_interval_sec = 0.5
commit_interval_sec = 5
commit_interval_sec = "5e-1"
commit_interval_sec = ".5"
synchronous = "normal"
ack = "Committed"
log_level = "warning"
setup = "OFF"
commit_lock = false
commit_lock = 0
commit_lock = "On"
backup_time = "03:30"
backup_time = "OFF"
backup_keep = 30
backup_copy_dir = ""
backup_copy_dir = "/media/usb/flask10x"
retention_days = 0
retention_days = "365"
altitude_m = -3.5
house_name = "山の家"
timezone = "Asia/Tokyo"
timezone = "Etc/GMT+9"
place = "35.68, 139.77"
place = "-35,+139.5"
allowed_hosts = " RaspberryPi.local., .home.arpa,pi"
notify_hosts = "ntfy.sh"
ignored_senders = ""
ignored_senders = "freezer, attic_2"
partial_readings = " data4 = accept , reject"
write_tokens_file = "/etc/flask10x/tokens"
read_tokens_file = "credential:read"
mqtt_url = "mqtts://home@broker:8883"
MQTT_URL = "MQTT://[::1]/"
mqtt_discovery = ""
mqtt_discovery = "家/homeassistant"
host_name = "school-1"
bind = "raspberrypi.local:8888"
bind = "[fe80::1]:8888"
bind = "unix:/run/flask10x/flask10x.sock"
port = 9000
port = "9000"
data_dir = "~/flask10x"
csv_dir = "csv"
database_url = "sqlite:////srv/x.sqlite3"
""".strip().split("\n")


def test_the_schema_takes_what_the_program_takes(tmp_path: Path) -> None:
    file = tmp_path / "flask10x.toml"
    for line in RIGHT:
        file.write_text(line)
        settings.load({"FLASK10X_CONFIG": str(file)})
        schemas.check_right("flask10x", line)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("workers = 200", "{}: workers is 200: a whole number from 1 to 16 is needed"),
        ("WORKERS = 200", "{}: WORKERS is 200: a whole number from 1 to 16 is needed"),
        ("wokers = 2", "{}: unknown setting wokers (did you mean workers?)"),
        ("zzz = 2", "{}: unknown setting zzz"),
        ("config = 'a'", "{}: unknown setting config"),
        (
            "FLASK10X_WORKERS = 2",
            "{}: FLASK10X_WORKERS: names are written without FLASK10X_ in this file",
        ),
        ("workers = 2\nWorkers = 3", "{}: workers is there twice, also as Workers"),
        ("port = 9000\nbind = '[::]:1'", "{0}: port is 9000 but {0}: bind is [::]:1: set only one"),
        ("queue_warn_threshold = 5001", "{}: queue_warn_threshold is 5001, above"),
        ("workers", "FLASK10X_CONFIG: cannot read {}: Expected '='"),
        (
            'csv_dir = "/tmp/a\\u0000b"',
            "{}: csv_dir is '/tmp/a\\x00b': there is a NUL character in it",
        ),
    ],
)
def test_a_mistake_in_the_file_is_named_with_the_file(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "flask10x.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        settings.load({"FLASK10X_CONFIG": str(file)})
    assert str(caught.value).startswith(message.format(file))
    schemas.check_wrong("flask10x", text, [message])


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "flask10x.toml"
    file.write_bytes(b"# \xff")
    with pytest.raises(SettingsError, match="FLASK10X_CONFIG: cannot read"):
        settings.load({"FLASK10X_CONFIG": str(file)})


def test_a_file_that_is_a_pipe_or_too_long_is_named(tmp_path: Path) -> None:
    """A command waited for the writer of the pipe, perhaps for ever."""
    pipe, long = tmp_path / "pipe.toml", tmp_path / "long.toml"
    os.mkfifo(pipe)
    with pytest.raises(SettingsError, match=f"FLASK10X_CONFIG: {pipe} is a pipe, not a file"):
        settings.load({"FLASK10X_CONFIG": str(pipe)})
    long.write_text("# long\n" * 150_000)
    with pytest.raises(SettingsError, match="it has more than 1000000 bytes"):
        settings.load({"FLASK10X_CONFIG": str(long)})


def test_port_in_the_file_against_bind_in_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "flask10x.toml"
    file.write_text("port = 9000")
    with pytest.raises(SettingsError) as caught:
        settings.load({"FLASK10X_CONFIG": str(file), "FLASK10X_BIND": "0.0.0.0:1"})
    assert str(caught.value) == (
        f"{file}: port is 9000 but FLASK10X_BIND is 0.0.0.0:1: set only one of them"
    )


@pytest.mark.parametrize(
    ("value", "endpoints"),
    [
        ("reject", set()),
        ("accept", {"data", "data2", "data3", "data4"}),
        ("data4=accept", {"data4"}),
        (" data4 = accept , data2=accept", {"data2", "data4"}),
        ("accept,data2=reject", {"data", "data3", "data4"}),
        ("data2=reject,accept", {"data", "data3", "data4"}),
        ("data4=reject", set()),
    ],
)
def test_partial_readings_globally_or_for_each_station(value: str, endpoints: set[str]) -> None:
    loaded = settings.load({"FLASK10X_PARTIAL_READINGS": value})
    assert loaded.partial_readings == endpoints


def test_the_same_in_toml(tmp_path: Path) -> None:
    file = tmp_path / "flask10x.toml"
    file.write_text('ack = "Committed"\npartial_readings = "data4=accept"\n')
    loaded = settings.load({"FLASK10X_CONFIG": str(file)})
    assert loaded.ack == "committed"
    assert loaded.partial_readings == {"data4"}


def test_settings_toml_is_below_the_environment(tmp_path: Path) -> None:
    file = tmp_path / settings.NAME
    text = 'history_max = 500\nplace = "35.68,139.77"\n'
    file.write_text(text)
    schemas.check_right("settings", text)
    environ = {"FLASK10X_DATA_DIR": str(tmp_path)}
    loaded = settings.load(environ)
    assert loaded.history_max == 500
    assert loaded.places["history_max"] == f"{file}: history_max"
    assert settings.load({**environ, "FLASK10X_HISTORY_MAX": "7"}).history_max == 7
    assert settings.load(environ, file=b"history_max = 9").history_max == 9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("workers = 1", "only a restart changes this; set FLASK10X_WORKERS in the environment"),
        ('data_dir = "/x"', "only a restart"),
        ("history_mx = 1", "did you mean history_max"),
        ("history_max = 0", "settings.toml: history_max is 0"),
        ("history_max = ", "settings.toml: line 1"),
    ],
)
def test_a_mistake_in_settings_toml_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / settings.NAME).write_text(text)
    with pytest.raises(SettingsError, match=message):
        settings.load({"FLASK10X_DATA_DIR": str(tmp_path)})
    schemas.check_wrong("settings", text, [message])
