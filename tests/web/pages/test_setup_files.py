"""`/setup/files`: who may do what with backups, files that are sent, and retention."""

import hashlib
import html
import io
import json
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from flask10x.config import station_file
from flask10x.config.settings import Settings
from flask10x.config.toml import schema_line
from flask10x.database.database import Database
from flask10x.errors import BackgroundBusy
from flask10x.export.append import export
from flask10x.maintenance.backup import backup
from flask10x.recording.writer import Writer
from flask10x.runtime.administrators import Administrators
from flask10x.system import backup_files, disk, disks
from flask10x.system.background import (
    ABOUT,
    ERRORS,
    LOCK,
    OUTPUT,
    STATUS,
    About,
    Background,
    environment,
)
from flask10x.system.locks import FileLock
from flask10x.system.uploads import NewFile, Uploads, remove_leftovers, safe_name
from flask10x.translation import Language, of_messages
from flask10x.web import limits, uploads
from flask10x.web.pages.setup import files
from tests.conftest import MakeApp
from tests.support.html import words
from tests.support.rows import pico
from tests.web.pages.test_administrators import become

CSV = b"current_time,Pressure,Tempereture\r\n2025-08-24 10:46:40,1000.0,20.0\r\n"
BACKUP = "flask10x-20250824-090000.sqlite3"
POSTS = (
    "backup",
    "verify",
    "export",
    "import",
    "cancel",
    "discard",
    "restore",
    "retention",
    *("schedule", "target"),
)


@pytest.fixture
def of(settings: Settings) -> Administrators:
    return Administrators(settings)


@pytest.fixture
def token(client: FlaskClient, of: Administrators) -> str:
    return become(client, of)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[About]:
    """The commands that pages start, none of which runs."""
    found: list[About] = []
    monkeypatch.setattr(Background, "start", lambda _self, about, _environment: found.append(about))
    return found


@pytest.fixture
def busy(settings: Settings) -> Iterator[None]:
    """A command runs beside the service."""
    folder = settings.data_dir / "background"
    ran(settings, "backup", 0)
    with closing(FileLock(folder / LOCK)) as lock:
        assert lock.try_acquire()
        lock.note("0 backup\n")
        yield


def send(
    client: FlaskClient, token: str, *sent: tuple[str, bytes], **fields: str
) -> tuple[int, str]:
    """Send files as a form without scripts does; the status and the words of the answer."""
    data = MultiDict[str, Any]({"token": token, **fields})
    for name, content in sent:
        data.add("files", (io.BytesIO(content), name))
    answer = client.post("/setup/files/upload", data=data, content_type="multipart/form-data")
    return answer.status_code, words(answer.text)


def ran(settings: Settings, kind: str, status: int, output: str = "", **values: str) -> None:
    """Leave what a command of this kind that ended has left."""
    folder = settings.data_dir / "background"
    folder.mkdir(exist_ok=True)
    about = {"kind": kind, "arguments": [kind], "began_ms": 0, "browser": "x", "values": values}
    (folder / ABOUT).write_text(json.dumps(about))
    (folder / OUTPUT).write_text(output)
    (folder / STATUS).write_text(str(status))


def test_without_an_administrator_it_shows_what_is_there_and_the_commands(
    client: FlaskClient, settings: Settings
) -> None:
    settings.backup_dir.mkdir()
    (settings.backup_dir / BACKUP).write_bytes(b"x" * 2000)
    page = client.get("/setup/files")
    text = words(page.text)
    assert page.status_code == 200 and BACKUP in text and "2.0 KB" in text
    for command in ("admin-link", "flask10x backup", "flask10x export", "flask10x import"):
        assert command in text
    assert '<form method="post"' not in page.text
    assert "SHA-256" not in text


def test_every_change_wants_the_cookie_and_the_token(
    client: FlaskClient, of: Administrators, settings: Settings, started: list[About]
) -> None:
    def tried(token: str) -> set[int]:
        answers = {
            client.post(f"/setup/files/{p}", data={"token": token}).status_code for p in POSTS
        }
        return answers | {send(client, token, ("PicodataX.csv", CSV))[0]}

    assert tried("0" * 64) == {403}
    token = become(client, of)
    assert tried("0" * 64) == {403} and tried("") == {403}
    other = {"Origin": "http://evil.example", "Host": "localhost"}
    for path in (*POSTS, "upload"):
        answer = client.post(f"/setup/files/{path}", data={"token": token}, headers=other)
        assert answer.status_code == 403
    assert not started
    assert not Uploads(settings.data_dir).files


