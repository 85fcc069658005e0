"""The commands as a Japanese terminal shows them: processes with `LANG=ja_JP.UTF-8`.

The locale need not be installed.
"""

import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import click
import pytest

from flask10x.commands import main, translated
from flask10x.commands.translated import columns
from flask10x.config.settings import Settings, load
from flask10x.database.database import Database
from flask10x.database.paths import database_path, shown_name
from flask10x.readings.reasons import Reason
from flask10x.recording import rejected
from flask10x.recording.rejected import RejectedReading
from tests.support import databases
from tests.support.commands import run_command
from tests.support.csv_folder import FIRST_MS, HEADER, NAME, lines, store
from tests.support.databases import environment_of
from tests.support.rows import select

# Words that are the same in Japanese: names, formats, levels, and placeholders of values.
SAME = {
    *("CSV", "JSON", "SQLite", "Flask", "Flask10X", "WARN", "FAIL", "ok", "id", "Content-Type"),
    *("OPTIONS", "COMMAND", "ARGS", "ID", "TIME", "FILE", "FILES", "FOLDER", "INTEGER", "RANGE"),
    *("FLASK10X_BACKUP_KEEP", "FLASK10X_BACKUP_COPY_DIR", "N", "COLUMN"),
    *("COPY", "FILE.rejected.csv", "FLASK10X_BACKUP_DIR", "x", "STATION", "BedRoomEnv.csv"),
    *("stations.toml", "FLASK10X_STATIONS", "ENDPOINT", "MQTT", "MQTT_URL", "Datasette"),
    *("MQTT_DISCOVERY", "Home", "Assistant"),
    *("alerts.toml", "FLASK10X_ALERTS", "NAME"),
    *("PostgreSQL", "URL", "FLASK10X_DATABASE_URL", "QR", "Litestream"),
    *("systemd", "root", "VERSION", "TARGET", "deb", "wheel"),
}
# What a check finds of an engine that is well.
SOUND = (
    "WARN standby: 同期スタンバイの設定がなく、保存した内容が 1 台にしかないことがあります"
    if databases.ON_POSTGRES
    else "ok   integrity: quick_check で異常は見つかりません"
)
WORD = re.compile(r"[A-Za-z][\w.-]*")


def run(
    folder: Path, *arguments: str, language: str = "ja_JP.UTF-8", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """A command on a terminal of this language."""
    return run_command(arguments, variables(folder, language) | environment)


def run_in_new_process(
    folder: Path, *arguments: str, language: str = "ja_JP.UTF-8", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """The same by a new Python, which takes its encoding from the environment."""
    return subprocess.run(
        [sys.executable, "-m", "flask10x", *arguments],
        env=variables(folder, language) | environment,
        capture_output=True,
        check=False,
        timeout=60,
    )


def variables(folder: Path, language: str) -> dict[str, str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("LANG", "LC_", "PYTHON"))}
    return environ | {"LANG": language, **environment_of(folder), "COLUMNS": "80"}


def commands() -> list[tuple[tuple[str, ...], click.Command]]:
    """Each command and subcommand, by its words."""
    commands: list[tuple[tuple[str, ...], click.Command]] = [((), main.group)]
    for words, command in commands:
        if isinstance(command, click.Group):
            context = click.Context(command)
            inner = (
                (name, command.get_command(context, name))
                for name in command.list_commands(context)
            )
            commands += [((*words, name), each) for name, each in inner if each]
    return commands


COMMANDS = dict(commands())
NAMES = {word for words in COMMANDS for word in words} | {"flask10x"}


def choices(command: click.Command) -> set[str]:
    kinds = (p.type for p in command.params)
    return {str(c) for kind in kinds if isinstance(kind, click.Choice) for c in kind.choices}


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_help_is_japanese(words: tuple[str, ...], tmp_path: Path) -> None:
    result = run(tmp_path, *words, "--help")

    shown = result.stdout.decode()
    assert (result.returncode, result.stderr) == (0, b"")
    assert shown.startswith("使い方: flask10x")
    assert max(map(columns, shown.splitlines())) <= 80
    # Not the second half of a name such as admin-link.
    options = re.compile(r"(?<!\w)-{1,2}\w[\w-]*")
    english = set(WORD.findall(options.sub("", shown.replace("...", ""))))
    assert english <= SAME | NAMES | choices(COMMANDS[words])


def test_each_option_has_a_help_that_is_looked_up() -> None:
    wrong: list[object] = []
    for words, command in COMMANDS.items():
        # A hidden one has no help.
        options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
        wrong += [] if isinstance(command, translated.TranslatedCommand) else [words]
        wrong += [
            (words, o.name) for o in options if not isinstance(o, translated.TranslatedOption)
        ]
    assert wrong == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["exprot"], "エラー: コマンド 'exprot' はありません。"),
        (["export", "--foo"], "エラー: オプション '--foo' はありません。"),
        (
            ["export", "--verify", "--rebuild"],
            "エラー: --verify と --rebuild は同時に指定できません",
        ),
        (["restore"], "エラー: 次の引数がありません: 'FILE'."),
        (
            ["restore", "none"],
            "エラー: 'FILE' の値が正しくありません: ファイル 'none' がありません。",
        ),
        (
            ["backup", "--keep", "0"],
            "エラー: '--keep' の値が正しくありません: 0 は範囲外です（x>=1）。",
        ),
        (["rejected", "purge"], "エラー: 対象を指定してください"),
        (
            ["import", "--endpoint", "daat", "x.csv"],
            "エラー: --endpoint の値が正しくありません: 'daat' はありません"
            "（data の間違いでは？）。指定できるのは data, data2, data3, data4 です",
        ),
    ],
)
def test_what_was_not_understood_is_said_in_japanese(
    arguments: list[str], said: str, tmp_path: Path
) -> None:
    result = run(tmp_path, *arguments)

    assert result.returncode == 2
    assert said in result.stderr.decode()
    assert "Usage" not in result.stderr.decode()


