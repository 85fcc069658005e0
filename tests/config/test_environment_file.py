"""The environment file: what systemd would read there, and which process reads it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask10x.config import environment_file
from flask10x.config import settings as settings_module
from flask10x.errors import SettingsError

# systemd's own parser; what it finds in `environment.d`, this program of it writes out.
GENERATOR = Path("/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator")
EXAMPLES = {
    "A=1\nB=2\n": {"A": "1", "B": "2"},
    "A=1": {"A": "1"},
    "A=1\r\nB=2\r\n": {"A": "1", "B": "2"},
    "# A=1\n;B=2\n  # C=3\nD=4\n": {"D": "4"},
    "A=first\nA=second\n": {"A": "second"},
    "  A =  spaces around  \n": {"A": "spaces around"},
    "A=a  # not a comment\n": {"A": "a  # not a comment"},
    "A=\nB=\t\n": {"A": "", "B": ""},
    "A=x=y\n": {"A": "x=y"},
    'A="one two" \n': {"A": "one two"},
    "A='one' \"two\" three\n": {"A": "onetwothree"},
    'A=it\'s "one"\n': {"A": 'it\'s "one"'},
    'A="x\\"y\\\\z\\q"\n': {"A": 'x"y\\z\\q'},
    "A='x\\'\nB=1\n": {"A": "x\\", "B": "1"},
    'A="two\nlines"\n': {"A": "two\nlines"},
    'A="joined\\\nline"\n': {"A": "joinedline"},
    "A=joined\\\nline\n": {"A": "joinedline"},
    "A=a\\ \n": {"A": "a "},
    "A=a\\bc\\\\\n": {"A": "abc\\"},
    "A=a\\": {"A": "a"},
    "export A=1\nB\n=C=1\n1D=1\nE-F=1\nG=1\n": {"G": "1"},
    "A=日本 \n": {"A": "日本"},
}


def parsed(text: str) -> dict[str, str]:
    return {each.name: each.value for each in environment_file.assignments(text)}


def parsed_by_systemd(folder: Path, text: str) -> dict[str, str]:
    place = folder / "environment.d" / "flask10x.conf"
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(text.encode())
    ran = subprocess.run(
        [GENERATOR],
        env={"XDG_CONFIG_HOME": str(folder), "HOME": str(folder)},
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    result = dict(line.split("=", 1) for line in ran.stdout.splitlines())
    # The machine has some of its own there.
    return {n: _unescaped(value) for n, value in result.items() if re.fullmatch("[A-Gab12]+", n)}


def _unescaped(value: str) -> str:
    return str(json.loads(value)) if value.startswith('"') else value


@pytest.mark.parametrize("text", EXAMPLES)
def test_a_file_is_read_as_its_manual_says(text: str) -> None:
    assert parsed(text) == EXAMPLES[text]


@pytest.mark.skipif(not GENERATOR.exists(), reason="systemd is not here to compare with")
def test_systemd_reads_the_same(tmp_path: Path) -> None:
    for text, expected in EXAMPLES.items():
        # `environment.d` has no empty values.
        if all(expected.values()):
            assert parsed_by_systemd(tmp_path, text) == expected, text


@pytest.mark.skipif(not GENERATOR.exists(), reason="systemd is not here to compare with")
def test_systemd_reads_the_same_of_anything(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("systemd")

    # A dollar sign means something in `environment.d` only, and there are no empty values.
    @given(st.lists(st.sampled_from(["A=", "B=", *"Cab12 \t\n\r\\\"';#=é"]), max_size=30))
    def same(pieces: list[str]) -> None:
        text = "".join(pieces)
        try:
            result = list(environment_file.assignments(text))
        except SettingsError:
            return
        if all(each.value for each in result):
            assert parsed_by_systemd(folder, text) == {each.name: each.value for each in result}

    same()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A=1\nexport FLASK10X_PORT=1\n", "line 2: 'export FLASK10X_PORT': systemd ignores this"),
        ("\n\nFLASK10X_PORT\n", "line 3: 'FLASK10X_PORT': systemd ignores this line; NAME=value"),
        ('A="1\nFLASK10X_PORT=1\n', "line 1: a quote is opened and never closed"),
        ("A= '1\n", "line 1: a quote is opened and never closed"),
        ("A=1\n# one \\\nFLASK10X_PORT=1\n", "line 2: a comment must not end with a backslash"),
    ],
)
def test_what_systemd_would_not_take_is_named(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match="line") as caught:
        parsed(text)
    assert str(caught.value).startswith(message)


# Which file, and what becomes of it


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """What a test takes over is forgotten after it."""
    yield
    environment_file._files.clear()
    environment_file._places.clear()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "flask10x.env"
    file.write_text("# settings\nFLASK10X_PORT=9000\nFLASK10X_WORKERS=4\nPATH=/nowhere\n")
    return file


@pytest.fixture
def service(file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The service's own file, while the program is where the service is installed."""
    monkeypatch.setattr(environment_file, "SERVICE_FILE", file)
    monkeypatch.setattr(environment_file, "SERVICE_DATA_DIR", file.parent / "data")
    monkeypatch.setattr(environment_file, "PROGRAM", Path(environment_file.__file__).parents[2])
    return file


