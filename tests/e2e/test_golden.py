"""The 600 recorded requests of the original server, answered and exported by the new one."""

import json
import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.e2e.conftest import MakeService
from tests.e2e.senders import Answer, check_ingest_answer
from tests.e2e.service import Service
from tests.support.shared_data import newest_requests, recorded_requests

HEADERS = {
    "PicodataX.csv": "current_time,Pressure,Tempereture",
    "BedRoomEnv.csv": "current_time,CO2,Tempereture,Humidity,Pressure,GasResistance",
    "OutsideEnv.csv": (
        "current_time,Temperature-outside,Humidity-outside,Pressure-outside,GasResistance-outside"
    ),
    "LR_env.csv": (
        "current_time,CO2,AnalogValue,Voltage,Temperature_DS18B20,Temperature_DHT11,Humidity_DHT11"
    ),
}
FILE_OF = {
    "data": "PicodataX.csv",
    "data2": "BedRoomEnv.csv",
    "data3": "OutsideEnv.csv",
    "data4": "LR_env.csv",
}
# The texts of contract, section 2; the text for a string that is no number is ours to choose.
VERBATIM = re.compile(
    r"required field missing|must be an object|(?:below minimum|above maximum) \S+"
    r"|unsupported type: \w+"
)
TIME_CELL = re.compile(r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?=,)")


def recorded() -> list[dict[str, Any]]:
    return [json.loads(line) for line in recorded_requests()]


def expected_files(cases: list[dict[str, Any]]) -> dict[str, bytes]:
    """The CSV files of the recorded rows, with `<time>` in the place of each time."""
    lines = {name: [header] for name, header in HEADERS.items()}
    for case in cases:
        if case["row"] is not None:
            lines[FILE_OF[case["endpoint"]]].append(",".join(["<time>", *case["row"]]))
    return {name: "\r\n".join([*these, ""]).encode() for name, these in lines.items()}


def check_answer(answer: Answer, case: dict[str, Any]) -> None:
    """The answer is the recorded one, but for the texts that are ours to choose."""
    check_ingest_answer(answer)
    assert answer.status == case["status"], (case, answer)
    if case["status"] == 200:
        assert answer.json == {"status": "enqueued"}, (case, answer)
        return
    assert answer.json["error"] == "validation failed", (case, answer)
    assert answer.json.keys() <= {"error", "details", "hint"}, (case, answer)
    details, reasons = answer.json["details"], case["answer"]["details"]
    assert details.keys() == reasons.keys(), (case, answer)
    for path, reason in reasons.items():
        if VERBATIM.fullmatch(reason):
            assert details[path] == reason, (case, answer)
        else:
            assert isinstance(details[path], str), (case, answer)
            assert details[path], (case, answer)


def test_the_recorded_requests_give_the_recorded_answers_and_csv_files(
    service: MakeService,
) -> None:
    cases = recorded()
    assert len(cases) == 600
    # One worker stores them in the order in which they came.
    running = service(workers=1)

    stored = 0
    for case in cases:
        answer = running.post(case["endpoint"], case["body"].encode(), case["content_type"])
        check_answer(answer, case)
        stored += case["status"] == 200
    assert stored == 345
    running.wait_for_rows(stored)
    running.export()
    files = {file.name: file.read_bytes() for file in running.csv_dir.glob("*.csv")}
    masked = {
        name: TIME_CELL.sub("<time>", content.decode()).encode() for name, content in files.items()
    }
    assert masked == expected_files(cases)
    check_times(running, files)


def test_the_newest_version_of_the_old_server_is_met_where_partial_readings_are_accepted(
    service: MakeService,
) -> None:
    """It took incomplete readings of /data4, and flat ones, as ours does with that setting."""
    cases = [json.loads(line) for line in newest_requests()]
    assert len(cases) == 300
    running = service(workers=1, partial_readings="data4=accept")
    for case in cases:
        answer = running.post(case["endpoint"], case["body"].encode(), case["content_type"])
        check_ingest_answer(answer)
        assert answer.status == case["status"] == 200, (case, answer)
        # What is behind the warning stands in `details`, which the old server did not have.
        said = {key: value for key, value in answer.json.items() if key != "details"}
        assert said == case["answer"], (case, answer)
        assert ("details" in answer.json) == (said["status"] == "accepted_with_warnings")
    running.wait_for_rows(len(cases))
    running.export()
    content = (running.csv_dir / "LR_env.csv").read_bytes()
    lines = [HEADERS["LR_env.csv"], *(",".join(["<time>", *case["row"]]) for case in cases), ""]
    assert TIME_CELL.sub("<time>", content.decode()).encode() == "\r\n".join(lines).encode()
    assert running.rows("SELECT count(*) FROM rejected") == [(0,)]


def check_times(service: Service, files: dict[str, bytes]) -> None:
    """`current_time` is the time of receipt in the zone that was set."""
    for endpoint, name in FILE_OF.items():
        received = service.rows(
            "SELECT received_at FROM readings WHERE endpoint = ? ORDER BY id", endpoint
        )
        times = [
            datetime.fromtimestamp(epoch_ms // 1000, ZoneInfo("Asia/Tokyo")).strftime(
                "%Y-%m-%d %H:%M:%S"
            )
            for (epoch_ms,) in received
        ]
        assert [line.partition(",")[0] for line in _lines(files[name])] == times


def _lines(content: bytes) -> list[str]:
    return content.decode().splitlines()[1:]
