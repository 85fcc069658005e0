"""What a house answers at each of its doors, frozen, so that two commits can be compared.

`make answers AGAINST=<commit>` starts the same house in both source trees: the same readings, the
same files, one clock that stands still. It asks every door (pages in both languages, API, charts,
commands, CSV files, log) and prints each answer that is not the same. A step that must change
nothing is tried with it before it is committed.

The clock is held by libfaketime (Debian's package `faketime`).
"""

import argparse
import difflib
import json
import math
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from random import Random
from time import sleep
from typing import Any
from urllib.parse import urlencode

from tests.e2e.senders import HOST, JSON_TYPE
from tests.e2e.service import PATIENCE_SEC, PROJECT, Service, reserved_port

# Monday, 09:30 in the zone of the house.
NOW = datetime(2026, 6, 15, 0, 30, tzinfo=UTC)
DAYS, APART = 45, timedelta(minutes=10)
BATCH = 1000
# Longer than the writer collects what belongs to one batch.
APART_SEC = 0.5
# What differs between two runs of one commit: tokens of forms, sums of static files, processes.
UNSTABLE = (
    (re.compile(r'(name="token" value=")\w+'), r"\1{token}"),
    (re.compile(r"(nonce[=-]\"?)[\w+/=-]+"), r"\1{nonce}"),
    (re.compile(r"(\?v=)[0-9a-f]+"), r"\1{version}"),
    (re.compile(r"(/setup/link/)[\w-]+"), r"\1{link}"),
    (re.compile(r"-?\b\d+(\.\d+)?(e-\d+)? s\b"), "{n} s"),
    (re.compile(r"\b[\d.]+ (ms|KB|MB|GB|KiB|MiB|GiB)\b"), r"{n} \1"),
    (re.compile(r"\[\d+\]|(?<=kill )\d+|(?<=kill -HUP )\d+|(?<=pid=)\d+"), "{pid}"),
    (re.compile(r"(?<=process )\d+, runs since [\d: -]+"), "{pid}"),
    # How old something is goes by the monotonic clock, which runs on.
    (re.compile(r'(?<=data-age=")\d+|\d+(?=秒)'), "{n}"),
    (re.compile(r'("(age_s|seconds|pid|since|\w*bytes)": )("[^"]*"|-?[\d.]+)'), r"\1{n}"),
    (re.compile(r"queue_size=\d+"), "queue_size={n}"),
    # How many commits there were, how long each took, and what the disk holds by now.
    (re.compile(r"(flask10x_(commit|disk|database)_\w+(\{.*\})?) [\d.e+]+"), r"\1 {n}"),
    (re.compile(r"(flask10x_station_inactivity\w+\{.*\}) [\d.]+"), r"\1 {n}"),
    (re.compile(r'^(  "(data\d?|freezer)": )\d+', re.MULTILINE), r"\1{n}"),
    # When a file was changed stands in the file system, whose clock does not stand still.
    (re.compile(r"changed on [^.<]+"), "changed on {time}"),
    (re.compile(r"(\n[^\n]*The clock was set by \{n\} s[^\n]*)+"), ""),
)
STATIONS = """\
[stations.freezer]
label = "Freezer"
label_ja = "冷凍庫"
csv_file = "Freezer.csv"
interval_sec = 600

[stations.freezer.measurements.temperature]
unit = "°C"
"""
ALERTS = """\
[rules.stuffy]
kind = "threshold"
station = "data2"
measurement = "co2"
above = 1200
clear = 1000
for_min = 10
"""
PAGES = (
    *("/", "/?station=data2", "/history", "/history?endpoint=data2&limit=20", "/records"),
    *("/history?co2__gte=1200", "/history?from=2026-06-10&to=2026-06-12&endpoint=data3"),
    *("/records?month=2026-05", "/notes", "/status", "/status?sensor=data2", "/history/rejected"),
    *("/alerts", "/setup", "/api", "/no-such-page", "/history?co=1", "/history?co2__gte=warm"),
    *("/setup/stations", "/setup/stations/data2", "/setup/new-station", "/setup/house"),
    *("/setup/notifications", "/setup/notifications/rule", "/setup/notifications/channel"),
    *("/setup/files", "/setup/start"),
)
PROGRAMS = (
    *("/healthz", "/readyz", "/metrics", "/metrics/details", "/metrics/prometheus", "/health"),
    *("/history/json", "/history/json?limit=5", "/history/json?endpoint=data4&limit=3"),
    *("/history.json?endpoint=data2&from=-2d", "/history.csv?endpoint=data3&from=-2d"),
    *(f"/history/series?from=-{span}" for span in ("24h", "7d", "30d", "45d")),
    *(f"/history/series?from=-7d&{more}" for more in ("endpoint=data2", "co2__gte=900", "raw=1")),
    *("/history/series?from=-30d&measurement=temperature", "/history/series?from=-2h"),
    *("/records.csv", "/notes.json", "/notes.csv", "/api/v1/latest", "/api/v1/alerts"),
    *("/api/v1/uptime", "/api/v1/notes", "/history/rejected/json", "/openapi.json"),
)
BODIES: tuple[tuple[str, Any], ...] = (
    ("/data", {"pressure": "1013.25hPa", "temperature": "25,1 C"}),
    ("/data", {"pressure": "101325Pa", "temperature": "77F"}),
    ("/data", {"pressure": 3000, "temperature": True}),
    ("/data", {}),
    ("/data", [1]),
    ("/data2", {"co2": None, "temperature": 26.1, "humidity": 101}),
    ("/data2", {"co2": [1], "temperature": "12abc34", "humidity": "52 %", "pressure": 1}),
    ("/data4", {"mh_z19": 5, "mq_2": {"analog_value": 433}}),
    ("/data9", {"temperature": 5}),
    ("/freezer", {"temperature": -18.2}),
    ("/freezer", {"temperature": "-18.2 K"}),
    ("/data?dry_run=1", {"pressure": 1000, "temperature": 20}),
    ("/api/v1/readings", [{"endpoint": "data", "data": {"pressure": 1, "temperature": 1}, "x": 1}]),
)
FORMS = (
    {"what": "note", "about": "data2", "from": "2026-06-14 21:00", "text": "opened a window"},
    {"what": "hide", "about": "data3", "from": "2026-06-13 03:00", "to": "2026-06-13 04:00"},
    {"what": "adjust", "about": "data.pressure", "offset": "-0.8", "gain": "1.001"},
    {"what": "adjust", "about": "data.pressure", "offset": "cold"},
)
COMMANDS = (
    *("--help", "serve --help", "export --help", "import --help", "verify --help", "check"),
    *("export --dry-run", "export", "export", "export --verify", "backup", "check", "rollups"),
    *("verify", "rejected list", "rejected show 1", "rejected replay"),
    *("rejected lst", "stations list", "stations check", "alerts list", "alerts check"),
    *("import {data}/csv/PicodataX.csv", "import {data}/none.csv", "check --json", "exprt"),
)


