"""A stop that comes while the service starts, and a reload with wrong settings."""

import shutil
import signal
import socket
import time

import pytest

from flask10x.database.running_service import Running
from tests.e2e.conftest import MakeService
from tests.e2e.service import WORKERS, Service, wait_until
from tests.e2e.test_stopping import reload_workers
from tests.support import databases

# Gunicorn kills after 30 s; a worker that missed its SIGTERM lives until then.
PROMPTLY_SEC = 12.0
# Longer than the master sleeps between two forks, and than the test takes to see them.
FIRST_RUN_AFTER_SEC = 2.0
# Each thread is held up as well, and a worker starts its threads one after the other before it
# looks whether it was told to stop.
THREADS = 6
GOOD = {"pressure": 1013.25, "temperature": 25.1}


need_strace = pytest.mark.skipif(
    shutil.which("strace") is None,
    reason="strace is not installed: no worker is held up at its fork",
)


@pytest.mark.parametrize(
    "delay_sec",
    [0.02, *(pytest.param(sec, marks=pytest.mark.long) for sec in (0, 0.005, 0.01, 0.04, 0.08))],
)
def test_a_stop_while_workers_boot_is_not_missed(service: MakeService, delay_sec: float) -> None:
    running = service(start=False)
    running.launch()
    wait_until(lambda: "Listening at" in running.output(), 60, "the master listens")
    # The moment itself is what is tested: between the fork and the worker's signal handlers.
    time.sleep(delay_sec)
    running.stop(signal.SIGTERM, within_sec=PROMPTLY_SEC)


@pytest.mark.tools
@need_strace
def test_a_stop_is_not_missed_by_workers_that_have_not_run_yet(service: MakeService) -> None:
    """On a busy machine the master may signal a worker before that has run at all after its fork.

    Python forgets what came until then, so the first thing that a forked worker does in the kernel
    is made to take some seconds here.
    """
    running = service(start=False)
    slow = f"inject=set_robust_list:delay_exit={int(FIRST_RUN_AFTER_SEC * 1_000_000)}"
    running.wrapper = ("strace", "-DDD", "-f", "-qq", "-o", "/dev/null", "-e", slow)
    running.launch()
    wait_until(lambda: len(running.workers()) == WORKERS, 60, "both workers are forked")
    running.stop(signal.SIGTERM, within_sec=PROMPTLY_SEC + THREADS * FIRST_RUN_AFTER_SEC)


def test_a_reload_with_a_mistake_keeps_the_settings_and_says_so(service: MakeService) -> None:
    running = service(start=False)
    toml = running.folder / "flask10x.toml"
    running.folder.mkdir(parents=True, exist_ok=True)
    toml.write_text("history_max = 2\n")
    running.environment["FLASK10X_CONFIG"] = str(toml)
    running.start()
    running.wait_for_workers()
    for _ in range(4):
        assert running.post("data", GOOD).status == 200
    running.wait_for_rows(4)
    assert len(running.get("/history/json").json) == 2

    toml.write_text("history_maxx = 3\n")
    reload_workers(running)
    assert (
        "flask10x.toml: unknown setting history_maxx (did you mean history_max?)"
        in running.output()
    )
    assert len(running.get("/history/json").json) == 2

    toml.write_text('history_max = 3\ndatabase_url = "sqlite:////nowhere/other.sqlite3"\n')
    reload_workers(running)
    # On PostgreSQL the environment says it, which goes before the file.
    assert databases.ON_POSTGRES or "flask10x.sqlite3 until a restart" in running.output()
    assert len(running.get("/history/json").json) == 3
    assert running.post("data", GOOD).status == 200
    running.wait_for_rows(5)


@pytest.mark.parametrize("options", [[], ["--development"]], ids=["production", "development"])
def test_a_folder_that_cannot_be_made_is_one_line(service: MakeService, options: list[str]) -> None:
    running = service(start=False)
    running.folder.mkdir(parents=True, exist_ok=True)
    running.data_dir.write_text("")
    running.launch(*options)

    assert running.process.wait(25) == 1
    (line,) = [line for line in running.output().splitlines() if "Starting gunicorn" not in line]
    assert line.startswith(
        f"flask10x: FLASK10X_DATA_DIR is {running.data_dir}: a file is in the place "
    )


