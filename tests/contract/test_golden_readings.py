"""Every recorded answer of the original server, from the body's bytes to the CSV row."""

import json
from typing import Any

from flask10x.readings.parse import InvalidBody, InvalidReading, decode, parse
from flask10x.readings.stations import BUILT_IN
from tests.support.shared_data import recorded_requests


def recorded() -> list[dict[str, Any]]:
    return [json.loads(line) for line in recorded_requests()]


def payload_of(case: dict[str, Any]) -> dict[str, object]:
    """What the contract, section 2, reads: anything but a JSON object is an empty object."""
    if case["content_type"] != "application/json":
        return {}
    try:
        return decode(case["body"].encode())
    except InvalidBody:
        return {}


def answer_to(case: dict[str, Any]) -> dict[str, Any]:
    """Our status, answer and CSV row in the recording's own shape."""
    try:
        reading = parse(BUILT_IN.by_endpoint[case["endpoint"]], payload_of(case), 0)
    except InvalidReading as error:
        answer: dict[str, Any] = {"error": "validation failed", "details": error.details}
        return {"status": 400, "answer": answer, "row": None}
    row = [str(value) for value in reading.values]
    return {"status": 200, "answer": {"status": "enqueued"}, "row": row}


def test_all_recorded_cases_are_here() -> None:
    assert len(recorded()) == 600


def test_every_recorded_request_gets_the_recorded_answer_and_row() -> None:
    differing = [
        (case, ours)
        for case in recorded()
        if (ours := answer_to(case)) != {name: case[name] for name in ("status", "answer", "row")}
    ]
    assert differing == []