def _rows(random: Random) -> Iterator[dict[str, Any]]:
    """Readings of five rooms, oldest first, as items of `/api/v1/readings`."""
    time = NOW - timedelta(days=DAYS)
    while time < NOW:
        hour = (time.hour + 9) % 24 + time.minute / 60
        warm, noise = math.sin((hour - 9) / 24 * 2 * math.pi), random.gauss
        co2 = round(700 + 500 * math.cos((hour - 3) / 24 * 2 * math.pi) + noise(0, 30))
        air = round(1010 + 6 * math.sin(time.timestamp() / 300_000) + noise(0, 0.2), 2)
        of_station: dict[str, dict[str, Any]] = {
            "data": {"pressure": air, "temperature": round(24 + 2 * warm + noise(0, 0.1), 2)},
            "data2": {
                **{
                    "co2": co2,
                    "temperature": round(25 + warm, 1),
                    "humidity": round(50 - 5 * warm),
                },
                **{"pressure": air - 1, "gas_res": 8000 + co2 if co2 % 97 else None},
            },
            "data3": {
                **{"temperature": round(19 + 6 * warm + noise(0, 0.3), 3), "pressure": air + 0.5},
                **{"humidity": round(65 - 15 * warm, 1), "gas_res": 12000.5},
            },
            "data4": {
                "mh_z19": {"co2": co2 - 100},
                "mq_2": {"analog_value": 430, "voltage": 0.35},
                "ds18b20": {"temperature": round(24 + warm, 4)},
                "dht11": {"temperature": round(24 + warm), "humidity": round(50 - 3 * warm)},
            },
            "freezer": {"temperature": round(-18 + noise(0, 0.4), 1)},
        }
        for endpoint, data in of_station.items():
            # A day on which the room outside sent nothing, and hours without the Pico.
            if (endpoint == "data3" and time.day == 3) or (endpoint == "data" and time.hour == 17):
                continue
            yield {"endpoint": endpoint, "data": data, "measured_at": time.timestamp()}
        time += APART