@pytest.mark.usefixtures("database")
def test_a_token_for_reading_changes_nothing_and_downloads_nothing(
    make_app: MakeApp, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("* " + "r" * 32 + "\n")
    tokens.chmod(0o600)
    app = make_app(READ_TOKENS_FILE=tokens)
    client, settings = app.test_client(), app.jinja_env.globals["settings"]
    assert isinstance(settings, Settings)
    settings.backup_dir.mkdir()
    (settings.backup_dir / BACKUP).write_bytes(b"x")
    reader = {"Authorization": "Bearer " + "r" * 32}
    assert client.get("/setup/files").status_code == 401
    assert client.get("/setup/files", headers=reader).status_code == 200
    assert client.get(f"/setup/files/backups/{BACKUP}", headers=reader).status_code == 403
    # Nor does it have a folder read, which may be on a machine that does not answer.
    (settings.backup_dir / BACKUP).unlink()
    settings.backup_dir.rmdir()
    settings.backup_dir.write_bytes(b"")
    assert client.get(f"/setup/files/backups/{BACKUP}", headers=reader).status_code == 403
    for path in POSTS:
        assert client.post(f"/setup/files/{path}", headers=reader).status_code == 403


def test_it_is_not_there_where_setting_up_is_off(make_app: MakeApp) -> None:
    client = make_app(SETUP="off").test_client()
    for path in ("", "/backups/x", "/rejected/0"):
        assert client.get(f"/setup/files{path}").status_code == 404
    assert client.post("/setup/files/upload").status_code == 404


def test_each_button_starts_its_command_and_only_one_runs(
    client: FlaskClient,
    token: str,
    settings: Settings,
    started: list[About],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.backup_dir.mkdir()
    path = settings.backup_dir / BACKUP
    path.write_bytes(b"x")
    for name, form in (("backup", {}), ("export", {}), ("verify", {"name": BACKUP})):
        answer = client.post(f"/setup/files/{name}", data={"token": token, **form})
        assert answer.status_code == 303
    assert [about.arguments for about in started] == [
        ["backup"],
        ["export"],
        ["backup", "--verify", str(path)],
    ]
    missing = client.post(
        "/setup/files/verify", data={"token": token, "name": "../flask10x.sqlite3"}
    )
    assert missing.status_code == 404

    def is_busy(*_: object) -> None:
        raise BackgroundBusy("backup")

    monkeypatch.setattr(Background, "start", is_busy)
    answer = client.post("/setup/files/backup", data={"token": token})
    assert answer.status_code == 409 and "Something else is running" in answer.text


def test_a_backup_is_downloaded_whole_or_from_the_middle_and_nothing_else_is(
    client: FlaskClient, token: str, settings: Settings, tmp_path: Path
) -> None:
    assert token
    settings.backup_dir.mkdir()
    content = bytes(range(256)) * 1000
    (settings.backup_dir / BACKUP).write_bytes(content)
    (settings.backup_dir / f"{BACKUP}.sha256").write_text("0" * 64 + f"  {BACKUP}\n")
    (settings.backup_dir / "notes.txt").write_text("x")
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (settings.backup_dir / "flask10x-20250101-000000.sqlite3").symlink_to(secret)
    url = f"/setup/files/backups/{BACKUP}"
    with client.get(url) as answer:
        assert answer.data == content and answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Disposition"] == f"attachment; filename={BACKUP}"
    with client.get(url, headers={"Range": "bytes=1000-"}) as part:
        assert part.status_code == 206 and part.data == content[1000:]
    with client.get(f"{url}.sha256") as checksum:
        assert checksum.status_code == 200
    for name in (
        *("notes.txt", "..%2Fflask10x.sqlite3", "%2e%2e%2fflask10x.sqlite3", "flask10x.sqlite3"),
        *("flask10x-20250101-000000.sqlite3", f"{BACKUP}%00", f".%2F{BACKUP}", "%2Fetc%2Fpasswd"),
    ):
        assert client.get(f"/setup/files/backups/{name}").status_code == 404, name


def test_an_earlier_backup_is_downloaded_as_it_was(
    client: FlaskClient, token: str, settings: Settings, writer: Writer
) -> None:
    assert token
    made = []
    for pressure in (1, 2):
        writer.submit(pico(pressure))
        writer.step()
        path = backup(settings, settings.backup_dir).path
        made.append((path.name, path.read_bytes()))
    page = client.get("/setup/files").text
    for name, content in made:
        url = f"/setup/files/backups/{name}"
        assert f'href="{url}"' in page and f'href="{url}.sha256"' in page
        with client.get(url) as answer:
            assert answer.data == content and answer.content_length == len(content)
            assert answer.headers["Content-Disposition"] == f"attachment; filename={name}"
        noted = f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        assert client.get(f"{url}.sha256").text == noted
        # While another backup changes it there is nothing to send; afterwards nobody holds it.
        with backup_files.held(settings.backup_dir, to_change=True):
            answer = client.get(url)
            assert answer.status_code == 409 and "Something else is running" in answer.text
    (earlier,) = settings.backup_dir.glob("*.pages")
    earlier.write_text("x")
    answer = client.get(f"/setup/files/backups/{made[0][0]}")
    assert answer.status_code == 409 and f"{earlier} is damaged" in answer.text


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_command_speaks_as_its_reader_does(settings: Settings, language: Language) -> None:
    assert of_messages(environment(settings, language)) == language


def test_names_of_files_are_no_paths() -> None:
    for sent, name in {
        "BedRoomEnv.csv": "BedRoomEnv.csv",
        "../../etc/passwd": "passwd",
        "..\\..\\boot.ini": "boot.ini",
        "C:\\fakepath\\居間 (1).csv": "居間 (1).csv",
        "..": "upload",
        ".hidden": "upload",
        "-rf.csv": "upload",
        "a;rm -rf.csv": "upload",
        "a\nb.csv": "upload",
        "=cmd|'x'.csv": "upload",
        "x" * 300: "upload",
        "居" * 90: "upload",
        "": "upload",
    }.items():
        assert safe_name(sent) == name


def test_csv_files_are_taken_and_looked_through(
    client: FlaskClient, token: str, settings: Settings, started: list[About]
) -> None:
    status, _ = send(client, token, ("../x/PicodataX.csv", CSV), ("b.csv", CSV), zone="UTC")
    assert status == 303
    sent = Uploads(settings.data_dir).files
    assert [(path.name, path.read_bytes()) for path in sent] == [
        ("PicodataX.csv", CSV),
        ("b.csv", CSV),
    ]
    assert all(path.is_relative_to(settings.data_dir / "uploads") for path in sent)
    (about,) = started
    arguments = ["import", "--dry-run", "--json", "--zone=UTC", "--", *map(str, sent)]
    assert (about.kind, about.arguments) == ("preview", arguments)


@pytest.mark.usefixtures("started")
def test_a_stranger_removes_nothing_that_an_administrator_has_sent(
    app: Flask, client: FlaskClient, token: str, settings: Settings
) -> None:
    assert send(client, token, ("PicodataX.csv", CSV))[0] == 303
    assert send(app.test_client(), token, ("other.csv", CSV))[0] == 403
    assert [path.name for path in Uploads(settings.data_dir).files] == ["PicodataX.csv"]


def test_what_is_neither_csv_nor_a_backup_is_refused_by_its_kind(
    client: FlaskClient, token: str, settings: Settings, started: list[About]
) -> None:
    database = b"SQLite format 3\0" + b"\0" * 100
    for sent, words_of in (
        (
            [("a.zip", b"PK\x03\x04" + b"x" * 100)],
            "a.zip is neither a CSV file nor a backup: it is a zip",
        ),
        ([("a.gz", b"\x1f\x8b" + b"x" * 100)], "it is compressed by gzip"),
        ([("a.csv", b"")], "the file is empty"),
        ([("a.jpg", b"\xff\xd8\0\0")], "its first bytes are not those of a database"),
        ([("a.csv", CSV), ("b.sqlite3", database)], "Send a backup alone"),
        ([], "Choose a file first"),
    ):
        status, text = send(client, token, *sent)
        assert status == 400 and words_of in text, words_of
        assert not Uploads(settings.data_dir).files
    body = client.post("/setup/files/upload", data=b"x", content_type="text/plain")
    assert body.status_code == 400
    torn = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nabc'
    kind = "multipart/form-data; boundary=x"
    assert client.post("/setup/files/upload", data=torn, content_type=kind).status_code == 400
    assert not started


def test_too_much_is_refused_before_it_is_read(
    client: FlaskClient, token: str, monkeypatch: pytest.MonkeyPatch, started: list[About]
) -> None:
    monkeypatch.setattr(uploads, "UPLOAD_MAX_BYTES", 10)
    monkeypatch.setattr(uploads, "FRAME_MAX_BYTES", 10)
    status, text = send(client, token, ("PicodataX.csv", CSV))
    assert status == 413 and "at most 10 B can be sent at once" in text
    monkeypatch.setattr(uploads, "UPLOAD_MAX_BYTES", limits.UPLOAD_MAX_BYTES)
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: disk.SPARE_BYTES)
    status, text = send(client, token, ("PicodataX.csv", CSV))
    assert status == 413 and "are free on the card" in text
    assert not started


def test_a_disk_that_is_full_meanwhile_leaves_nothing(
    client: FlaskClient, token: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_self: NewFile, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(NewFile, "write", full)
    status, text = send(client, token, ("PicodataX.csv", CSV))
    assert status == 507 and "No space left on device" in text
    assert not Uploads(settings.data_dir).files
    monkeypatch.undo()


@pytest.mark.usefixtures("busy")
def test_while_something_runs_nothing_else_begins(
    client: FlaskClient, token: str, settings: Settings
) -> None:
    page = client.get("/setup/files").text
    assert "disabled" in page
    for path in ("backup", "export", "discard"):
        assert client.post(f"/setup/files/{path}", data={"token": token}).status_code == 409
    assert send(client, token, ("PicodataX.csv", CSV))[0] == 409
    assert not Uploads(settings.data_dir).files


def test_two_uploads_at_once(client: FlaskClient, token: str, settings: Settings) -> None:
    other = Uploads(settings.data_dir)
    assert other.begin()
    other.new_file(0, "first.csv").close()
    status, text = send(client, token, ("second.csv", CSV))
    assert status == 409 and "Something else is running" in text
    answer = client.post("/setup/files/import", data={"token": token, "do": "import"})
    assert answer.status_code == 409
    other.end()
    assert [path.name for path in other.files] == ["first.csv"]


def test_a_preview_is_shown_and_its_import_takes_the_same_options(
    client: FlaskClient, token: str, settings: Settings, started: list[About]
) -> None:
    send(client, token, ("PicodataX.csv", CSV), ("x.csv", CSV), ("y.csv", CSV))
    lines = [
        {
            **{"name": "PicodataX.csv", "station": "data", "header": ["current_time", "Pressure"]},
            **{"missing": ["Tempereture"], "first_ms": 0, "last_ms": 86_400_000, "rows": 1234},
            **{"new": 1200, "present": 30, "rejected": 4, "removed": 0, "rejected_name": ""},
        },
        {"name": "x.csv", "refused": "no station", "stations": ["data"]},
        {"name": "y.csv", "refused": "names", "station": "data2", "unknown": ["t °C", 'a"b']},
    ]
    ran(settings, "preview", 1, "\n".join(map(json.dumps, lines)), zone="UTC", accept="1")
    page = client.get("/setup/files").text
    text = words(page)
    for part in ("1,234", "1,200", "Missing, and empty in all rows: Tempereture", 'value="UTC"'):
        assert part in page or part in text, part
    assert "No station has a file of this name." in text
    assert "has no column of these names." in text
    assert '<option value="data" selected>' in page
    assert 'name="column-3-a&#34;b"' in page and '<option value="CO2">' in page
    form = {"token": token, "do": "import", "zone": "UTC", "endpoint-2": "data", "accept": "1"}
    form |= {"endpoint-1": "", "column-3-t °C": "Tempereture", 'column-3-a"b': "-", "column-3-": ""}
    assert client.post("/setup/files/import", data=form).status_code == 303
    sent = [str(path) for path in Uploads(settings.data_dir).files]
    options = ["--zone=UTC", "--endpoint=2:data", "--column=3:t °C=Tempereture"]
    options += ['--column=3:a"b=', "--accept-last-line"]
    assert started[-1].arguments == ["import", *options, "--", *sent]
    for name, value, reason in (
        ("zone", "Mars/Olympus", "a zone such as Asia/Tokyo is needed"),
        ("endpoint-2", "--help", "There is no such station."),
    ):
        answer = client.post("/setup/files/import", data={**form, name: value})
        assert answer.status_code == 400 and reason in answer.text
        # A list has only what can be chosen.
        assert name != "zone" or f'value="{value}"' in answer.text
    count = len(started)
    assert client.post("/setup/files/discard", data={"token": token}).status_code == 303
    assert client.post("/setup/files/import", data=form).status_code == 400
    assert len(started) == count


def test_a_station_is_made_of_a_file_that_no_station_has(
    client: FlaskClient, token: str, settings: Settings, started: list[About]
) -> None:
    cellar = "time,Battery,t\r\n2025-08-24 10:46:40,,20.5\r\n2025-08-24 10:47:40,3.1,20.6\r\n"
    send(client, token, ("Cellar 2.csv", cellar.encode()), ("庭.csv", cellar.encode()))
    refused: dict[str, object] = {"refused": "no station", "stations": []}
    names = [path.name for path in Uploads(settings.data_dir).files]
    lines = [json.dumps({"name": name, **refused}) for name in names]
    assert started
    ran(settings, "preview", 1, "\n".join(lines))
    page = client.get("/setup/files").text
    links = re.findall(r'href="(/setup/stations/[^"]*)"', page)
    assert [link.partition("?")[0] for link in links] == [
        *("/setup/stations/cellar-2", "/setup/stations/sensor-6"),
    ]
    address = html.unescape(links[0])
    form = client.get(address).text
    # The first value of each column, wherever it is.
    assert "<code>Battery</code> <small>3.1</small>" in form
    assert "<code>t</code> <small>20.5</small>" in form
    body = html.unescape(re.findall(r'name="body" value="([^"]*)"', form)[0])
    seen = html.unescape(re.findall(r'name="file" value="([^"]*)"', form)[0])
    fields = {"token": token, "file": seen, "body": body, "label": "Cellar", "take-0": "1"}
    fields |= {"take-1": "1", "label-1": "Low", "back": "setup.as_files#import"}
    answer = client.post("/setup/stations/cellar-2", data=fields)
    assert answer.status_code == 303 and answer.location.startswith("/setup/files")
    # Once it is there it is chosen, and so are the columns that it has them for.
    known = station_file.load(settings.data_dir / "stations.toml")
    run = Background(settings.data_dir).current()
    one, _garden = files.previews_of(run, known)
    assert one["endpoint"] == "cellar-2"
    unknown: dict[str, object] = {"name": names[0], "refused": "columns"}
    unknown["station"] = "cellar-2"
    unknown["unknown"] = ["time", "Battery", "note"]
    ran(settings, "preview", 1, json.dumps(unknown))
    (one,) = files.previews_of(Background(settings.data_dir).current(), known)
    assert one["columns"] == {"time": "current_time", "Battery": "battery_voltage", "note": ""}


@pytest.mark.parametrize("number", ["0", "3", "x", "-1"])
def test_a_file_that_was_not_sent_makes_no_station(
    client: FlaskClient, token: str, number: str, started: list[About]
) -> None:
    send(client, token, ("a.csv", CSV))
    assert started
    assert client.get(f"/setup/stations/cellar?sent={number}").status_code == 404


def test_rows_that_were_sent_are_for_administrators(
    client: FlaskClient, make_app: MakeApp, token: str, started: list[About]
) -> None:
    send(client, token, ("a.csv", CSV))
    assert started
    stranger = make_app().test_client()
    assert client.get("/setup/stations/cellar?sent=1").status_code == 200
    assert stranger.get("/setup/stations/cellar?sent=1").status_code == 404


def test_rejected_rows_are_for_administrators(
    client: FlaskClient, of: Administrators, settings: Settings
) -> None:
    uploads_of = Uploads(settings.data_dir)
    uploads_of.begin()
    file = uploads_of.new_file(0, "a.csv")
    file.close()
    uploads_of.end()
    Path(str(file.name)).with_name("a.csv.rejected.csv").write_text("line,reason,row\r\n")
    assert client.get("/setup/files/rejected/0").status_code == 403
    become(client, of)
    with client.get("/setup/files/rejected/0") as answer:
        assert answer.data == b"line,reason,row\r\n"
        assert "attachment" in answer.headers["Content-Disposition"]
    assert client.get("/setup/files/rejected/1").status_code == 404


@pytest.mark.sqlite_only("a backup is restored as a file")
def test_a_backup_is_restored_only_where_it_was_checked_and_the_database_is_new(
    client: FlaskClient,
    token: str,
    settings: Settings,
    started: list[About],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused() -> str:
        form = {"token": token, "part": "readings"}
        answer = client.post("/setup/files/restore", data=form)
        assert answer.status_code == 409
        return words(answer.text)

    monkeypatch.setattr(files, "is_reloaded", lambda _settings: True)
    assert "Send the backup first" in refused()
    with closing(sqlite3.connect(":memory:")) as connection:
        content = connection.serialize() or b"SQLite format 3\0" + b"\0" * 100
    assert send(client, token, ("b.sqlite3", content))[0] == 303
    (sent,) = Uploads(settings.data_dir).files
    assert started[-1].arguments == ["backup", "--verify", str(sent), "--sent"]
    assert started[-1].kind == "check"
    ran(settings, "check", 1)
    assert "Send the backup first" in refused()
    ran(settings, "check", 0, "whole")
    assert "Restore this backup" in client.get("/setup/files").text
    # Rows of it could not be taken: they can be downloaded, and the rest restored.
    sent.with_name("b.sqlite3.rejected.csv").write_text("table,reason,row\r\n")
    ran(settings, "check", 4, "whole")
    page = client.get("/setup/files").text
    assert "Restore this backup" in page and ">b.sqlite3.rejected.csv</a>" in page
    coming = Uploads(settings.data_dir)
    assert coming.begin()
    coming.discard()
    coming.new_file(0, "other.sqlite3").close()
    assert "Send the backup first" in refused()
    coming.end()
    monkeypatch.setattr(files, "EMPTY_MAX_READINGS", -1)
    assert "not a new one" in refused()
    monkeypatch.undo()
    assert "for development" in refused()


@pytest.mark.sqlite_only("a backup is restored as a file")
def test_the_request_to_restore_is_taken_once(
    client: FlaskClient, token: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "is_reloaded", lambda _settings: True)
    background = Background(settings.data_dir)
    uploads_of = Uploads(settings.data_dir)
    uploads_of.begin()
    file = uploads_of.new_file(0, "b.sqlite3")
    file.close()
    uploads_of.end()
    ran(settings, "check", 0)
    assert client.post("/setup/files/restore", data={"token": token}).status_code == 409
    form = {"token": token, "part": "readings"}
    answer = client.post("/setup/files/restore", data=form)
    assert answer.status_code == 202 and "http-equiv" in answer.text
    asked = background.take_asked()
    assert asked and asked[0].arguments == [
        *("restore", str(file.name), "--by-service"),
        "--only=readings",
    ]
    assert asked[1]["FLASK10X_DATA_DIR"] == str(settings.data_dir)
    assert background.take_asked() is None


def test_what_would_be_removed_and_what_proves_it(
    client: FlaskClient,
    token: str,
    settings: Settings,
    database: Database,
    writer: Writer,
) -> None:
    writer.submit(pico(1000.0))
    writer.submit(pico(1001.0, 1_756_000_060_000))
    writer.step()
    page = words(client.get("/setup/files?days=30").text)
    assert "They would stay: No export has ever written their CSV file." in page
    assert "flask10x export" in page
    export(settings, database, settings.stations.all)
    page = words(client.get("/setup/files?days=30").text)
    assert "PicodataX.csv has them" in page
    for wrong in ("3", "x", "-5", "99999999"):
        page = client.get("/setup/files", query_string={"days": wrong}).text
        assert "a whole number of days from 30 to" in page and f'value="{wrong}"' in page
        answer = client.post("/setup/files/retention", data={"token": token, "days": wrong})
        assert answer.status_code == 400 and "a whole number of days" in answer.text
    answer = client.post("/setup/files/retention", data={"token": token, "days": "730"})
    assert answer.status_code == 303
    written = schema_line("settings") + "retention_days = 730\n"
    assert (settings.data_dir / "settings.toml").read_text() == written


@pytest.mark.usefixtures("database")
def test_what_the_environment_sets_is_not_changed_here(make_app: MakeApp) -> None:
    app = make_app(RETENTION_DAYS=400)
    client, settings = app.test_client(), app.jinja_env.globals["settings"]
    assert isinstance(settings, Settings)
    become(client, Administrators(settings))
    text = words(client.get("/setup/files?days=500").text)
    assert "Readings are removed after 400 days" in text and "overrides this page" in text


@pytest.mark.parametrize(
    ("status", "stored", "outcome"),
    [
        (1, "", "Import: not done"),
        (1, "BedRoomEnv.csv: 2 rows read, 2 stored", "Import: partly done"),
        (4, "BedRoomEnv.csv: 2 rows read, 1 stored", "Import: partly done"),
        (0, "BedRoomEnv.csv: 2 rows read, 2 stored", "Import: done"),
    ],
)
@pytest.mark.usefixtures("token")
def test_an_import_that_stored_a_file_is_not_called_undone(
    client: FlaskClient, settings: Settings, status: int, stored: str, outcome: str
) -> None:
    ran(settings, "import", status, stored)
    (settings.data_dir / "background" / ERRORS).write_text("flask10x: Plants.csv: no station")
    text = words(client.get("/setup/files").text)
    assert outcome in text
    assert stored in text and "Plants.csv: no station" in text


def test_what_was_left_goes_at_the_next_start(settings: Settings) -> None:
    uploads_of = Uploads(settings.data_dir)
    uploads_of.begin()
    half = uploads_of.new_file(0, "half.csv")
    half.write(b"half")
    half.close()
    uploads_of.end()
    remove_leftovers(settings.data_dir)
    assert not uploads_of.files


@pytest.mark.usefixtures("busy")
def test_a_command_that_still_works_with_files_keeps_them(settings: Settings) -> None:
    uploads_of = Uploads(settings.data_dir)
    uploads_of.begin()
    uploads_of.new_file(0, "half.csv").close()
    uploads_of.end()
    remove_leftovers(settings.data_dir)
    assert uploads_of.files


def test_one_that_was_killed_is_said_to_be_so(client: FlaskClient, settings: Settings) -> None:
    ran(settings, "backup", 0)
    (settings.data_dir / "background" / STATUS).unlink()
    assert "Nothing is half-done" in words(client.get("/setup/files").text)
    ran(settings, "import", 0)
    (settings.data_dir / "background" / STATUS).unlink()
    text = words(client.get("/setup/files").text)
    assert "Import: partly done It was ended before it was done. What it stored stays" in text
    (settings.data_dir / "background" / ABOUT).write_text("{")
    assert client.get("/setup/files").status_code == 200


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "ActiveState=active\nNextElapseUSecRealtime=@1756049700",
            "The next one: Mon 25 Aug 2025, 00:35 (flask10x-backup.timer).",
        ),
        (
            "ActiveState=inactive\nNextElapseUSecRealtime=",
            "flask10x-backup.timer is off",
        ),
        ("", "The service knows of no schedule for it"),
    ],
)
@pytest.mark.usefixtures("under_systemd")
def test_when_the_next_backup_comes_is_asked_of_systemd(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, shown: str
) -> None:
    client = make_app(BACKUP_TIME="off").test_client()
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "systemctl"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    assert shown in words(client.get("/setup/files").text)


