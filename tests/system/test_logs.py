"""The log file: its format, its rotation by several processes, and what happens when it fails."""

import io
import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from errno import EMFILE, ENOSPC
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest

from flask10x.config import settings
from flask10x.config.settings import Settings
from flask10x.system import log_file, logs
from flask10x.system import pace as pace_module

log = logging.getLogger("flask10x.web.ingest")
# 2025-08-24 00:00:12 UTC
MOMENT = 1755993612.9


def given(folder: Path, **more: str) -> Settings:
    names = {f"FLASK10X_{name.upper()}": value for name, value in more.items()}
    return settings.load({"FLASK10X_LOG_DIR": str(folder), **names})


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    logs.shutdown()
    targets = [Path(link).resolve() for link in Path("/proc/self/fd").iterdir()]
    assert not [target for target in targets if "flask10x.l" in target.name]


def record(message: str, level: int = logging.INFO) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "flask10x.web.ingest", "msg": message, "levelno": level, "created": MOMENT}
        | {"levelname": logging.getLevelName(level)}
    )


def until(condition: Callable[[], object]) -> None:
    """Wait for what another thread does; the suite's time limit ends it when it never does."""
    while not condition():
        time.sleep(0.01)


def text_of(folder: Path) -> str:
    logs.flush()
    return (folder / "flask10x.log").read_bytes().decode("utf-8")


def messages(folder: Path) -> list[str]:
    """The lines without their times, which must be there."""
    lines = text_of(folder).splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [A-Z]", line) for line in lines)
    return [line[20:] for line in lines]


def test_a_line_as_in_the_contract(tmp_path: Path) -> None:
    logs.configure(given(tmp_path, timezone="Asia/Tokyo"))

    log.handle(record("/data OK enqueued pressure=1013.2 temperature=25.1 queue_size=3"))

    assert text_of(tmp_path) == (
        "2025-08-24 09:00:12 INFO /data OK enqueued pressure=1013.2 temperature=25.1 queue_size=3\n"
    )


def test_the_thread_writes_by_itself(tmp_path: Path) -> None:
    logs.configure(given(tmp_path))
    for number in range(2):
        log.info("line %d", number)
        file = tmp_path / "flask10x.log"
        until(lambda: file.read_text().endswith(f"INFO line {number}\n"))  # noqa: B023


def test_a_system_without_a_thread_has_the_lines_written_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        logs.configure(given(tmp_path))
    log.warning("No worker can be made")
    logs.shutdown()

    assert (tmp_path / "flask10x.log").read_text().endswith(" WARNING No worker can be made\n")


def test_lines_that_come_together_are_one_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its thread writes the first line at once, with however many others have come by then.
    monkeypatch.setattr(log_file.Collector, "start", lambda _: None)
    written: list[str] = []
    monkeypatch.setattr(log_file.LogFile, "do_write", lambda _, text: written.append(text))
    logs.configure(given(tmp_path))
    for number in range(100):
        log.info("line %d", number)
    logs.flush()

    assert [text.count("INFO line") for text in written] == [100]


def test_what_a_stalled_card_has_no_room_for_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(log_file, "WAITING_MAX", 3)
    begun, moving = threading.Event(), threading.Event()
    write = log_file.LogFile.do_write

    def stalled(file: log_file.LogFile, text: str) -> None:
        begun.set()
        assert moving.wait(30)
        write(file, text)

    monkeypatch.setattr(log_file.LogFile, "do_write", stalled)
    logs.configure(given(tmp_path))
    log.info("being written")
    assert begun.wait(30)
    for number in range(8):
        log.warning("line %d", number)
    moving.set()

    lost = "WARNING 5 lines of the log were lost: the file stalled"
    in_file = [f"WARNING line {number}" for number in range(3)]
    assert messages(tmp_path) == ["INFO being written", *in_file, lost]
    assert capsys.readouterr().err.count("WARNING line") == 8
    log.info("next")
    assert messages(tmp_path)[-2:] == [lost, "INFO next"]


def test_without_a_zone_the_systems_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "XST-5:30")
        time.tzset()
        logs.configure(given(tmp_path))
        log.handle(record("started"))
        logs.flush()
    time.tzset()

    assert text_of(tmp_path) == "2025-08-24 05:30:12 INFO started\n"


def test_the_last_day_of_the_calendar_is_a_date(tmp_path: Path) -> None:
    logs.configure(given(tmp_path, timezone="Asia/Tokyo"))
    last = record("started")
    last.created = 253_402_267_400.5

    log.handle(last)

    assert text_of(tmp_path) == "9999-12-31 23:43:20 INFO started\n"


