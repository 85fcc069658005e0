"""`alerts.toml`: the rules and channels that it makes, and what is said of each mistake in it."""

from datetime import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask10x.config import settings, station_file
from flask10x.config.alerts import file as alert_file
from flask10x.config.alerts.rules import (
    DEFAULT,
    Alerts,
    Apprise,
    BackupOverdue,
    Command,
    DatabaseTrouble,
    Disk,
    ExportOverdue,
    FailedSensor,
    Ntfy,
    Queue,
    QuietHours,
    Rate,
    RejectedSender,
    ReplicaOverdue,
    Silence,
    Threshold,
    Webhook,
)
from flask10x.errors import AlertsError, SettingsError
from flask10x.readings.stations import BUILT_IN, Stations
from tests.support import schemas

FILE = Path("/srv/alerts.toml")
STUFFY = """
[rules.stuffy]
kind = "threshold"
station = "data2"
measurement = "co2"
"""
WHOLE = """
language = "en"
base_url = "http://raspberrypi.local:8888/"
reminder_after_h = 12
daily_max = 5

[quiet_hours]
from = "22:00"
to = 07:30:00
urgent = ["database", "stuffy_bedroom"]

[rules.silence]
after_min = 2.5
channels = ["phone"]

[rules.queue]
for_min = 3

[rules.export]
after_h = 36

[rules.failed_sensor]
readings = 5

[rules.rejected]
readings = 3
within_min = 10

[rules.disk]
free_percent = 10

[rules.database]
for_min = 0

[rules.backup]
on = false

[rules.replica]
after_min = 2

[rules.copies]
on = false

[rules.stuffy_bedroom]
kind = "threshold"
station = "data2"
measurement = "co2"
above = 1500
clear = 1200
for_min = 10

[rules.frost]
kind = "threshold"
station = "data3"
measurement = "temperature"
below = 2
clear = 2

[rules.window]
kind = "rate"
station = "data4"
measurement = "temperature_dht11"
fall = 3.5
within_min = 15

[channels.phone]
kind = "apprise"
urls_file = "credential:alerts"
language = "ja"
daily_max = 200

[channels.house]
kind = "webhook"
url = "https://example.org/hook?a=1"
secret_file = "/etc/flask10x/secret"

[channels.family]
kind = "ntfy"
url_file = "/etc/flask10x/topic"
token_file = "credential:ntfy"
loopback = false

[channels.speaker]
kind = "command"
command = ["/usr/local/bin/say", "", "--loud"]
"""


def alerts(text: str, stations: Stations = BUILT_IN) -> Alerts:
    read = alert_file.parse(text.encode(), FILE, stations)
    schemas.check_right("alerts", text)
    return read


def test_names_of_a_former_version_are_read() -> None:
    """`ways` is `channels` now; a mistake has its line, and what is in quotes stays."""
    text = 'language = "en"\n[rules.disk]\n ways = ["ways"]\n[ways.ways]\nkind = "command"\n'
    former = alert_file.parse((text + 'command = ["/bin/ways"]').encode(), FILE, BUILT_IN)
    assert former.former_names == {"ways": "channels"}
    assert former.by_name["disk"].channels == ("ways",)
    (channel,) = former.channels
    assert isinstance(channel, Command) and channel.arguments == ("/bin/ways",)
    with pytest.raises(AlertsError) as caught:
        alert_file.parse((text + "[rules.disc]").encode(), FILE, BUILT_IN)
    assert "line 6: [rules.disc] kind: " in str(caught.value.mistakes)
    now = alert_file.with_names_of_now(text.encode()).decode()
    assert now == text.replace("[ways.", "[channels.").replace(" ways =", " channels =")
    assert alerts("").former_names == {}


def test_the_former_name_of_a_rule_is_read() -> None:
    text = """
[quiet_hours]
from = "22:00"
to = "07:00"
urgent = ["disk",
  'refused', "stuffy"]  # "refused"
[rules.refused]
readings = 3
[rules.stuffy]
kind = "refused"
stations = ["data"]
"""
    former = alert_file.parse(text.encode(), FILE, BUILT_IN)
    assert former.former_names == {"refused": "rejected"}
    assert former.quiet_hours and former.quiet_hours.urgent == ("disk", "rejected", "stuffy")
    rule, stuffy = former.by_name["rejected"], former.by_name["stuffy"]
    assert isinstance(rule, RejectedSender) and rule.readings == 3
    assert isinstance(stuffy, RejectedSender) and stuffy.stations == ("data",)
    now = alert_file.with_names_of_now(text.encode()).decode()
    assert now.count("refused") == 1 and '# "refused"' in now