def lay(settings: Settings, *names: str) -> None:
    settings.backup_dir.mkdir(exist_ok=True)
    for name in names:
        (settings.backup_dir / f"flask10x-{name}.sqlite3").write_bytes(b"some")


def test_the_next_backup_is_that_of_the_service(client: FlaskClient, settings: Settings) -> None:
    assert "The next one by itself: " in words(client.get("/setup/files").text)
    assert "The next one by itself: " in words(client.get("/setup/start").text)
    # The newest one is of long ago.
    lay(settings, "20250824-090000")
    for path in ("/setup/files", "/setup/start?change=backup"):
        assert "The next one by itself: in a few minutes." in words(client.get(path).text)


def test_the_schedule_is_written_and_taken_back_by_one_click(
    client: FlaskClient, settings: Settings, token: str
) -> None:
    path = settings.data_dir / "settings.toml"
    shown = {"backup_time": "03:30", "backup_keep": "14"}
    # What is left as it is stays a default.
    answer = client.post("/setup/files/schedule", data={"token": token, **shown})
    assert answer.status_code == 303 and not path.exists()
    answer = client.post(
        "/setup/files/schedule", data={"token": token, **shown, "backup_keep": "3"}
    )
    assert answer.status_code == 303
    assert path.read_text() == schema_line("settings") + "backup_keep = 3\n"
    answer = client.post("/setup/files/schedule", data={"token": token, "backup_time": "off"})
    page = client.get(answer.location).text
    assert "Daily backup at" in words(page) and "Undo" in page
    assert '<option value="off" selected>' in page and 'name="backup_keep" value="3"' in page
    for wrong in ({"backup_keep": "0"}, {"backup_keep": "many"}, {"backup_time": "25:00"}):
        answer = client.post("/setup/files/schedule", data={"token": token, **wrong})
        assert answer.status_code == 400 and "aria-invalid" in answer.text
    assert "backup_keep = 3" in path.read_text()


