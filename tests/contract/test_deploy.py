"""The units, the settings file and the crontab that systemd and cron run."""

import re
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest

from flask10x import __version__
from flask10x.config import environment_file
from flask10x.config import settings as settings_module
from flask10x.config.settings import READERS
from flask10x.database.sqlite import litestream
from flask10x.maintenance import replica
from flask10x.server import gunicorn_conf
from flask10x.web import shell
from tests.e2e.conftest import make_services
from tests.e2e.service import WORKERS, Service, wait_until

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
SERVICES = (
    "flask10x.service",
    "flask10x-export.service",
    "flask10x-backup.service",
    "flask10x-verify.service",
    "flask10x-mqtt.service",
)
REPLICA = "litestream/flask10x-litestream.service"
TIMERS = ("flask10x-export.timer", "flask10x-backup.timer", "flask10x-verify.timer")
UNITS = (*SERVICES, *TIMERS, "flask10x.socket", REPLICA)
COMMAND = "/opt/flask10x/.venv/bin/flask10x"
LITESTREAM = "/opt/litestream/bin/litestream"
ENV_FILE = "/etc/flask10x/flask10x.env"
# Commented lines of the settings file that are examples, not defaults.
EXAMPLES = {
    "FLASK10X_CONFIG",
    # Its default may be missing, but not when it is named.
    "FLASK10X_STATIONS",
    "FLASK10X_ALERTS",
    "FLASK10X_BACKUP_COPY_DIR",
    "FLASK10X_HOST_NAME",
    "FLASK10X_TIMEZONE",
    "FLASK10X_ALTITUDE_M",
    "FLASK10X_PLACE",
    "FLASK10X_HOUSE_NAME",
    "FLASK10X_WRITE_TOKENS_FILE",
    "FLASK10X_READ_TOKENS_FILE",
    "FLASK10X_NOTES_TOKENS_FILE",
    "FLASK10X_ALLOWED_HOSTS",
    "FLASK10X_NOTIFY_HOSTS",
    "FLASK10X_MQTT_URL",
    "FLASK10X_MQTT_PASSWORD_FILE",
    "FLASK10X_MQTT_DISCOVERY",
}
START_WITHIN_SEC = 30.0

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is not installed: the units are not checked here",
)