@pytest.mark.parametrize(
    "text",
    [
        "[rules]\nrefused = { readings = 3 }",
        "[rules]\n  refused.readings = 3",
        "rules.refused.readings = 3",
        "[rules]\nmine = { readings = 3, kind = 'refused' }",
        "[rules]\nmine.kind = 'refused'\nmine.readings = 3",
    ],
)
def test_the_former_name_of_a_rule_is_read_in_each_notation(text: str) -> None:
    former = alert_file.parse(text.encode(), FILE, BUILT_IN)
    assert former.former_names == {"refused": "rejected"}
    (rule,) = (rule for rule in former.rules if isinstance(rule, RejectedSender))
    assert rule.readings == 3


def mistakes(text: str) -> list[str]:
    """The mistakes of the file, without its name, with which each begins."""
    with pytest.raises(AlertsError) as caught:
        alerts(text)
    assert all(mistake.startswith(f"{FILE}: ") for mistake in caught.value.mistakes)
    schemas.check_wrong("alerts", text, caught.value.mistakes)
    return [mistake.removeprefix(f"{FILE}: ") for mistake in caught.value.mistakes]


def test_a_file_with_every_key() -> None:
    assert alerts(WHOLE) == Alerts(
        rules=(
            Silence(after_sec=150, channels=("phone",)),
            Disk(free_percent=10),
            DatabaseTrouble(for_sec=0),
            ReplicaOverdue(after_sec=120),
            Queue(for_sec=180),
            ExportOverdue(after_sec=36 * 3600),
            FailedSensor(readings=5),
            RejectedSender(readings=3, within_sec=600),
            Threshold(
                name="stuffy_bedroom",
                station="data2",
                column="co2",
                above=1500,
                clear=1200,
                for_sec=600,
            ),
            Threshold(name="frost", station="data3", column="temperature", below=2, clear=2),
            Rate(
                name="window",
                station="data4",
                column="temperature_dht11",
                fall=3.5,
                within_sec=900,
            ),
        ),
        channels=(
            Apprise(name="phone", urls_file="credential:alerts", language="ja", daily_max=200),
            Webhook(
                name="house",
                url="https://example.org/hook?a=1",
                secret_file="/etc/flask10x/secret",
            ),
            Ntfy(
                name="family",
                url_file="/etc/flask10x/topic",
                token_file="credential:ntfy",
                loopback=False,
            ),
            Command(name="speaker", arguments=("/usr/local/bin/say", "", "--loud")),
        ),
        language="en",
        base_url="http://raspberrypi.local:8888",
        reminder_after_sec=12 * 3600,
        daily_max=5,
        quiet_hours=QuietHours(
            start=time(22), end=time(7, 30), urgent=("database", "stuffy_bedroom")
        ),
        file=str(FILE),
    )


def test_an_empty_file_changes_nothing() -> None:
    result = alerts("")
    assert (result.rules, result.channels, result.file) == (DEFAULT.rules, (), str(FILE))


@pytest.mark.parametrize("rule", DEFAULT.rules, ids=lambda rule: rule.name)
def test_what_is_on_by_default_can_be_turned_off(rule: Silence | Disk | BackupOverdue) -> None:
    result = alerts(f"[rules.{rule.name}]\non = false\n")
    assert result.rules == tuple(other for other in DEFAULT.rules if other is not rule)


@pytest.mark.parametrize(
    ("name", "rule"),
    [("failed_sensor", FailedSensor()), ("rejected", RejectedSender()), ("queue", Queue()),
     ("export", ExportOverdue())],
)  # fmt: skip
def test_a_rule_called_like_its_kind_needs_no_key(name: str, rule: Queue) -> None:
    assert alerts(f"[rules.{name}]\n").by_name[name] == rule


