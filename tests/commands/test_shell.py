"""`flask10x shell`: completion as the shells ask for it, and manual pages."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flask10x.commands import main


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main.main(arguments)
    assert caught.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_gets_a_program_of_its_own(
    capsys: pytest.CaptureFixture[str], shell: str
) -> None:
    text = run(capsys, "shell", "complete", shell)
    assert f"_FLASK10X_COMPLETE={shell}_complete" in text
    program = shutil.which(shell)
    if program:
        subprocess.run([program, "-n"], input=text, text=True, check=True)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("exp", {"export"}),
        ("export --ver", {"--verify"}),
        ("alerts ", {"init", "check", "list", "test"}),
        ("shell complete ", {"bash", "zsh", "fish"}),
    ],
)
def test_bash_is_offered_what_there_is(typed: str, offered: set[str]) -> None:
    words = f"flask10x {typed}"
    environment = {
        **os.environ,
        "_FLASK10X_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    program = "from flask10x.commands.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert {line.partition(",")[2] for line in done.stdout.splitlines()} == offered


def test_each_command_has_a_page_in_both_languages(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run(capsys, "shell", "man", str(tmp_path))
    english, japanese = (
        {page.name: page.read_text(encoding="utf-8") for page in (tmp_path / folder).iterdir()}
        for folder in ("man1", "ja/man1")
    )
    assert english.keys() == japanese.keys()
    assert {"flask10x.1", *(f"flask10x-{name}.1" for name in main.COMMANDS)} <= english.keys()
    assert "\n\\fB\\-\\-verify\\fR\nCompare files and database.\n" in english["flask10x-export.1"]
    assert "\nファイルとデータベースを照合。\n" in japanese["flask10x-export.1"]
    assert "ファイルにすでにある内容は変更しません。" in japanese["flask10x-stations-add.1"]
    assert "\\fBflask10x\\-alerts\\-check\\fR(1)" in english["flask10x-alerts.1"]
    assert (english["flask10x.1"].count(".SH"), japanese["flask10x.1"].count(".SH")) == (6, 6)
    if groff := shutil.which("groff"):
        pages = [*(tmp_path / "man1").iterdir()]
        said = subprocess.run(
            [groff, "-man", "-Tutf8", "-Kutf8", "-ww", "-z", *pages],
            capture_output=True, text=True, check=True,
        ).stderr  # fmt: skip
        assert said == ""