def unit(name: str) -> ConfigParser:
    parser = ConfigParser(interpolation=None, strict=False, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(DEPLOY / name, encoding="utf-8")
    return parser


def environment_of(name: str) -> list[tuple[str, str]]:
    """What a unit sets: the folder, and that its words are English, as the journal's are."""
    (folder, language) = (pair.split("=") for pair in unit(name)["Service"]["Environment"].split())
    assert language == ["LANGUAGE", "en"]
    return [(folder[0], folder[1]), (language[0], language[1])]


def drop_ins() -> list[str]:
    pages = [page.read_text() for page in sorted((ROOT / "docs/en").rglob("*.md"))]
    return [b for page in pages for b in re.findall(r"^```ini\n(.*?)^```$", page, re.M | re.S)]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the units, their program replaced by one that exists."""
    for name in UNITS:
        text = (DEPLOY / name).read_text(encoding="utf-8").replace(COMMAND, "/bin/true")
        text = text.replace(LITESTREAM, "/bin/true")
        (tmp_path / Path(name).name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("name", [*SERVICES, REPLICA])
def test_no_unit_takes_away_what_a_killed_service_has_left_in_shared_memory(name: str) -> None:
    """The wish of any unit of a user counts when its last one ends (man 5 systemd.exec)."""
    assert unit(name)["Service"]["RemoveIPC"] == "no"


def complaints(folder: Path) -> str:
    """What systemd says about the units: unknown keys only show here, not in the exit status."""
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(f"./{Path(name).name}" for name in UNITS)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return checked.stdout + checked.stderr + ("" if checked.returncode == 0 else "failed")


@needs_systemd
def test_systemd_has_nothing_to_say_about_the_units(installed: Path) -> None:
    assert complaints(installed) == ""


@needs_systemd
def test_systemd_does_complain_about_a_mistake(installed: Path) -> None:
    with (installed / "flask10x.service").open("a") as file:
        file.write("[Service]\nReadWritePath=/x\n")

    assert "ReadWritePath" in complaints(installed)


@needs_systemd
@pytest.mark.parametrize("drop_in", drop_ins(), ids=lambda text: text.splitlines()[1])
def test_systemd_accepts_the_drop_ins_of_the_documents(installed: Path, drop_in: str) -> None:
    names = {"[Timer]": TIMERS, "[Socket]": ("flask10x.socket",)}.get(
        drop_in.splitlines()[0], (*SERVICES, REPLICA)
    )
    for name in names:
        folder = installed / f"{Path(name).name}.d"
        folder.mkdir()
        (folder / "override.conf").write_text(drop_in, encoding="utf-8")

    assert complaints(installed) == ""


def test_the_units_start_the_documented_commands() -> None:
    assert unit("flask10x.service")["Service"]["ExecStart"] == f"{COMMAND} serve"
    assert unit("flask10x-export.service")["Service"]["ExecStart"] == f"{COMMAND} export"
    assert unit("flask10x-export.timer")["Timer"]["OnCalendar"] == "*-*-* 00:05:00"
    assert unit("flask10x-backup.service")["Service"]["ExecStart"] == f"{COMMAND} backup"
    assert unit("flask10x-mqtt.service")["Service"]["ExecStart"] == f"{COMMAND} mqtt"
    assert unit("flask10x-backup.timer")["Timer"]["OnCalendar"] == "*-*-* 00:35:00"
    assert unit("flask10x-verify.service")["Service"]["ExecStart"] == f"{COMMAND} verify"
    assert unit("flask10x-verify.timer")["Timer"]["OnCalendar"] == "Sun *-*-* 02:05:00"


def test_the_comparison_never_takes_the_card_from_readings() -> None:
    service = unit("flask10x-verify.service")["Service"]

    assert (service["Nice"], service["IOSchedulingClass"]) == ("19", "idle")


def test_all_services_see_the_same_files_as_the_same_user() -> None:
    keys = (
        *("User", "Group", "StateDirectory", "StateDirectoryMode", "UMask"),
        *("WorkingDirectory", "Environment", "EnvironmentFile", "ProtectSystem", "ProtectHome"),
    )
    values = {key: {unit(name)["Service"][key] for name in SERVICES} for key in keys}
    assert {key: different for key, different in values.items() if len(different) > 1} == {}


def test_litestream_sees_them_too_and_where_the_replica_is() -> None:
    keys = ("User", "Group", "StateDirectory", "StateDirectoryMode", "UMask", "Environment")
    own, ours = unit(REPLICA)["Service"], unit("flask10x.service")["Service"]
    assert {key: own[key] for key in keys} == {key: ours[key] for key in keys}
    text = (DEPLOY / REPLICA).read_text(encoding="utf-8")
    files = re.findall(r"^EnvironmentFile=(.*)$", text, re.MULTILINE)
    place = environment_file.SERVICE_FILE.with_name(replica.ENV_NAME)
    assert files == [f"-{environment_file.SERVICE_FILE}", str(place)]
    assert own["ExecStart"].split()[0] == LITESTREAM == str(replica.INSTALLED)


def test_a_restore_finds_the_replica_where_litestream_carries_it() -> None:
    text = (DEPLOY / "litestream" / "litestream.yml").read_text(encoding="utf-8")
    assert replica.REPLICA in text
    assert f"path: ${{FLASK10X_DATA_DIR}}/{litestream.SOCKET}\n" in text
    shown = (DEPLOY / "litestream" / replica.ENV_NAME).read_text(encoding="utf-8")
    variables = set(re.findall(r"\$\{(LITESTREAM_\w+)\}", replica.REPLICA))
    assert variables <= set(re.findall(r"^#(\w+)=", shown, re.MULTILINE))
    assert [line for line in shown.splitlines() if line and line[0] != "#"] == []


@pytest.mark.parametrize("name", TIMERS)
def test_a_missed_night_is_made_up(name: str) -> None:
    assert unit(name)["Timer"]["Persistent"] == "true"


def test_systemd_holds_the_port_of_the_setting() -> None:
    socket_unit = unit("flask10x.socket")
    assert socket_unit["Socket"]["ListenStream"] == settings_module.load({}).bind
    # Gunicorn leaves it as it is where the socket listens already.
    assert int(socket_unit["Socket"]["Backlog"]) == gunicorn_conf.backlog
    # A crash of the service leaves it open (man 5 systemd.unit).
    assert not {"StopPropagatedFrom", "PartOf", "BindsTo"} & {*socket_unit["Unit"]}
    # It comes with the service where it is enabled, and only there: with nginx in front it is not.
    assert socket_unit["Install"]["WantedBy"] == "sockets.target flask10x.service"
    assert "Wants" not in unit("flask10x.service")["Unit"]


def test_systemd_waits_longer_than_gunicorn() -> None:
    service = unit("flask10x.service")["Service"]

    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > gunicorn_conf.graceful_timeout


@pytest.mark.parametrize(
    "name",
    ["flask10x.service", "flask10x-mqtt.service", REPLICA],
)
def test_systemd_never_gives_up(name: str) -> None:
    service = unit(name)

    assert service["Service"]["Restart"] == "always"
    assert service["Unit"]["StartLimitIntervalSec"] == "0"


@pytest.mark.parametrize("name", UNITS)
def test_each_choice_of_a_unit_stands_under_a_comment_of_its_paragraph(name: str) -> None:
    paragraphs = (DEPLOY / name).read_text(encoding="utf-8").split("\n\n")
    bare = [p for p in paragraphs if "#" not in p and "[Install]" not in p and "[Unit]" not in p]

    assert bare == []


# The container


def test_the_files_of_the_container_name_this_version_and_one_volume() -> None:
    folder = DEPLOY / "container"
    compose, quadlet = ((folder / n).read_text() for n in ("compose.yaml", "flask10x.container"))
    assert f"localhost/flask10x:{__version__}}}" in compose
    # The commands on /status have these names, too.
    assert f"\nImage={shell.IMAGE}\n" in quadlet
    assert f"\nVolume=flask10x:{environment_file.SERVICE_DATA_DIR}\n" in quadlet
    assert f"\nEnvironment={shell.UNIT_OF_CONTAINER}=%n\n" in quadlet
    for text in (compose, quadlet, (folder / "Containerfile").read_text()):
        assert str(environment_file.SERVICE_DATA_DIR) in text
        assert "flask10x-answers" in text
    # What was accepted is stored before the container is killed.
    grace = re.findall(r"^(?:  stop_grace_period: |StopTimeout=)(\d+)", compose + quadlet, re.M)
    assert len(grace) == 2
    assert min(map(int, grace)) > gunicorn_conf.graceful_timeout


def test_podman_makes_a_unit_of_the_container() -> None:
    generator = Path("/usr/lib/systemd/system-generators/podman-system-generator")
    if not generator.exists():
        pytest.skip("podman is not installed: no unit is made of its file here")
    made = subprocess.run(
        [generator, "--dryrun"],
        env={"QUADLET_UNIT_DIRS": str(DEPLOY / "container")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stderr == "" or "error" not in made.stderr.lower(), made.stderr
    start = re.search("^ExecStart=.*$", made.stdout, re.MULTILINE)
    assert start
    for words in ("--read-only", "--cap-drop all", "--sdnotify=container", "--hostname flask10x"):
        assert words in start[0]
    # What systemd listens with is in the network of the machine, and so is who asks for its health.
    assert "--network host" in start[0]


@pytest.mark.parametrize("place", ["", "0.0.0.0:{port}", "127.0.0.2:{port}", "unix:{path}"])
def test_a_container_asks_for_its_health_where_the_service_listens(
    tmp_path: Path, place: str
) -> None:
    text = (DEPLOY / "container" / "install.py").read_text(encoding="utf-8")
    script = re.search('^ANSWERS = """(.*?)"""', text, re.MULTILINE | re.DOTALL)
    assert script
    path = tmp_path / "a.sock"
    if place.startswith("unix:"):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        port = 0
    else:
        listener = socket.socket()
        listener.bind(("127.0.0.2" if "127.0.0.2" in place else "127.0.0.1", 0))
        port = listener.getsockname()[1]
    names = {"FLASK10X_BIND": place.format(port=port, path=path)}
    names |= {} if place else {"FLASK10X_PORT": str(port)}
    words = [sys.executable, "-c", script[1]]
    with listener:
        refused = subprocess.run(words, env=names, capture_output=True, text=True, check=False)
        assert refused.returncode == 1 and "refused" in refused.stderr
        listener.listen()
        for status, code in (("200 OK", 0), ("503 Service Unavailable", 1)):
            with subprocess.Popen(words, env=names) as asking:
                connection, _ = listener.accept()
                with connection:
                    assert connection.recv(1000).startswith(b"GET /healthz ")
                    answer = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"
                    connection.sendall(answer.encode())
                assert asking.wait(10) == code


# The service as systemd starts it


@pytest.fixture
def notified(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket on which systemd listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(START_WITHIN_SEC)
        yield sock


@pytest.fixture
def service(tmp_path: Path, notified: socket.socket) -> Iterator[Service]:
    with make_services(tmp_path) as make:
        service = make(start=False)
        service.environment["NOTIFY_SOCKET"] = notified.getsockname()
        yield service


def worker_starts(service: Service) -> int:
    return sum("Worker starts" in line for line in service.log())


def test_the_process_that_systemd_started_says_when_it_is_ready(
    notified: socket.socket, service: Service
) -> None:
    service.launch()
    size = socket.CMSG_SPACE(struct.calcsize("3i"))
    message = b""
    while not message.startswith(b"READY=1"):
        # A status comes before, while the database is migrated.
        message, [(_, _, credentials)], _, _ = notified.recvmsg(1000, size)
        assert message.startswith((b"STATUS=", b"READY=1"))
    wait_until(lambda: worker_starts(service) == WORKERS, START_WITHIN_SEC, "both workers run")

    # NotifyAccess=main: systemd ignores what any other process says.
    assert struct.unpack("3i", credentials)[0] == service.pid
    service.stop()


# The settings file


def commented(text: str) -> dict[str, str]:
    return dict(re.findall(r"^#(FLASK10X_\w+)=(.*)$", text, re.MULTILINE))


def test_the_settings_file_changes_nothing_as_it_is() -> None:
    lines = (DEPLOY / "flask10x.env").read_text(encoding="utf-8").splitlines()

    assert [line for line in lines if line and not line.startswith("#")] == []


def test_the_settings_file_shows_every_setting_with_its_default() -> None:
    shown = commented((DEPLOY / "flask10x.env").read_text(encoding="utf-8"))
    values = {name: value for name, value in shown.items() if name not in EXAMPLES}

    assert set(shown) == {f"FLASK10X_{name.upper()}" for name in READERS} | {"FLASK10X_CONFIG"}
    of_the_unit = dict(environment_of("flask10x.service"))
    assert settings_module.load(values) == settings_module.load(of_the_unit)


def test_the_units_read_the_settings_file() -> None:
    assert unit("flask10x.service")["Service"]["EnvironmentFile"] == f"-{ENV_FILE}"


@pytest.mark.parametrize("name", SERVICES)
def test_commands_look_where_the_units_do(name: str) -> None:
    service = unit(name)["Service"]

    assert service["EnvironmentFile"] == f"-{environment_file.SERVICE_FILE}"
    (folder, _language) = environment_of(name)
    assert folder == (environment_file.DATA_DIR, str(environment_file.SERVICE_DATA_DIR))
    assert Path(service["ExecStart"].split()[0]).is_relative_to(environment_file.PROGRAM)


# The crontab


def cron_lines() -> list[str]:
    lines = (DEPLOY / "crontab.example").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if re.match(r"[\d*]", line)]


def run_by_cron(folder: Path, line: str) -> list[str]:
    """Run a line's command as cron does; what the installed program would have seen."""
    script = folder / "shown.py"
    script.write_text(
        "import os\n"
        "from pathlib import Path\n"
        "from flask10x.config import environment_file, settings\n"
        f"environment_file.PROGRAM = Path({str(ROOT)!r})\n"
        f"environment_file.SERVICE_FILE = Path({str(folder / 'flask10x.env')!r})\n"
        f"environment_file.SERVICE_DATA_DIR = Path({str(folder)!r})\n"
        "config = settings.load()\n"
        "print(config.data_dir, config.csv_dir, oct(os.umask(0)), sep='\\n')\n"
    )
    command, programs = re.subn(
        r"/opt/flask10x/\.venv/bin/"
        r"(python /opt/flask10x/scripts/export_csv\.py|flask10x backup|flask10x verify) ",
        f"{sys.executable} {script} ",
        line.split(maxsplit=5)[5],
    )
    command, loggers = re.subn(r"logger -t flask10x-(export|backup|verify)$", "cat", command)
    assert (programs, loggers) == (1, 1)
    ran = subprocess.run(
        ["/bin/sh", "-c", command],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""
    return ran.stdout.splitlines()


@pytest.mark.tools
@pytest.mark.parametrize("line", cron_lines())
def test_cron_runs_with_the_settings_of_the_service(tmp_path: Path, line: str) -> None:
    (tmp_path / "flask10x.env").write_text("# a comment\n\nFLASK10X_CSV_DIR=/mnt/csv\n")

    assert run_by_cron(tmp_path, line) == [str(tmp_path), "/mnt/csv", "0o27"]


@pytest.mark.parametrize("line", cron_lines())
def test_cron_runs_without_a_settings_file(tmp_path: Path, line: str) -> None:
    assert run_by_cron(tmp_path, line) == [str(tmp_path), str(tmp_path / "csv"), "0o27"]


def test_the_crontab_is_one_that_cron_understands() -> None:
    text = (DEPLOY / "crontab.example").read_text(encoding="utf-8")
    environment = dict(environment_of("flask10x-export.service"))

    times = [line.split(" umask")[0] for line in cron_lines()]
    assert times == ["5 0 * * *", "35 0 * * *", "5 2 * * 0"]
    # cron ends the command at a percent sign.
    assert "%" not in "".join(cron_lines())
    # It would win over the file of the service, which a data folder elsewhere is named in.
    assert "FLASK10X_" not in text
    assert f"\nLANGUAGE={environment['LANGUAGE']}\n" in text
    assert text.endswith("\n")