def test_a_rule_for_all_stations_leaves_out_those_that_have_one_of_their_own() -> None:
    text = '[rules.silence_pico]\nkind = "silence"\nstations = ["data"]\nafter_min = 60\n'
    result = alerts(text).by_name
    assert result["silence_pico"] == Silence(
        name="silence_pico", stations=("data",), after_sec=3600
    )
    assert result["silence"] == Silence(stations=("data2", "data3", "data4"))

    everyone = text.replace('["data"]', '["data", "data2", "data3", "data4"]')
    assert "silence" not in alerts(everyone).by_name
    assert alerts(f"{text}on = false\n").by_name["silence"] == Silence()


def test_a_rule_that_is_off_may_name_what_is_gone() -> None:
    text = f"{STUFFY}above = 1000\nclear = 900\n".replace("data2", "balcony")
    assert mistakes(text) == [
        "line 4: [rules.stuffy] station: there is no station balcony",
    ]
    assert alerts(f"{text}on = false\n").rules == DEFAULT.rules


def test_a_station_of_the_file_of_stations_can_be_named() -> None:
    added = '[stations.balcony.measurements.lux]\nunit = "lx"\n'
    stations = station_file.parse(added.encode(), Path("/srv/stations.toml"))
    text = f"{STUFFY}below = 1\nclear = 2\n".replace("data2", "balcony").replace("co2", "lux")
    assert alerts(text, stations).by_name["stuffy"].kind == "threshold"