def test_a_command_says_in_japanese_what_it_did(tmp_path: Path) -> None:
    databases.lay_empty_database(tmp_path / databases.FILE_NAME)

    result = run_in_new_process(tmp_path, "migrate")

    database = shown_name(load(environment_of(tmp_path)))
    text = rf"{re.escape(database)} の形式のバージョンは \d{{4}} です\n"
    assert re.fullmatch(text, result.stdout.decode())


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C.UTF-8"},
        {"PYTHONIOENCODING": "ascii"},
        pytest.param({"LC_ALL": "C"}, marks=pytest.mark.long),
        pytest.param({"LANGUAGE": "en"}, marks=pytest.mark.long),
    ],
)
def test_english_is_to_be_had(tmp_path: Path, environment: dict[str, str]) -> None:
    result = run_in_new_process(tmp_path, "--help", **environment)

    assert result.stdout.startswith(b"Usage: flask10x")
    assert result.stdout.isascii()


def test_japanese_comes_in_the_encoding_of_the_terminal(tmp_path: Path) -> None:
    result = run_in_new_process(
        tmp_path, "--help", language="ja_JP.eucJP", PYTHONIOENCODING="euc-jp"
    )

    assert result.returncode == 0
    assert result.stdout.decode("euc-jp").startswith("使い方: flask10x")


def test_the_version_is_for_programs(tmp_path: Path) -> None:
    assert re.fullmatch(rb"flask10x, version [\d.]+\S*\n", run(tmp_path, "--version").stdout)


def test_json_is_for_programs(tmp_path: Path) -> None:
    run(tmp_path, "migrate")

    japanese, english = (
        json.loads(run(tmp_path, "check", "--json", language=language).stdout)
        for language in ("ja_JP.UTF-8", "C.UTF-8")
    )
    texts = [[finding["text"] for finding in report["findings"]] for report in (japanese, english)]
    assert all(text.isascii() for text in texts[0])
    assert len(texts[0]) == len(texts[1])


def test_the_service_speaks_english(tmp_path: Path) -> None:
    result = run_in_new_process(tmp_path, "serve", FLASK10X_WORKERS="0")

    assert result.returncode == 1
    assert result.stderr.startswith(b"flask10x: FLASK10X_WORKERS is ")


def said(folder: Path, *arguments: str, status: int = 0) -> str:
    """What a command prints in Japanese, on either stream; it ends with this status."""
    result = run(folder, *arguments, FLASK10X_TIMEZONE="Asia/Tokyo")
    text = (result.stdout + result.stderr).decode()
    assert result.returncode == status, text
    return text


@pytest.mark.usefixtures("database")
def test_an_export_and_what_mends_its_file(settings: Settings, tmp_path: Path) -> None:
    store(settings, 1, 2, 3)
    file = settings.csv_dir / NAME

    assert f"{file}: 追記する行は 3 行です\n" in said(tmp_path, "export", "--dry-run")
    assert f"{file}: 3 行を追記しました\n" in said(tmp_path, "export")
    whole = said(tmp_path, "export", "--verify")
    assert f"{file}: 3 行、2025-08-24 10:46:41 から 2025-08-24 10:46:43 まで、一致\n" in whole

    file.write_bytes(file.read_bytes().replace(b"991.5", b"999.5"))
    different = said(tmp_path, "export", "--verify", status=1)
    assert "; 不一致: 2 行目: ファイルは b'2025-08-24 10:46:41,999.5,25.0\\r\\n'、" in different
    refused = said(tmp_path, "export", NAME, status=1)
    assert refused == (
        f"{file}: すでに書き出した行が変更されているか、末尾の行がなくなっています。"
        f"何も書き込んでいません。対処: flask10x export --rebuild {NAME}\n"
    )


