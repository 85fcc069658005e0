"""The house in a backup: what it has, what comes back, and what a file from anywhere may not do."""

import os
import sqlite3
import tomllib
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from flask10x.config.house import House, check
from flask10x.config.settings import Settings
from flask10x.errors import RestoreError
from tests.support.commands import in_words, run_command
from tests.support.databases import environment_of
from tests.support.new_database import lay_new_database
from tests.support.rows import execute, select

pytestmark = pytest.mark.sqlite_only("a backup is restored as a file")

FREEZER = """\
# Bought in 2021.
[stations.freezer]
label = "Freezer"
[stations.freezer.measurements.temperature]
unit = "°C"
"""
SETTINGS = 'house_name = "Kita"\nplace = "43.06, 141.35"\n'
TYPED = "phone-0123abcd"
URL = "ntfys://ntfy.sh/a-topic"


def alerts(folder: Path, **channel: str) -> str:
    place = channel or {"kind": '"apprise"', "urls_file": f'"{folder}/channels/{TYPED}"'}
    lines = "\n".join(f"{key} = {value}" for key, value in place.items())
    rule = '[rules.cold]\nkind = "threshold"\nstation = "freezer"\n'
    rule += 'measurement = "temperature"\nabove = -15\nclear = -16\n'
    return f"{rule}[channels.phone]\nloopback = false\n{lines}\n"