def taken_over(environ: dict[str, str]) -> dict[str, str]:
    environment_file.take_over(environ)
    assert environ.pop("FLASK10X_ENV_FILE") == ""
    return environ


def test_the_environment_wins_over_the_file(file: Path) -> None:
    environ = {"FLASK10X_ENV_FILE": str(file), "FLASK10X_WORKERS": "1"}

    assert taken_over(environ) == {"FLASK10X_WORKERS": "1", "FLASK10X_PORT": "9000"}
    assert environment_file.loaded_file() == file


def test_an_installed_program_reads_the_file_of_the_service(service: Path) -> None:
    result = taken_over({})

    assert result["FLASK10X_PORT"] == "9000"
    assert result["FLASK10X_DATA_DIR"] == str(environment_file.SERVICE_DATA_DIR)


def test_the_data_folder_of_the_file_is_the_services(service: Path) -> None:
    service.write_text("FLASK10X_DATA_DIR=/mnt/ssd\n")

    assert taken_over({}) == {"FLASK10X_DATA_DIR": "/mnt/ssd"}


def test_the_data_folder_of_the_service_leads_to_its_file(
    service: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment_file, "PROGRAM", Path("/opt/flask10x"))
    data = {"FLASK10X_DATA_DIR": str(environment_file.SERVICE_DATA_DIR)}

    assert taken_over({"FLASK10X_DATA_DIR": "/srv/x"}) == {"FLASK10X_DATA_DIR": "/srv/x"}
    assert taken_over(dict(data)) == {
        **data,
        "FLASK10X_PORT": "9000",
        "FLASK10X_WORKERS": "4",
    }


def test_a_service_may_have_no_file(service: Path) -> None:
    service.unlink()
    assert taken_over({}) == {}
    assert environment_file.loaded_file() is None

    environment_file.SERVICE_DATA_DIR.mkdir()
    assert taken_over({}) == {"FLASK10X_DATA_DIR": str(environment_file.SERVICE_DATA_DIR)}


def test_an_empty_name_is_no_file(service: Path) -> None:
    assert taken_over({"FLASK10X_ENV_FILE": ""}) == {}


def test_a_file_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    missing = tmp_path / "flask10x.env"

    with pytest.raises(SettingsError) as caught:
        taken_over({"FLASK10X_ENV_FILE": str(missing)})
    assert str(caught.value) == f"FLASK10X_ENV_FILE: there is no file {missing}"


def test_a_unit_has_its_settings_from_systemd(service: Path) -> None:
    """Which reads the file as root; that of an older installation may be root's alone."""
    unit = {"SYSTEMD_EXEC_PID": str(os.getpid()), "FLASK10X_DATA_DIR": "/mnt/ssd"}
    assert taken_over(dict(unit)) == unit

    # What another unit starts, which names no file, reads it by itself.
    del unit["FLASK10X_DATA_DIR"]
    assert taken_over(dict(unit))["FLASK10X_PORT"] == "9000"


