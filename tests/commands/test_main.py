"""The command line: what one sees of a command that did its work, or could not."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from flask10x.commands import main
from flask10x.commands.translated import columns
from flask10x.config.settings import process_user
from flask10x.translation import translation

COMPLETION = {
    "_FLASK10X_COMPLETE": "bash_complete",
    "COMP_WORDS": "flask10x exp",
    "COMP_CWORD": "1",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setenv("FLASK10X_DATA_DIR", str(folder))
    return folder


def run(*arguments: str) -> object:
    """The exit status."""
    with pytest.raises(SystemExit) as caught:
        main.main(arguments)
    return caught.value.code


@pytest.mark.parametrize("group", [(), ("service",), ("rejected",), ("stations",), ("alerts",)])
def test_a_list_of_commands_has_whole_sentences(
    group: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*group, "--help") == 0
    commands = capsys.readouterr().out.partition("Commands:\n")[2]
    assert "..." not in commands
    entries = re.findall(r"^  [a-z-]+ +(\S.*(?:\n   .*)*)", commands, re.MULTILINE)
    assert len(entries) > 1
    assert [entry for entry in entries if not entry.endswith(".")] == []


def test_what_each_command_does_fits_its_line() -> None:
    room = 80 - 2 - len("admin-link") - 2 - 2
    ja = translation("ja")
    texts = [text for about in main.COMMANDS.values() for text in (about, ja(about))]
    assert [text for text in texts if columns(text) > room] == []


@pytest.mark.parametrize("environ", [{}, COMPLETION], ids=["help", "completion"])
def test_the_list_of_commands_loads_none(environ: dict[str, str]) -> None:
    program = (
        "import atexit, sys; from flask10x.commands.main import main\n"
        "atexit.register(lambda: print(*sys.modules, sep='\\n', file=sys.stderr))\n"
        "main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", program, *([] if environ else ["--help"])]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert "export" in done.stdout
    loaded = {name for name in done.stderr.splitlines() if name.startswith("flask10x.commands.")}
    assert loaded == {"flask10x.commands.main", "flask10x.commands.translated"}
    assert "sqlalchemy" not in done.stderr


def test_migrate_says_which_database_is_at_which_version(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    database = folder / "flask10x.sqlite3"
    for _ in range(2):
        assert run("migrate") == 0
        output = capsys.readouterr().out
        assert re.fullmatch(rf"{re.escape(str(database))} is at version \d{{4}}\n", output)
    assert database.is_file()


def test_migrate_names_the_setting_of_a_folder_that_cannot_be_made(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.write_text("")

    assert run("migrate") == 1
    output = capsys.readouterr().err
    assert output == (
        f"flask10x: FLASK10X_DATA_DIR is {folder}: a file is in the place of a folder:"
        f" [Errno 17] File exists: '{folder}'\n"
    )


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [(("exprot",), "export"), (("restor",), "restore"), (("rejected", "lsit"), "list")],
)
def test_the_error_of_a_mistyped_command_names_the_nearest_one(
    arguments: tuple[str, ...], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"Error: No such command '{arguments[-1]}'. Did you mean '{meant}'?"


def test_the_error_of_a_command_that_is_near_none_names_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("quux") == 2
    assert capsys.readouterr().err.splitlines()[-1] == "Error: No such command 'quux'."


def test_what_the_system_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "/somewhere")

    monkeypatch.setattr(main.group, "main", refused)

    assert run("export") == 1
    (output,) = capsys.readouterr().err.splitlines()
    assert output.startswith(
        f"flask10x: [Errno 13] Permission denied: '/somewhere'; user {process_user()} may not: "
    )
    assert output.endswith("(sudo -u flask10x), or change the owner of the file")


def test_a_mistake_of_the_program_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(main.group, "main", wrong)

    with pytest.raises(ZeroDivisionError):
        main.main(["export"])