def test_warnings_go_to_stderr_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(given(tmp_path))

    log.info("/data OK enqueued")
    log.warning("Write queue high watermark reached: %d/%d", 4000, 5000)
    log.error("/data2 validation error: %s", {"humidity": "above maximum 100"})

    warning = "WARNING Write queue high watermark reached: 4000/5000"
    error = "ERROR /data2 validation error: {'humidity': 'above maximum 100'}"
    assert messages(tmp_path) == ["INFO /data OK enqueued", warning, error]
    assert capsys.readouterr().err == f"{warning}\n{error}\n"


def test_in_the_place_of_a_folder_stdout_gets_all_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = given(tmp_path, log_dir="/dev/stdout")
    logs.configure(config)
    log.info("/data OK enqueued")
    log.warning("Write queue high watermark reached: %d/%d", 4000, 5000)
    logs.shutdown()
    said = capsys.readouterr()
    warning = "WARNING Write queue high watermark reached: 4000/5000"
    assert (said.out, said.err) == (f"INFO /data OK enqueued\n{warning}\n", "")
    assert not (tmp_path / "logs").exists()


def test_the_level_is_a_setting(tmp_path: Path) -> None:
    logs.configure(given(tmp_path, log_level="WARNING"))
    log.info("not wanted")
    logs.configure(given(tmp_path, log_level="DEBUG"))
    log.debug("wanted")

    assert messages(tmp_path) == ["DEBUG wanted"]


def test_other_libraries_stay_out(tmp_path: Path) -> None:
    logs.configure(given(tmp_path))
    logging.getLogger("sqlalchemy").error("not ours")
    logging.getLogger("gunicorn.access").error("GET / 200")

    assert text_of(tmp_path) == ""


def test_gunicorn_says_in_the_same_file_what_became_of_a_worker(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(given(tmp_path))
    logging.getLogger("gunicorn.error").critical("WORKER TIMEOUT (pid:%s)", 4711)

    assert messages(tmp_path) == ["CRITICAL WORKER TIMEOUT (pid:4711)"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("sent", "written"),
    [
        ("12\n2025-08-24 09:00:12 INFO forged", r"12\n2025-08-24 09:00:12 INFO forged"),
        ("a\r\nb", r"a\r\nb"),
        ("tab\there", r"tab\there"),
        ("\x1b[2Jcleared", r"\x1b[2Jcleared"),
        ("nul\x00 del\x7f", r"nul\x00 del\x7f"),
        ("c1\x85\x9b", r"c1\x85\x9b"),
        ("lines\u2028paragraphs\u2029", r"lines\u2028paragraphs\u2029"),
        ("half\ud83d a pair", r"half\ud83d a pair"),
        ("寝室 25.3℃ 😀 é", "寝室 25.3℃ 😀 é"),
        (r"back\slash 100%", r"back\slash 100%"),
    ],
)
def test_a_message_is_one_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    sent: str,
    written: str,
) -> None:
    # Not to pytest too: its processes cannot send each other half a character.
    monkeypatch.setattr(logging.getLogger("flask10x"), "propagate", False)
    logs.configure(given(tmp_path))

    log.warning("/data2 refused: %s", sent)

    assert messages(tmp_path) == [f"WARNING /data2 refused: {written}"]
    assert capsys.readouterr().err == f"WARNING /data2 refused: {written}\n"


def test_lines_of_a_traceback_are_indented(tmp_path: Path) -> None:
    logs.configure(given(tmp_path))
    try:
        raise ValueError("bad\x1b[2J\n2025-08-24 09:00:12 INFO forged")
    except ValueError:
        log.exception("Unexpected failure")

    first, *traceback = text_of(tmp_path).splitlines()
    assert first[20:] == "ERROR Unexpected failure"
    assert traceback[0] == "    Traceback (most recent call last):"
    assert traceback[-2:] == [
        r"    ValueError: bad\x1b[2J",
        "    2025-08-24 09:00:12 INFO forged",
    ]


def test_a_line_of_a_kind_is_let_in_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now_sec = [1000.0]
    monkeypatch.setattr(pace_module, "time", SimpleNamespace(monotonic=lambda: now_sec[0]))
    pace = pace_module.Pace()
    assert [pace.turn("/data", "no token") for _ in range(3)] == ["", None, None]
    assert pace.turn("/data2", "no token") == ""
    now_sec[0] += 59.9
    assert pace.turn("/data", "no token") is None
    now_sec[0] += 0.1
    assert pace.turn("/data", "no token") == " (3 more since the last such line)"
    now_sec[0] += 60
    assert pace.turn("/data", "no token") == ""


