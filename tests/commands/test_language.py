"""In which language a command speaks, by what the environment and the terminal say."""

import gettext
import io
import os
import sys
from collections.abc import Iterator
from contextlib import closing
from gettext import gettext as _

import pytest

from flask10x.commands import translated
from flask10x.config.settings import Settings
from flask10x.database.running_service import hold_database
from flask10x.translation import of_messages
from tests.support.terminal import on_terminal

ENGLISH, JAPANESE = "Usage:", "使い方:"


def test_a_second_service_is_refused_in_the_language_of_the_terminal(settings: Settings) -> None:
    with closing(hold_database(settings)):
        shown = on_terminal(settings, "serve", locale="ja_JP.UTF-8")
        assert shown.status == 1
        assert "先に停止するか" in shown.screen
        assert "already uses" not in shown.screen
        shown = on_terminal(settings, "serve")
        assert shown.status == 1
        assert f"(process {os.getpid()}) already uses" in shown.screen


@pytest.fixture(autouse=True)
def english_afterwards() -> Iterator[None]:
    yield
    translated.speak_english()


@pytest.mark.parametrize(
    ("environ", "japanese"),
    [
        ({}, False),
        ({"LANG": "ja_JP.UTF-8"}, True),
        ({"LANG": "ja"}, True),
        ({"LANG": "ja_JP.eucJP"}, True),
        ({"LANG": "en_GB.UTF-8"}, False),
        ({"LANG": "de_DE.UTF-8"}, False),
        ({"LANG": "C.UTF-8"}, False),
        # The first of these that is set decides.
        ({"LANG": "ja_JP.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, False),
        ({"LANG": "ja_JP.UTF-8", "LC_ALL": "", "LC_MESSAGES": ""}, True),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "ja_JP.UTF-8"}, True),
        ({"LC_MESSAGES": "ja_JP.UTF-8", "LC_ALL": "en_US.UTF-8"}, False),
        # A list of languages, of which only two are known.
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "ja"}, True),
        ({"LANG": "ja_JP.UTF-8", "LANGUAGE": "en:ja"}, False),
        ({"LANG": "ja_JP.UTF-8", "LANGUAGE": "fr:ja_JP:en"}, True),
        ({"LANG": "ja_JP.UTF-8", "LANGUAGE": "fr"}, False),
        ({"LANG": "ja_JP.UTF-8", "LANGUAGE": ""}, True),
        ({"LANGUAGE": "ja"}, True),
        # The locale C is English.
        ({"LC_ALL": "C", "LANGUAGE": "ja"}, False),
        ({"LC_ALL": "C.UTF-8", "LANG": "ja_JP.UTF-8", "LANGUAGE": "ja:en"}, False),
        ({"LANG": "POSIX", "LANGUAGE": "ja"}, False),
    ],
)
def test_the_environment_chooses(
    environ: dict[str, str], japanese: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    translated.choose_language(environ)

    assert of_messages(environ) == ("ja" if japanese else "en")
    assert _("Usage:") == (JAPANESE if japanese else ENGLISH)


@pytest.mark.parametrize(
    ("encoding", "said"),
    [("utf-8", JAPANESE), ("euc-jp", JAPANESE), ("ascii", ENGLISH), ("iso8859-1", ENGLISH)],
)
def test_a_terminal_that_has_no_japanese_gets_english(
    encoding: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGUAGE", "ja")
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)

    translated.choose_language({"LANGUAGE": "ja"})

    assert _("Usage:") == said
    # And nothing that it lacks ends the command.
    assert stream.errors == "backslashreplace"
    stream.write("…\udce3")


def test_closed_streams_are_no_hindrance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    monkeypatch.setenv("LANGUAGE", "ja")

    translated.choose_language({"LANGUAGE": "ja"})

    assert _("Usage:") == JAPANESE


def test_english_can_be_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "ja")
    translated.choose_language({"LANGUAGE": "ja"})

    translated.speak_english()

    assert _("Usage:") == ENGLISH
    assert gettext.textdomain() == translated.NO_DOMAIN
