"""Files of tokens: what is read, what is refused, and that no token is ever shown."""

from pathlib import Path

import pytest

from flask10x.config import secrets
from flask10x.config.secrets import ALL, Keyring
from flask10x.errors import SettingsError
from tests.conftest import MakeSettings

ONE = "0123456789abcdef0123456789abcdef"
TWO = "ZYXWVUTSRQPONMLKJIHGFEDCBA-._~+/=="


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.touch(0o640)
    return path


def loaded(make_settings: MakeSettings, file: Path, text: str, kind: str = "WRITE") -> Keyring:
    file.write_text(text)
    return secrets.load_tokens(make_settings(**{f"{kind}_TOKENS_FILE": file}))


def test_no_token_is_needed_by_default(make_settings: MakeSettings) -> None:
    assert secrets.load_tokens(make_settings()) == Keyring(write=None, read=None)


def test_a_token_for_a_station_and_one_for_all(make_settings: MakeSettings, file: Path) -> None:
    text = f"# the bedroom\r\n\r\n data2\t{ONE} \n*   {TWO}\n"
    write = loaded(make_settings, file, text).write
    assert write
    assert write.open_for(ONE, "data2")
    assert not write.open_for(ONE, "data3")
    assert not write.open_for(ONE, ALL)
    assert write.open_for(TWO, "data2")
    assert write.open_for(TWO, "data3")


def test_a_bom_that_an_editor_has_left_is_not_seen(make_settings: MakeSettings, file: Path) -> None:
    read = loaded(make_settings, file, f"\ufeff* {ONE}\n", "READ").read
    assert read
    assert read.open_for(ONE)


@pytest.mark.parametrize(
    "wrong",
    ["", ONE[:-1], f"{ONE}0", ONE.upper(), "*", "äöü", "\ud800", "\x00", ONE.replace("0", "０")],
)
def test_any_other_token(make_settings: MakeSettings, file: Path, wrong: str) -> None:
    read = loaded(make_settings, file, f"* {ONE}", "READ").read
    assert read
    assert read.open_for(ONE)
    assert not read.open_for(wrong)


def test_the_same_token_for_two_stations(make_settings: MakeSettings, file: Path) -> None:
    write = loaded(make_settings, file, f"data {ONE}\ndata2 {ONE}\n").write
    assert write
    assert [s for s in ("data", "data2", "data3") if write.open_for(ONE, s)] == ["data", "data2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no token in it; a token is 16 to 200 letters"),
        ("# nothing\n\n", "there is no token in it"),
        (f"* {ONE}\n{ONE}\n", "line 2: two words are needed: one of *, data, data2, data3, data4"),
        (f"* {ONE} {TWO}", "line 1: two words are needed"),
        (f"{ONE} *", "line 1: the first word is none of *, data, data2, data3, data4"),
        (f"data5 {ONE}", "line 1: the first word is none of"),
        (f"* {ONE[:15]}", "line 1: a token is 16 to 200"),
        (f"* {ONE * 7}", "line 1: a token is 16 to 200"),
        (f'* "{ONE}"', "line 1: a token is 16 to 200"),
        (f"* {ONE}é", "line 1: a token is 16 to 200"),
        (f"* ={ONE}", "line 1: a token is 16 to 200"),
        (f"* {ONE}\n" * 4000, "it has more than 100000 bytes"),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_without_the_token(
    make_settings: MakeSettings, file: Path, text: str, message: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(make_settings, file, text)
    error = str(caught.value)
    assert error.startswith(f"FLASK10X_WRITE_TOKENS_FILE is {file}: {message}")
    assert ONE[:15] not in error
    assert TWO not in error


def test_a_station_has_no_reading_token(make_settings: MakeSettings, file: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(make_settings, file, f"data2 {ONE}", "READ")
    assert str(caught.value) == (
        f"FLASK10X_READ_TOKENS_FILE is {file}: line 1: the first word is none of *"
    )


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o666])
def test_a_file_for_everybody_is_refused(
    make_settings: MakeSettings, file: Path, mode: int
) -> None:
    file.chmod(mode)
    with pytest.raises(SettingsError, match="everybody may read or write it: chmod o= /"):
        loaded(make_settings, file, f"* {ONE}")


def test_a_file_that_is_not_there(make_settings: MakeSettings, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"user \S+ cannot read it: .*No such file"):
        secrets.load_tokens(make_settings(READ_TOKENS_FILE=tmp_path / "none"))
    with pytest.raises(SettingsError, match=r"cannot read it: .*Is a directory"):
        secrets.load_tokens(make_settings(READ_TOKENS_FILE=tmp_path))


def test_a_credential_of_systemd(
    make_settings: MakeSettings, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(f"* {ONE}")
    settings = make_settings(WRITE_TOKENS_FILE="credential:tokens")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(SettingsError, match="LoadCredential= belongs into the unit"):
        secrets.load_tokens(settings)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(file.parent))
    write = secrets.load_tokens(settings).write
    assert write
    assert write.open_for(ONE, "data")


def test_nothing_that_is_shown_has_the_token(make_settings: MakeSettings, file: Path) -> None:
    keyring = loaded(make_settings, file, f"* {ONE}")
    assert ONE not in repr(keyring)
    assert ONE not in repr(vars(keyring.write))


def test_other_commands_need_not_read_the_file(make_settings: MakeSettings) -> None:
    assert make_settings(READ_TOKENS_FILE="/nowhere/at/all").read_tokens_file == "/nowhere/at/all"