@pytest.mark.parametrize("options", [[], ["--development"]], ids=["production", "development"])
def test_a_port_in_use_is_one_line(service: MakeService, options: list[str]) -> None:
    running = service(start=False)
    with socket.create_server(("127.0.0.1", 0)) as other:
        bind = f"127.0.0.1:{other.getsockname()[1]}"
        running.environment["FLASK10X_BIND"] = bind
        running.launch(*options)
        assert running.process.wait(25) == 1

    (line,) = [line for line in running.output().splitlines() if "Starting gunicorn" not in line]
    assert line.startswith(f"flask10x: FLASK10X_BIND is {bind}: another program listens there; ")
    assert not running.database.exists()


def test_it_says_where_to_look(running: Service) -> None:
    assert f"flask10x: the pages are at http://127.0.0.1:{running.port}/\n" in running.output()


@pytest.mark.parametrize(
    "options",
    [
        pytest.param([], id="production", marks=pytest.mark.tools),
        pytest.param(["--development"], id="development", marks=pytest.mark.long),
    ],
)
def test_a_socket_file_for_a_proxy_in_front(service: MakeService, options: list[str]) -> None:
    running = service(start=False)
    running.folder.mkdir(parents=True, exist_ok=True)
    path = running.folder / "s"
    running.environment["FLASK10X_BIND"] = f"unix:{path}"
    running.launch(*options)

    def answers() -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            if client.connect_ex(str(path)):
                return False
            client.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            return client.recv(100).startswith(b"HTTP/1")

    wait_until(answers, 60, "/healthz answers over the socket file")
    assert Running("1", f"unix:{path}", 0).ask("/healthz") == {"status": "ok"}
    running.stop()


@pytest.mark.sqlite_only("damage of a file")
def test_the_service_speaks_english_in_a_japanese_locale(service: MakeService) -> None:
    running = service(start=False)
    running.data_dir.mkdir(parents=True)
    running.database.write_bytes(b"no database" * 500)
    heading = '[stations.rail.measurements.v]\nunit = "V"\ncsv_header = "+5V rail"\n'
    (running.data_dir / "stations.toml").write_text(heading, encoding="utf-8")
    del running.environment["LANGUAGE"]
    running.environment["LANG"] = "ja_JP.UTF-8"
    running.start()

    # By way of `flask10x migrate`, whose answer the master reads.
    (reason,) = running.get("/readyz").json["reasons"]
    assert reason == "the database is damaged: SQLITE_NOTADB: file is not a database"
    running.stop()
    assert "the database is damaged: SQLITE_NOTADB" in running.output()
    assert running.output().isascii()
    log = "".join(running.log())
    assert log.isascii()
    # An earlier version took such a heading.
    assert "csv_header is '+5V rail', which a spreadsheet takes for a formula" in log


@pytest.mark.tools
def test_a_log_that_cannot_be_written_keeps_nobody_from_storing(service: MakeService) -> None:
    running = service(start=False)
    running.data_dir.mkdir(parents=True)
    running.log_dir.write_text("a file where the folder should be")
    running.start()
    running.wait_for_workers()

    assert running.post("data", GOOD).status == 200
    running.wait_for_rows(1)
    assert running.post("data2", b"{").status == 400

    # A worker tells it after its start has been seen.
    said = "; going on without a log file"
    wait_until(lambda: running.output().count(said) >= WORKERS, 60, "both workers have told it")
    running.stop()
    output = running.output().splitlines()
    (line,) = {line for line in output if line.startswith("flask10x: FLASK10X_LOG_DIR")}
    assert line.startswith(f"flask10x: FLASK10X_LOG_DIR is {running.log_dir}: user ")
    assert line.endswith(said)
    assert output.count(line) == WORKERS
    assert [line for line in output if "/data2 validation error" in line] != []
    assert not [line for line in output if "Traceback" in line]