# Mistakes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('language = "jp"', "line 1: language: is 'jp': one of en, ja is needed"),
        ("dayly_max = 1", "line 1: dayly_max: unknown key (did you mean daily_max?)"),
        ("[rule.x]", "line 1: rule: unknown key (did you mean rules?)"),
        ("daily_max = 0", "line 1: daily_max: is 0: a whole number from 1 to 1000 is needed"),
        (
            "reminder_after_h = 0",
            "line 1: reminder_after_h: is 0: a number from 1 to 744 is needed",
        ),
        ("rules = 1", "line 1: rules: is 1: a table is needed"),
        ("[rules]\nsilence = true", "line 2: [rules] silence: is True: a table is needed"),
        ("[rules.silence]\non = 1", "line 2: [rules.silence] on: is 1: true or false is needed"),
        (
            "[rules.silence]\nafter = 10",
            "line 2: [rules.silence] after: unknown key (did you mean after_min?)",
        ),
        (
            "[rules.silence]\nafter_min = 0",
            "line 2: [rules.silence] after_min: is 0: a number from 0.5 to 44640 is needed",
        ),
        (
            '[rules.silence]\nstations = ["dta2"]',
            "line 2: [rules.silence] stations: there is no station dta2 (did you mean data2?)",
        ),
        (
            "[rules.silence]\nstations = []",
            "line 2: [rules.silence] stations: is []: name one at least; without the key it is all"
            " of them",
        ),
        (
            '[rules.silence]\nstations = ["data", "data"]',
            "line 2: [rules.silence] stations: is ['data', 'data']: a name is there twice",
        ),
        (
            '[rules.silence]\nkind = "disk"',
            "line 2: [rules.silence] kind: is 'disk': the rule silence has its own kind; give this"
            " one another name",
        ),
        (
            '[rules.x]\nkind = "treshold"',
            "line 2: [rules.x] kind: is 'treshold': one of silence, threshold, rate, stuck,"
            " failed_sensor, rejected, queue, disk, database, export, backup, replica, copies is"
            " needed (did you mean threshold?)",
        ),
        (
            "[rules.slience]",
            "line 1: [rules.slience] kind: is missing: one of silence, threshold, rate,"
            " stuck, failed_sensor, rejected, queue, disk, database, export, backup, replica,"
            " copies (did you mean silence?)",
        ),
        (
            "[rules.My-Disk]\nkind = 'disk'",
            "line 1: [rules.My-Disk] small letters a to z, digits, - and _ are needed, a letter"
            " first, 32 at most (did you mean my_disk?)",
        ),
        (
            '[rules.disk]\nways = ["phon"]\n[channels.phone]\nkind = "apprise"\nurls_file = "/x"',
            "line 2: [rules.disk] channels: there is no channel phon (did you mean phone?)",
        ),
        (
            '[quiet_hours]\nfrom = "22:00"\nto = "22:00"',
            "line 3: [quiet_hours] to: is the same as from",
        ),
        (
            '[quiet_hours]\nfrom = "24:00"\nto = "07:00"',
            """line 2: [quiet_hours] from: is '24:00': a time from "00:00" to "23:59" is needed""",
        ),
        ('[quiet_hours]\nfrom = "22:00"', "line 1: [quiet_hours] to: is missing"),
        (
            '[quiet_hours]\nfrom = "22:00"\nto = "07:00"\nurgent = ["disc"]',
            "line 4: [quiet_hours] urgent: there is no rule disc (did you mean disk?)",
        ),
        (
            "[channels.x]",
            "line 1: [channels.x] kind: is missing: one of webhook, ntfy, command, apprise",
        ),
        (
            '[channels.x]\nkind = "mail"',
            "line 2: [channels.x] kind: is 'mail':"
            " one of webhook, ntfy, command, apprise is needed",
        ),
        (
            '[channels.x]\nkind = "command"\ncommand = ["say", "hi"]',
            "line 3: [channels.x] command: is 'say': the whole path of the program is needed, such"
            " as /usr/bin/logger",
        ),
        (
            '[channels.x]\nkind = "command"\ncommand = "/bin/say hi"',
            "line 3: [channels.x] command: is '/bin/say hi': a list such as"
            ' ["/usr/local/bin/say", "--loud"] is needed',
        ),
        (
            '[channels.x]\nkind = "apprise"\nurls_file = "urls"',
            "line 3: [channels.x] urls_file: is 'urls': /absolute/path is needed, or credential:"
            " and a name",
        ),
        (
            '[channels.x]\nkind = "webhook"\nurl = "https://example.org"\nsecret = "s"',
            "line 4: [channels.x] secret: unknown key (did you mean secret_file?)",
        ),
    ],
)
def test_the_message_of_a_mistake(text: str, message: str) -> None:
    assert mistakes(text) == [message]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            "above = 1500",
            "2: [rules.stuffy] clear: is missing: the value at which the alert ends; a little away"
            " from the limit, so that it does not come and go",
        ),
        ("clear = 1200", "2: [rules.stuffy] above: is missing, or below"),
        (
            "above = 2\nbelow = 1\nclear = 1",
            "7: [rules.stuffy] below: above or below is needed, not both",
        ),
        (
            'above = 1500\nclear = 1200\nfrom = "18:00"',
            "2: [rules.stuffy] to: is missing: from and to are needed together",
        ),
        (
            'above = 1500\nclear = 1200\nfrom = "18:00"\nto = 18:00:00',
            "9: [rules.stuffy] to: is the same as from",
        ),
        (
            "above = 1500\nclear = 1501",
            "7: [rules.stuffy] clear: is 1501, above the limit: at most above = 1500 is needed",
        ),
        (
            "below = 400\nclear = 399.5",
            "7: [rules.stuffy] clear: is 399.5, below the limit: at least below = 400 is needed",
        ),
        (
            "above = 200000\nclear = 1",
            "6: [rules.stuffy] above: is 200000, and no reading has more than 200000: it would"
            " never be an alert",
        ),
        (
            "below = 0\nclear = 1",
            "6: [rules.stuffy] below: is 0, and no reading has less than 0: it would never be an"
            " alert",
        ),
        (
            "above = 1500\nclear = -1",
            "7: [rules.stuffy] clear: is -1, and no reading has less than 0: the alert would never"
            " end",
        ),
        (
            "below = 400\nclear = 200001",
            "7: [rules.stuffy] clear: is 200001, and no reading has more than 200000: the alert"
            " would never end",
        ),
        ('above = "1500"\nclear = 1', "6: [rules.stuffy] above: is '1500': a number is needed"),
        ("above = inf\nclear = 1", "6: [rules.stuffy] above: is inf: a number is needed"),
    ],
)
def test_a_limit_and_its_end_go_together(keys: str, message: str) -> None:
    assert mistakes(f"{STUFFY}{keys}\n") == [f"line {message}"]


@pytest.mark.parametrize(
    ("named", "near"),
    [("c02", " (did you mean co2?)"), ("mh_z19.co2", " (did you mean co2?)"), ("radon", "")],
)
def test_a_measurement_is_named_by_its_column(named: str, near: str) -> None:
    text = f"{STUFFY}above = 1500\nclear = 1200\n".replace("data2", "data4").replace(
        '"co2"', f'"{named}"'
    )
    assert mistakes(text) == [
        f"line 5: [rules.stuffy] measurement: the station data4 has no measurement {named}{near}"
    ]