@pytest.mark.usefixtures("database")
def test_a_schedule_of_the_environment_is_shown_and_not_changed_here(make_app: MakeApp) -> None:
    app = make_app(BACKUP_TIME="01:00")
    client, settings = app.test_client(), app.jinja_env.globals["settings"]
    assert isinstance(settings, Settings)
    token = become(client, Administrators(settings))
    page = client.get("/setup/files").text
    assert "Daily backup at: 01:00" in words(page) and "FLASK10X_BACKUP_TIME" in page
    data = {"token": token, "backup_time": "02:00"}
    assert client.post("/setup/files/schedule", data=data).status_code == 303
    assert not (settings.data_dir / "settings.toml").exists()


def test_three_backups_are_shown_and_the_rest_is_folded(
    client: FlaskClient, settings: Settings
) -> None:
    lay(settings, *(f"202508{day}-033000" for day in range(20, 25)))
    page = client.get("/setup/files").text
    newest, folded, older = page.partition("<details><summary>Older ones: 2")
    assert folded
    assert all(f"202508{day}-033000" in newest for day in (22, 23, 24))
    assert "20250821-033000" in older and "20250821-033000" not in newest


def test_the_only_copy_on_the_card_is_named_in_red(
    client: FlaskClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = "The only copy is on the card or disk that it protects."
    # Nothing is red where there is nothing yet.
    assert sentence not in client.get("/setup/files").text
    lay(settings, "20250824-090000")
    assert f'<p class="error">{sentence}' in client.get("/setup/files").text
    monkeypatch.setattr(files, "on_same_disk", lambda *_paths: False)
    assert sentence not in client.get("/setup/files").text


def test_a_daily_backup_that_failed_is_named_until_one_is_made(
    client: FlaskClient, settings: Settings
) -> None:
    folder = settings.data_dir / "scheduled"
    folder.mkdir()
    about = About(kind="backup", arguments=["backup"], began_ms=1_755_993_600_000, browser="")
    (folder / ABOUT).write_text(json.dumps(asdict(about)))
    (folder / ERRORS).write_text("flask10x: is the disk mounted?")
    (folder / STATUS).write_text("1")
    text = words(client.get("/setup/files").text)
    assert "was not made, and is tried again: is the disk mounted?" in text
    lay(settings, "20250825-033000")
    assert "is tried again" not in words(client.get("/setup/files").text)


def test_a_folder_for_copies_is_written_and_tried(
    client: FlaskClient, settings: Settings, token: str, started: list[About]
) -> None:
    path = settings.data_dir / "settings.toml"
    data = {"token": token, "backup_copy_dir": "/media/usb/flask10x"}
    assert client.post("/setup/files/target", data=data).status_code == 303
    written = schema_line("settings") + 'backup_copy_dir = "/media/usb/flask10x"\n'
    assert path.read_text() == written
    (about,) = started
    assert (about.kind, about.arguments) == ("try", ["backup", "--try", "/media/usb/flask10x"])
    data["backup_copy_dir"] = "usb"
    answer = client.post("/setup/files/target", data=data)
    assert answer.status_code == 400 and "/absolute/path of a folder is needed" in answer.text
    assert path.read_text() == written and len(started) == 1
    # Without copies nothing is tried.
    data["backup_copy_dir"] = ""
    assert client.post("/setup/files/target", data=data).status_code == 303
    assert "backup_copy_dir" not in path.read_text() and len(started) == 1


@pytest.mark.usefixtures("token")
def test_a_stick_that_is_found_is_offered(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "No USB stick is mounted now." in words(client.get("/setup/files").text)
    monkeypatch.setattr(disks, "removable", lambda: [Path("/media/usb")])
    page = client.get("/setup/files").text
    assert "Found: /media/usb/flask10x" in words(page) and 'value="/media/usb/flask10x"' in page


@pytest.mark.usefixtures("database")
def test_a_missing_stick_is_named_and_one_with_a_copy_is_not_red(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stick = tmp_path / "usb" / "flask10x"
    app = make_app(BACKUP_COPY_DIR=stick)
    settings = app.jinja_env.globals["settings"]
    assert isinstance(settings, Settings)
    lay(settings, "20250824-090000")
    sentence = "The only copy is on the card or disk that it protects."
    text = words(app.test_client().get("/setup/files").text)
    assert sentence in text and "is the disk plugged in and mounted?" in text
    stick.mkdir(parents=True)
    monkeypatch.setattr(disks, "on_same_disk", lambda *_paths: False)
    text = words(app.test_client().get("/setup/files").text)
    assert sentence in text and f"No copy is in {stick} yet" in text
    (stick / "flask10x-20250824-090000.sqlite3").write_bytes(b"some")
    text = words(app.test_client().get("/setup/files").text)
    assert sentence not in text and f"A copy of Sun 24 Aug 2025, 09:00 is in {stick}" in text
