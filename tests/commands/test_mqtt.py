"""`flask10x mqtt`: what it needs before it begins, and says when that is not there."""

import sys
from pathlib import Path

import pytest

from flask10x.commands import main
from flask10x.commands.mqtt import LOCK_NAME
from flask10x.system.locks import FileLock
from tests.support.balcony import BALCONY_TOML
from tests.support.databases import environment_of

STATIONS = "stations.toml"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Everything is there; each test takes something away."""
    for name, value in environment_of(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FLASK10X_MQTT_URL", "mqtt://127.0.0.1:1")
    (tmp_path / STATIONS).write_text(BALCONY_TOML, encoding="utf-8")
    return tmp_path


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """What it says when it does not begin."""
    with pytest.raises(SystemExit) as caught:
        main.main(["mqtt"])
    assert caught.value.code == 1
    return capsys.readouterr().err


def test_a_broker(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLASK10X_MQTT_URL")
    assert "FLASK10X_MQTT_URL is not set: mqtt://host or" in refusal(capsys)
    for url in ("mqtt://a:secret@b", "http://b", "mqtt://", "mqtt://b:0", "mqtt://b/x", "b"):
        monkeypatch.setenv("FLASK10X_MQTT_URL", url)
        output = refusal(capsys)
        assert "mqtt://host or mqtts://user@host:8883 is needed, without a password" in output
        assert "secret" not in output
    monkeypatch.setenv("FLASK10X_MQTT_URL", "mqtt://b")
    monkeypatch.setenv("FLASK10X_MQTT_PASSWORD_FILE", "/not/there")
    assert "FLASK10X_MQTT_PASSWORD_FILE: user" in refusal(capsys)


def test_a_topic(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / STATIONS).unlink()
    assert "no station of stations.toml has an mqtt_topic" in refusal(capsys)


def test_a_token_for_all_stations_where_there_are_tokens(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = folder / "tokens"
    tokens.write_text("balcony 0123456789abcdef\n")
    tokens.chmod(0o600)
    monkeypatch.setenv("FLASK10X_WRITE_TOKENS_FILE", str(tokens))
    output = refusal(capsys)
    assert f"FLASK10X_WRITE_TOKENS_FILE is {tokens}: a line of * and a token is needed" in output
    assert "0123456789abcdef" not in output


def test_its_package(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ours = [name for name in sys.modules if name.startswith(("flask10x.mqtt", "paho"))]
    for name in (*ours, "flask10x.commands.mqtt"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.delattr("flask10x.mqtt", raising=False)
    monkeypatch.setitem(sys.modules, "paho", None)
    output = refusal(capsys)
    assert "the package paho-mqtt is missing: pip install 'flask10x[mqtt]'" in output
    # The list of all commands needs each of them, but nothing that one of them alone needs.
    with pytest.raises(SystemExit) as caught:
        main.main(["--help"])
    assert caught.value.code == 0
    assert "mqtt" in capsys.readouterr().out


def test_a_second_one_does_not_start(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    lock = FileLock(folder / LOCK_NAME)
    assert lock.try_acquire()
    assert "another flask10x mqtt has these stations already" in refusal(capsys)
    lock.close()