def test_a_change_has_one_direction() -> None:
    text = STUFFY.replace("threshold", "rate")
    assert mistakes(f"{text}rise = 0\n") == [
        "line 2: [rules.stuffy] within_min: is missing",
        "line 6: [rules.stuffy] rise: is 0: a number above 0 is needed",
    ]
    assert mistakes(f"{text}fall = 200001\nwithin_min = 1\n") == [
        "line 6: [rules.stuffy] fall: is 200001, and readings are from 0 to 200000: it would never"
        " be an alert"
    ]
    assert mistakes(f"{text}rise = 1\nfall = 1\nwithin_min = 1\n") == [
        "line 7: [rules.stuffy] fall: rise or fall is needed, not both"
    ]


@pytest.mark.parametrize(
    "url",
    ["ftp://x", "example.org", "http://", "https://exa mple.org", "http://例え.jp", "http://x:99999",
     "http://[::1", "https://x/#a", 8888],
)  # fmt: skip
@pytest.mark.parametrize("key", ["base_url", "url"])
def test_an_address_has_a_host_that_can_be_asked(url: str | int, key: str) -> None:
    quoted = f'"{url}"' if isinstance(url, str) else url
    written = f"{key} = {quoted}\n"
    text = written if key == "base_url" else f'[channels.x]\nkind = "webhook"\n{written}'
    (message,) = mistakes(text)
    assert f"{key}: is {url!r}: an address such as http" in message


def test_an_address_has_no_password_and_that_of_the_pages_no_query() -> None:
    text = 'base_url = "http://x/?a"\n[channels.x]\nkind = "webhook"\nurl = "https://a:b@x"\n'
    assert mistakes(text) == [
        "line 1: base_url: is 'http://x/?a': an address without ? is needed",
        "line 4: [channels.x] url: is 'https://a:b@x': an address without a user and a password is"
        " needed",
    ]


def test_all_mistakes_are_named_from_the_top_down() -> None:
    text = '[channels.x]\nkind = "mail"\n[rules.disk]\nfree_percent = 0\nways = ["y"]\n'
    assert [mistake.partition(":")[0] for mistake in mistakes(text)] == [
        "line 2",
        "line 4",
        "line 5",
    ]


@given(st.text(alphabet='abkindrulesways[].="\n10 ', max_size=60))
def test_no_text_ends_otherwise_than_by_a_mistake(text: str) -> None:
    try:
        alerts(text)
    except AlertsError as error:
        assert error.mistakes


# The setting


def test_the_file_of_the_data_folder_is_read(tmp_path: Path) -> None:
    environ = {"FLASK10X_DATA_DIR": str(tmp_path)}
    assert settings.load(environ).alerts == DEFAULT
    (tmp_path / "alerts.toml").write_text("daily_max = 3\n")
    assert settings.load(environ).alerts.daily_max == 3
    (tmp_path / "alerts.toml").write_text("daily_max = -3\n")
    with pytest.raises(AlertsError, match=r"alerts\.toml: line 1: daily_max: is -3"):
        settings.load(environ)
    assert settings.load(environ, alerts=DEFAULT).alerts is DEFAULT


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    environ = {"FLASK10X_ALERTS": f"{tmp_path}/mine.toml"}
    with pytest.raises(SettingsError, match=r"FLASK10X_ALERTS: there is no file .*/mine\.toml"):
        settings.load(environ)
    (tmp_path / "mine.toml").write_text("[rules.disk]\non = false\n")
    assert "disk" not in settings.load(environ).alerts.by_name


def test_the_rules_speak_of_the_stations_of_the_same_settings(tmp_path: Path) -> None:
    environ = {"FLASK10X_DATA_DIR": str(tmp_path)}
    (tmp_path / "alerts.toml").write_text('[rules.silence]\nstations = ["balcony"]\n')
    with pytest.raises(AlertsError, match="there is no station balcony"):
        settings.load(environ)
    (tmp_path / "stations.toml").write_text('[stations.balcony.measurements.lux]\nunit = "lx"\n')
    assert settings.load(environ).alerts.by_name["silence"] == Silence(stations=("balcony",))