def test_configuring_again_replaces_the_first(tmp_path: Path) -> None:
    logs.configure(given(tmp_path / "old"))
    logs.configure(given(tmp_path / "new"))
    logs.configure(given(tmp_path / "new"))

    log.info("once")
    logging.getLogger("gunicorn.error").info("once")

    assert text_of(tmp_path / "old") == ""
    assert messages(tmp_path / "new") == ["INFO once"]
    assert logging.getLogger("flask10x").level == logging.INFO


def test_after_shutdown_nothing_is_left(tmp_path: Path) -> None:
    before = list(logging.getLogger("flask10x").handlers)
    logs.configure(given(tmp_path))
    log.info("before")
    logs.shutdown()
    logs.shutdown()
    log.info("after")

    assert messages(tmp_path) == ["INFO before"]
    assert logging.getLogger("flask10x").handlers == before
    assert logging.getLogger("gunicorn.error").handlers == []
    assert logging.raiseExceptions is True


CRASH = """
import logging, sys
from flask10x.config import settings
from flask10x.system import logs
logs.configure(settings.load({"FLASK10X_LOG_DIR": sys.argv[1]}))
logging.getLogger("flask10x").info("The last words")
raise SystemError("crashed")
"""


def test_the_end_of_the_interpreter_writes_what_waits(tmp_path: Path) -> None:
    crash = subprocess.run(
        [sys.executable, "-c", CRASH, str(tmp_path)], capture_output=True, check=False
    )

    assert crash.stderr.endswith(b"SystemError: crashed\n")
    assert messages(tmp_path) == ["INFO The last words"]


WRITE_LINES = """
import logging, sys
from flask10x.config import settings
from flask10x.system import logs
logs.configure(settings.load({"FLASK10X_LOG_DIR": sys.argv[1]}))
log = logging.getLogger("flask10x.web.ingest")
sys.stdin.readline()
for number in range(20_000):
    log.info("/%s OK enqueued no=%05d pressure=1013.2 temperature=25.1", sys.argv[2], number)
logs.shutdown()
"""


def test_two_processes_lose_no_line_across_rotations(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE_LINES, str(tmp_path), name], stdin=subprocess.PIPE
        )
        for name in ("data3", "data4")
    ]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.close()
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]

    files = sorted(tmp_path.glob("flask10x.log*"))
    assert [file.name for file in files] == [
        "flask10x.log",
        "flask10x.log.1",
        "flask10x.log.2",
        "flask10x.log.3",
    ]
    lines = Counter(line[20:] for file in files for line in file.read_text("utf-8").splitlines())
    assert lines == {
        f"INFO /{name} OK enqueued no={number:05d} pressure=1013.2 temperature=25.1": 1
        for name in ("data3", "data4")
        for number in range(20_000)
    }
    assert all(file.stat().st_size <= 1_000_000 + 100 for file in files)
    assert sum(file.stat().st_size for file in files) <= 6_000_000 + 100


def test_old_generations_are_dropped(tmp_path: Path) -> None:
    logs.configure(given(tmp_path, log_max_bytes="1000", log_backup_count="2"))

    for number in range(1000):
        log.info("line %04d", number)
    logs.flush()

    files = sorted(tmp_path.glob("flask10x.log*"), reverse=True)
    assert [file.name for file in files] == ["flask10x.log.2", "flask10x.log.1", "flask10x.log"]
    assert all(file.stat().st_size < 1000 + 35 for file in files)
    lines = "".join(file.read_text("utf-8") for file in files).splitlines()
    assert [line[20:] for line in lines] == [
        f"INFO line {number:04d}" for number in range(1000 - len(lines), 1000)
    ]
    assert len(lines) > 2 * 1000 / 35


def test_lines_that_come_together_are_rotated_between_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_file.Collector, "start", lambda _: None)
    logs.configure(given(tmp_path, log_max_bytes="1000", log_backup_count="9"))

    for number in range(30):
        try:
            raise ValueError(f"{number:04d}")
        except ValueError:
            log.exception("failure %04d", number)
    logs.flush()

    files = sorted(tmp_path.glob("flask10x.log*"), reverse=True)
    texts = [file.read_text("utf-8") for file in files]
    longest = len(texts[-1].partition("ValueError: ")[0]) + 20
    assert len(files) > 5
    assert all(1000 <= len(text) < 1000 + longest for text in texts[:-1])
    assert all(re.match(r"\d{4}-", text) for text in texts)
    assert re.findall(r"    ValueError: (\d+)\n", "".join(texts)) == [
        f"{number:04d}" for number in range(30)
    ]