class Installation:
    """An installation, by its commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        lay_new_database(folder / "flask10x.sqlite3")

    def run(self, *arguments: object) -> CompletedProcess[str]:
        # As the markers of databases lie: one place for all of a test.
        markers = os.environ["STATE_DIRECTORY"]
        environment = {**environment_of(self.folder), "STATE_DIRECTORY": markers}
        return in_words(run_command([*map(str, arguments)], environment))

    def done(self, *arguments: object) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def text(self, name: str) -> str:
        return (self.folder / name).read_text()

    def put(self, name: str, text: str, mode: int = 0o600) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def backed_up(self, *options: str) -> Path:
        self.done("backup", self.folder / "usb", *options)
        return max((self.folder / "usb").glob("*.sqlite3"))


@pytest.fixture
def old(tmp_path: Path) -> Installation:
    house = Installation(tmp_path / "old")
    house.put("stations.toml", FREEZER)
    house.put("settings.toml", SETTINGS)
    house.put("alerts.toml", alerts(house.folder))
    house.put(f"channels/{TYPED}", f"{URL}\n")
    house.done("migrate")
    path = house.folder / "flask10x.sqlite3"
    execute(
        path, "INSERT INTO readings (endpoint, received_at, temperature) VALUES ('freezer', 1, -18)"
    )
    return house


@pytest.fixture
def new(tmp_path: Path) -> Installation:
    return Installation(tmp_path / "new")


def test_an_empty_installation_becomes_the_house(old: Installation, new: Installation) -> None:
    said = new.done("restore", old.backed_up("--secrets"))
    for name in ("stations.toml", "settings.toml"):
        assert new.text(name) == old.text(name)
        assert f"{new.folder / name}: restored\n" in said
    # What a form has set works in whichever folder the house is.
    channel = tomllib.loads(new.text("alerts.toml"))["channels"]["phone"]
    assert channel["urls_file"] == str(new.folder / "channels" / TYPED)
    secret = new.folder / "channels" / TYPED
    assert secret.read_text() == f"{URL}\n" and secret.stat().st_mode & 0o777 == 0o600
    assert "Enter again" not in said
    assert select(new.folder / "flask10x.sqlite3", "SELECT endpoint FROM readings") == [
        ("freezer",)
    ]
    assert "house_files" not in str(
        select(new.folder / "flask10x.sqlite3", "SELECT name FROM sqlite_master")
    )
    new.done("alerts", "check")


def test_secrets_are_there_only_where_they_were_asked_for(
    old: Installation, new: Installation
) -> None:
    backup = old.backed_up()
    assert URL.encode() not in backup.read_bytes()
    with_secrets = old.run("backup", old.folder / "usb", "--secrets")
    assert "It holds the secrets of channels (1)" in with_secrets.stdout
    said = new.done("restore", backup)
    place = new.folder / "channels" / TYPED
    assert f"Enter again, it is not in the backup: the secret of phone ({place})" in said


def test_what_is_replaced_is_kept_and_can_be_taken_back(
    old: Installation, new: Installation
) -> None:
    new.put("settings.toml", 'house_name = "Minami"\n')
    backup = old.backed_up()
    kept = "settings.toml here differs from the one in the backup, and stays"
    assert f"{kept}; --only settings restores it\n" in new.done("restore", backup)
    assert new.text("settings.toml") == 'house_name = "Minami"\n'
    assert new.text("stations.toml") == FREEZER
    said = new.done("restore", backup, "--only", "settings")
    path = new.folder / "settings.toml"
    assert f"{path}: restored; settings.toml.before is the file that was there\n" in said
    assert new.text("settings.toml.before") == 'house_name = "Minami"\n'
    (change,) = (p for p in (new.folder / "changes").glob("*.json") if "Minami" in p.read_text())
    assert '"kind": "restored"' in change.read_text()


def test_parts_are_restored_by_themselves(old: Installation, new: Installation) -> None:
    new.put("settings.toml", 'house_name = "Minami"\n')
    backup = old.backed_up()
    assert new.done("restore", backup, "--only", "stations") == (
        f"{new.folder / 'stations.toml'}: restored\n"
    )
    assert new.text("stations.toml") == FREEZER
    assert new.text("settings.toml") == 'house_name = "Minami"\n'
    assert not (new.folder / "alerts.toml").exists()
    assert select(new.folder / "flask10x.sqlite3", "SELECT * FROM readings") == []
    new.done("restore", backup, "--only", "readings")
    assert not (new.folder / "alerts.toml").exists()


def test_it_is_shown_beside_what_is_here_and_nothing_is_changed(
    old: Installation, new: Installation
) -> None:
    new.put("settings.toml", 'house_name = "Minami"\n')
    new.put("stations.toml", FREEZER)
    backup = old.backed_up()
    before = {path: path.read_bytes() for path in new.folder.rglob("*") if path.is_file()}
    assert new.done("restore", backup, "--show").splitlines() == [
        f"{backup}: whole: 1 row",
        "stations.toml: the same in the backup and here",
        "settings.toml in the backup: house_name = Kita, place = 43.06, 141.35;"
        " here: house_name = Minami",
        "alerts.toml in the backup: cold, phone; here: nothing",
    ]
    assert {path: path.read_bytes() for path in before} == before


def test_a_backup_without_them_is_restored_as_before(old: Installation, new: Installation) -> None:
    backup = old.backed_up()
    with closing(sqlite3.connect(backup)) as connection:
        connection.execute("DROP TABLE house_files")
    backup.with_name(f"{backup.name}.sha256").unlink()
    said = new.run("restore", backup)
    assert said.returncode == 0 and "settings.toml" not in said.stdout
    assert not (new.folder / "stations.toml").exists()
    assert "the backup has no alerts.toml" in new.run("restore", backup, "--only", "alerts").stderr


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("stations.toml", "[stations.freezer", "stations.toml: line 1"),
        ("settings.toml", 'hose_name = "Kita"', "hose_name"),
        ("settings.toml", 'write_tokens_file = "/none/tokens"', "/none/tokens"),
        (
            "alerts.toml",
            '[rules.x]\nkind = "threshold"\nstation = "bath"\n',
            "[rules.x] measurement",
        ),
    ],
)
def test_nothing_is_changed_where_the_service_could_not_start(
    old: Installation, new: Installation, name: str, text: str, reason: str
) -> None:
    backup = old.backed_up()
    execute(
        backup, f"UPDATE house_files SET content = CAST('{text}' AS BLOB) WHERE name = '{name}'"
    )
    backup.with_name(f"{backup.name}.sha256").unlink()
    done = new.run("restore", backup)
    assert done.returncode == 1 and reason in done.stderr
    assert not (new.folder / "stations.toml").exists()
    assert select(new.folder / "flask10x.sqlite3", "SELECT * FROM readings") == []
    # The other parts of it are.
    new.done("restore", backup, "--only", "readings")


def test_a_folder_that_cannot_be_written_is_named_first(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # root may write into any folder.
    monkeypatch.setattr(os, "access", lambda path, _mode: path != settings.data_dir.resolve())
    with pytest.raises(RestoreError, match=f"cannot write into {settings.data_dir}: run this as"):
        check(settings, House({"stations": b""}), ["stations"])


@pytest.mark.parametrize(
    ("channel", "named"),
    [
        ({"kind": '"command"', "command": '["/bin/touch", "/tmp/x"]'}, "[channels.phone]"),
        ({"kind": '"webhook"', "url_file": '"/etc/flask10x/tokens"'}, "[channels.phone]"),
    ],
)
def test_a_page_restores_only_what_a_form_sets(
    old: Installation, new: Installation, channel: dict[str, str], named: str
) -> None:
    text = alerts(old.folder, **channel)
    if "command" in channel:
        text = text.replace("loopback = false\n", "")
    old.put("alerts.toml", text)
    backup = old.backed_up()
    words = ("restore", backup, "--only", "stations", "--only", "alerts")
    done = new.run(*words, "--by-service")
    assert done.returncode == 1
    assert f"alerts.toml has {named}, which no form sets" in done.stderr
    assert not (new.folder / "alerts.toml").exists()
    # Somebody with a shell may.
    new.done(*words)
    assert named in new.text("alerts.toml")


def test_a_table_of_another_kind_or_size_is_not_read(old: Installation, new: Installation) -> None:
    backup = old.backed_up()
    backup.with_name(f"{backup.name}.sha256").unlink()
    execute(backup, "UPDATE house_files SET content = zeroblob(2000000)")
    assert "settings.toml: not in the backup" in new.done("restore", backup, "--show")
    execute(backup, "DROP TABLE house_files")
    execute(
        backup,
        "CREATE VIEW house_files AS WITH RECURSIVE f(name, content) AS"
        " (SELECT 'x', x'00' UNION ALL SELECT name, content FROM f) SELECT * FROM f",
    )
    assert "settings.toml: not in the backup" in new.done("restore", backup, "--show")


def test_only_and_show_are_of_a_file(new: Installation) -> None:
    assert "--only and --show go with FILE only" in new.run("restore", "--replica", "--show").stderr