class House:
    """The house of one source tree, and what it has answered."""

    def __init__(self, tree: Path, folder: Path, port: int, into: Path) -> None:
        self._service = Service(folder, port, {"stations": "", "alerts": "", "workers": 1})
        for name in ("STATIONS", "ALERTS"):
            del self._service.environment[f"FLASK10X_{name}"]
        self._service.starts_migrated = False
        self._service.environment |= {"PYTHONPATH": str(tree), "LANGUAGE": "en"} | _held_clock()
        self._into = into
        self._cookie = ""

    def answer_all(self) -> None:
        """Ask each door; an answer is a file below the folder."""
        service = self._service
        service.data_dir.mkdir(parents=True)
        (service.data_dir / "stations.toml").write_text(STATIONS, encoding="utf-8")
        (service.data_dir / "alerts.toml").write_text(ALERTS, encoding="utf-8")
        try:
            service.start()
            service.wait_for_workers()
            self._fill()
            self._ask_all()
            for number, words in enumerate(COMMANDS):
                self._run(f"{number:02d}", words)
            self._keep("page after commands", self._ask("GET", "/status"))
            service.stop()
            for number, words in enumerate(("check", "export", "migrate", "restore {backup}")):
                self._run(f"stopped {number:02d}", words)
        finally:
            service.discard()
        for path in sorted((service.data_dir / "csv").iterdir()):
            self._keep(f"csv {path.name}", path.read_bytes().decode())
        self._keep("log", "\n".join(sorted(set(service.log()))))

    def _fill(self) -> None:
        items, accepted = list(_rows(Random(38))), 0
        for begin in range(0, len(items), BATCH):
            answer = self._ask("POST", "/api/v1/readings", items[begin : begin + BATCH])
            accepted += int(re.findall(r'"accepted": (\d+)', answer)[0])
            # In the order of ids the next batch comes behind this one, in every run.
            self._service.wait_for_rows(accepted)
        for number, (path, body) in enumerate(BODIES):
            self._keep(f"post {number:02d} {path}", self._ask("POST", path, body))
            # Each is a batch of its own, so ids are the same in every run.
            sleep(APART_SEC)
        for number, form in enumerate(FORMS):
            self._keep(f"note {number}", self._ask("POST", "/notes/write", urlencode(form)))
        (stored,) = self._service.rows(
            "SELECT count(*) FROM readings WHERE received_at = ?", NOW.timestamp() * 1000
        )[0]
        assert stored, "nothing was stored at the time of the house"

        # The service makes them within minutes by its own clock; here they are made first.
        rebuilt = self._service.run("-m", "flask10x", "rollups", "--rebuild")
        assert rebuilt.returncode == 0, rebuilt.stderr

    def _ask_all(self) -> None:
        for path in PROGRAMS:
            self._keep(f"get {path}", self._ask("GET", path))
        link = self._service.run("-m", "flask10x", "admin-link").stdout.split()[0]
        for role in ("visitor", "administrator"):
            if role == "administrator":
                self._ask("POST", "/setup/link", urlencode({"link": link.rpartition("/")[2]}))
                assert self._cookie, "no administrator"
            for language in ("en", "ja"):
                for path in PAGES:
                    name = f"{role} {language} {path}"
                    self._keep(name, self._ask("GET", path, language=language))

    def _ask(self, method: str, path: str, body: Any = None, language: str = "en") -> str:
        connection = HTTPConnection(HOST, self._service.port, timeout=PATIENCE_SEC)
        headers = {"Accept-Language": language, "Cookie": self._cookie}
        if body is not None:
            is_form = isinstance(body, str)
            headers["Content-Type"] = "application/x-www-form-urlencoded" if is_form else JSON_TYPE
            body = (body if is_form else json.dumps(body)).encode()
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
        connection.close()
        if cookie := answer.getheader("Set-Cookie"):
            self._cookie = cookie.partition(";")[0]
        heads = [f"{name}: {answer.getheader(name)}" for name in ("Content-Type", "Location")]
        return "\n".join((f"{answer.status}", *heads, _indented(text)))

    def _run(self, number: str, words: str) -> None:
        service = self._service
        backups = sorted(service.data_dir.glob("backups/*.sqlite3"))
        given = words.format(data=service.data_dir, backup=backups[-1] if backups else "")
        done = service.run("-m", "flask10x", *given.split())
        text = f"exit status {done.returncode}\n{_indented(done.stdout)}\n{done.stderr}"
        self._keep(f"command {number} {words}", text)

    def _keep(self, name: str, text: str) -> None:
        service = self._service
        text = text.replace(str(service.folder), "{house}")
        # Not the digits of a value.
        text = re.sub(rf"(?<![\d.]){service.port}(?!\d)", "{port}", text)
        for pattern, stable in UNSTABLE:
            text = pattern.sub(stable, text)
        file = re.sub(r"[^\w.=&?-]", "_", name)
        # A line of HTML has a hundred elements: a difference is seen in one of them.
        text = re.sub(r">\s*<", ">\n<", text)
        (self._into / file).write_text(text, encoding="utf-8")