def test_a_full_disk_costs_lines_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "flask10x.log"
    file.symlink_to("/dev/full")
    logs.configure(given(tmp_path))

    for number in range(50):
        log.info("lost %d", number)
    logs.flush()

    assert capsys.readouterr().err == (
        "WARNING Lines of the log are lost: OSError(28, 'No space left on device')\n"
    )
    file.unlink()
    log.info("space again")
    assert messages(tmp_path) == ["INFO space again"]
    assert capsys.readouterr().err == ""


def test_a_log_that_fails_until_the_end_closes_without_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "flask10x.log").symlink_to("/dev/full")
    logs.configure(given(tmp_path))
    log.warning("lost in the file")
    logs.shutdown()

    assert sorted(capsys.readouterr().err.splitlines()) == [
        "WARNING Lines of the log are lost: OSError(28, 'No space left on device')",
        "WARNING lost in the file",
    ]


def test_a_folder_that_goes_away_costs_lines_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "logs"
    logs.configure(given(folder))
    folder.rename(tmp_path / "elsewhere")

    log.info("lost")
    log.info("lost too")
    logs.flush()

    assert capsys.readouterr().err.count("\n") == 1
    (tmp_path / "elsewhere").rename(folder)
    log.info("back")
    assert messages(folder) == ["INFO back"]


def test_a_torn_last_line_is_closed_first(tmp_path: Path) -> None:
    (tmp_path / "flask10x.log").write_text("2025-08-24 09:00:12 INFO the power w")
    logs.configure(given(tmp_path))
    log.info("started")
    log.info("next")

    assert messages(tmp_path) == ["INFO the power w", "INFO started", "INFO next"]


class BrokenStream(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_broken_stderr_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", BrokenStream())
    logs.configure(given(tmp_path))
    log.warning("only in the file")
    log.warning("and this")

    assert messages(tmp_path) == ["WARNING only in the file", "WARNING and this"]


def test_a_mistake_in_a_log_call_is_no_mistake_of_the_caller(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(given(tmp_path))
    log.info("%d readings", "many")
    log.info("next")

    assert "TypeError" in capsys.readouterr().err
    assert messages(tmp_path) == ["INFO next"]


def test_a_full_disk_at_the_start_is_no_wrong_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("tempfile.TemporaryFile", full)
        logs.configure(given(tmp_path))
    log.info("started")

    assert messages(tmp_path) == ["INFO started"]


def test_without_a_folder_there_is_no_file_but_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "logs"

    logs.configure(given(folder))
    said = capsys.readouterr().err
    log.info("not wanted there")
    log.warning("Write queue high watermark reached: 4000/5000")
    logging.getLogger("gunicorn.error").critical("gunicorn has its own handler")

    assert said.startswith(f"flask10x: FLASK10X_LOG_DIR is {folder}: user ")
    assert " cannot write there: [Errno 20] Not a directory: " in said
    assert said.endswith("; going on without a log file\n")
    assert said.count("\n") == 1
    assert capsys.readouterr().err == "WARNING Write queue high watermark reached: 4000/5000\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_folder_of_another_user_is_said_and_mended_by_the_next_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir(mode=0o755)
    tmp_path.chmod(0o755)
    os.seteuid(65534)
    try:
        logs.configure(given(folder))
    finally:
        os.seteuid(0)
    log.info("lost")

    assert "user nobody cannot write there: [Errno 13] Permission denied" in capsys.readouterr().err
    assert list(folder.iterdir()) == []
    logs.configure(given(folder))
    log.info("back")
    assert messages(folder) == ["INFO back"]


def test_a_card_that_stalls_delays_no_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving = threading.Event()
    logs.configure(given(tmp_path))
    write = log_file.LogFile.do_write

    def stalled(file: log_file.LogFile, line: str) -> None:
        assert moving.wait(30)
        write(file, line)

    monkeypatch.setattr(log_file.LogFile, "do_write", stalled)
    log.info("answered")
    log.info("and answered again")
    moving.set()

    assert messages(tmp_path) == ["INFO answered", "INFO and answered again"]


def test_lines_wait_for_a_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs.configure(given(tmp_path))
    with monkeypatch.context() as without:

        def refuse(_file: log_file.LogFile, _mode: str | None = None) -> NoReturn:
            raise OSError(EMFILE, os.strerror(EMFILE))

        without.setattr(log_file.LogFile, "do_open", refuse)
        log.warning("waits")
        logs.flush()
        assert not (tmp_path / "flask10x.log").read_text()

    logs.shutdown()

    assert messages(tmp_path) == ["WARNING waits"]