@pytest.mark.usefixtures("database")
def test_a_check(settings: Settings, tmp_path: Path) -> None:
    lines = said(tmp_path, "check").splitlines()

    # Names and levels are for programs and documents; what was seen is for people.
    assert all(re.match(r"(ok  |WARN|FAIL) [A-Za-z]+: ", line) for line in lines)
    assert SOUND in lines
    assert "WARN service: 動いていません" in lines
    assert f"ok   backup: まだありません ({tmp_path / 'backups'})" in lines
    english = {line for line in lines if line.partition(": ")[2].isascii()}
    assert english == names_and_numbers(settings)


def names_and_numbers(settings: Settings) -> set[str]:
    """The lines of a check that are the same in every language."""
    zone = "ok   zone: Asia/Tokyo"
    if not databases.ON_POSTGRES:
        return {zone, "ok   WAL: 0.0 MB", f"ok   SQLite: {sqlite3.sqlite_version}"}
    ((version,),) = select(database_path(settings), "SHOW server_version")
    return {zone, f"ok   PostgreSQL: {version}", "ok   encoding: UTF8"}


@pytest.mark.usefixtures("database")
def test_a_backup_and_its_restore(settings: Settings, tmp_path: Path) -> None:
    store(settings, 1)

    printed = said(tmp_path, "backup")
    (file,) = settings.backup_dir.glob("*.sqlite3")
    assert re.fullmatch(rf"{re.escape(str(file))}: 1 行、[\d.]+ MB、[\d.]+ 秒\n", printed)
    if databases.ON_POSTGRES:
        refused = said(tmp_path, "restore", str(file), status=1)
        assert refused.startswith(f"flask10x: 測定値は {shown_name(settings)} にあり、")
        assert f"flask10x copy --from sqlite:///{file} --to postgresql+psycopg://" in refused
        return
    restored = said(tmp_path, "restore", str(file))
    assert restored.startswith(f"{database_path(settings)}: {file} から復元しました（1 行）\n")
    assert "置き換えられたデータベースは残してあります: " in restored
    file.write_bytes(b"x" * 4096)
    refused = said(tmp_path, "restore", str(file), status=1)
    assert refused == f"flask10x: {file} はバックアップではありません: テキストファイルです\n"


@pytest.mark.usefixtures("database")
def test_an_import_and_the_readings_that_were_refused(settings: Settings, tmp_path: Path) -> None:
    old = tmp_path / NAME
    old.write_bytes(HEADER + lines(1, 2) + b"torn")

    shown = said(tmp_path, "import", str(old), status=4)
    assert f"{NAME}: 読み込み 3 行、保存 2、既存 0、拒否 1\n" in shown
    # The list of the rejected ones is for programs.
    assert (tmp_path / f"{NAME}.rejected.csv").read_bytes().isascii()
    assert "ファイルがありません" in said(tmp_path, "import", "none", status=1)
    nothing = "flask10x: 条件に合う測定値はありません\n"
    assert said(tmp_path, "rejected", "list") == nothing
    assert said(tmp_path, "rejected", "show", "1", status=1) == (
        "エラー: 拒否した測定値 1 はありません\n"
    )
    assert "エラー: --from の値が正しくありません: 日時として読めません。" in said(
        tmp_path, "rejected", "list", "--from", "yesterday", status=2
    )
    assert said(tmp_path, "rollups") == (
        "測定値 2 まで集計済み、残り 0 件\n日ごとの集計: Asia/Tokyo\n"
    )


def test_why_a_reading_was_refused(database: Database, settings: Settings, tmp_path: Path) -> None:
    reasons = {"pressure": Reason("missing"), "temperature": Reason("above_maximum", limit="80")}
    body = b'{"temperature": 99}'
    with database.commit() as connection:
        rejected.keep(connection, [RejectedReading("data", FIRST_MS, "", body, reasons)], settings)

    assert said(tmp_path, "rejected", "list") == (
        "1 2025-08-24 10:46:40 /data"
        " pressure: 値がありません; temperature: 上限の 80 を超えています\n"
    )
    shown = said(tmp_path, "rejected", "show", "1").splitlines()
    assert "理由:         pressure: 値がありません" in shown
    assert "保存先:       未保存" in shown
    replayed = said(tmp_path, "rejected", "replay")
    assert replayed.startswith("保存した測定値 0 件、まだ受け付けられない測定値 1 件\n")
    assert "  1 × /data pressure: 値がありません\n" in replayed


def test_a_wrong_setting(tmp_path: Path) -> None:
    result = run_in_new_process(tmp_path, "check", FLASK10X_WORKERS="0", FLASK10X_LOG_LEVEL="loud")

    assert result.returncode == 1
    assert result.stderr.decode().startswith("flask10x: FLASK10X_")
    assert "は正しくありません: " in result.stderr.decode()