def _indented(text: str) -> str:
    """Return JSON with a line for each value; other text as it is."""
    with suppress(ValueError):
        return json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    return text


def _held_clock() -> dict[str, str]:
    """The environment in which the wall clock stands still."""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not libraries:
        sys.exit("libfaketime is not installed: sudo apt install faketime")
    return {
        **{"LD_PRELOAD": str(libraries[0]), "FAKETIME": f"{NOW:%Y-%m-%d %H:%M:%S}", "TZ": "UTC"},
        **{"FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"},
    }


@contextmanager
def _tree_of(commit: str) -> Iterator[Path]:
    """Yield the source tree of a commit, with what it builds and the chart library of this one."""
    git = shutil.which("git") or "git"
    packed = subprocess.run(
        [git, "archive", commit], cwd=PROJECT, capture_output=True, check=True
    ).stdout
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name)
        with tarfile.open(fileobj=BytesIO(packed)) as archive:
            archive.extractall(tree, filter="data")
        vendor = Path("flask10x/web/static/vendor")
        shutil.copytree(PROJECT / vendor, tree / vendor, dirs_exist_ok=True)
        subprocess.run([sys.executable, "hatch_build.py"], cwd=tree, check=True)
        yield tree


def answers_of(tree: Path, into: Path) -> Mapping[str, str]:
    """Return what the house of this source tree answers, by the name of the door."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name, reserved_port() as port:
        House(tree, Path(name).resolve(), port, into).answer_all()
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(into.iterdir())}


def main() -> int:
    """Print each answer that differs; exit status 1 if one does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit", help="the commit to compare this checkout with")
    folder = PROJECT / "build" / "answers"
    with _tree_of(parser.parse_args().commit) as tree:
        before = answers_of(tree, folder / "before")
    after = answers_of(PROJECT, folder / "after")
    different = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    for name in different:
        sides = (before.get(name, "").splitlines(), after.get(name, "").splitlines())
        names = (f"before/{name}", f"after/{name}")
        lines = difflib.unified_diff(*sides, *names, n=1, lineterm="")
        sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.write(f"{len(after)} answers, {len(different)} differ (both sides: {folder})\n")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