def test_a_file_that_may_not_be_read_says_who_may(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(SettingsError) as caught:
        taken_over({"FLASK10X_ENV_FILE": str(file)})

    text_shown = str(caught.value)
    assert text_shown.startswith(
        f"cannot read {file}, which has the settings of the service: Permission"
    )
    assert "sudo -u flask10x" in text_shown
    assert f"sudo chown root:flask10x {file}; sudo chmod 640 {file}" in text_shown


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"FLASK10X_PORT=\xff\n", "cannot read {}: 'utf-8' codec can't decode"),
        (b"FLASK10X_PORT=\0\n", "cannot read {}: there is a NUL character in it"),
        (b"FLASK10X_PORT='1\n", "{}, line 1: a quote is opened and never closed"),
        (b"\nFLASK10X_ENV_FILE=/x\n", "{}, line 2: FLASK10X_ENV_FILE is not for this file"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(file: Path, content: bytes, message: str) -> None:
    file.write_bytes(content)
    environ = {"FLASK10X_ENV_FILE": str(file)}

    with pytest.raises(SettingsError) as caught:
        environment_file.take_over(environ)
    assert str(caught.value).startswith(message.format(file))
    assert environ == {"FLASK10X_ENV_FILE": str(file)}


# In the settings


def loaded(environ: dict[str, str], ask: str) -> subprocess.CompletedProcess[str]:
    """What a process of its own prints of its settings `s`."""
    program = (
        "import os, sys, time\n"
        "from flask10x.config import settings\n"
        "from flask10x.errors import SettingsError\n"
        "try:\n"
        "    s = settings.load()\n"
        "except SettingsError as error:\n"
        "    sys.exit(str(error))\n"
        f"print({ask})\n"
    )
    return subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_file_is_above_the_toml_file_and_may_name_it(tmp_path: Path, file: Path) -> None:
    toml = tmp_path / "flask10x.toml"
    toml.write_text("workers = 1\nthreads = 7\nhistory_max = 9\n")
    file.write_text(f"FLASK10X_CONFIG={toml}\nFLASK10X_WORKERS=4\nFLASK10X_THREADS=3\n")
    environ = {"FLASK10X_ENV_FILE": str(file), "FLASK10X_THREADS": "5"}

    assert loaded(environ, "s.workers, s.threads, s.history_max").stdout == "4 5 9\n"


def test_a_process_takes_the_zone_of_the_service_over(file: Path) -> None:
    file.write_text("TZ=Asia/Tokyo\n")
    ask = "s.zone, time.localtime(0).tm_hour"

    assert loaded({"FLASK10X_ENV_FILE": str(file), "TZ": "UTC"}, ask).stdout == "None 0\n"
    assert loaded({"FLASK10X_ENV_FILE": str(file)}, ask).stdout == "None 9\n"


def test_a_tz_that_is_no_zone_is_refused_unless_the_setting_says_which(file: Path) -> None:
    """The C library takes it for UTC without a word, and a CSV file would be noted under it."""
    file.write_text("\nTZ=Asia/Tokio\n")
    environ = {"FLASK10X_ENV_FILE": str(file)}

    (text_shown,) = loaded(environ, "s.zone").stderr.splitlines()[-1:]
    assert text_shown.endswith(
        f"{file}, line 2: TZ is 'Asia/Tokio': a zone such as Asia/Tokyo is needed"
    )
    environ["FLASK10X_TIMEZONE"] = "Asia/Tokyo"
    assert loaded(environ, "s.zone").stdout == "Asia/Tokyo\n"


def test_the_file_is_read_once_for_all_that_a_process_starts(file: Path) -> None:
    """A worker that replaces another one may not meet a file that somebody is changing."""
    ask = f"open({str(file)!r}, 'w').write('FLASK10X_PORT=x'), settings.load().bind"
    again = loaded({"FLASK10X_ENV_FILE": str(file)}, ask)

    assert (again.stdout, again.stderr) == ("15 0.0.0.0:9000\n", "")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("FLASK10X_WORKERS=0", "FLASK10X_WORKERS is '0': a whole number from 1 to 16 is needed"),
        ("FLASK10X_WORKER=2", "unknown setting FLASK10X_WORKER (did you mean FLASK10X_WORKERS?)"),
        ("FLASK10X_TIMEZONE=Asia/Tokyo # at home", "FLASK10X_TIMEZONE is 'Asia/Tokyo # at home'"),
        ("FLASK10X_CONFIG=/nowhere.toml", "FLASK10X_CONFIG: cannot read /nowhere.toml"),
        ("FLASK10X_QUEUE_WARN_THRESHOLD=9999", "FLASK10X_QUEUE_WARN_THRESHOLD is 9999, above"),
    ],
)
def test_a_wrong_setting_is_named_with_file_and_line(file: Path, line: str, message: str) -> None:
    file.write_text(f"# settings\n\n{line}\n")
    text_shown = loaded({"FLASK10X_ENV_FILE": str(file)}, "s").stderr

    assert text_shown.startswith(f"{file}, line 3: {message}")


def test_an_environment_that_is_passed_in_is_not_added_to(service: Path) -> None:
    assert settings_module.load({}).bind == "0.0.0.0:8888"
