"""A sender that posts one reading after the other, and keeps an account as a load does."""

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPException

from flask10x.recording.entry import leftover_files
from tests.e2e import load
from tests.e2e.senders import LATEST_ANSWER_SEC, Answer, check_ingest_answer, reading_of
from tests.e2e.service import Service, wait_until

STORED_WITHIN_SEC = 30.0
REFUSES_WITHIN_SEC = 60.0


@dataclass(slots=True)
class Sender:
    """Posts numbered `/data2` readings, each over a connection of its own."""

    service: Service
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    sent: list[int] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def post(self) -> Answer | None:
        """Post the next reading; None when the connection broke. No answer comes late."""
        number = next(self.numbers)
        self.sent.append(number)
        started = time.monotonic()
        try:
            answer = self.service.post("data2", reading_of(number))
        except (OSError, HTTPException) as error:
            self.broken.append(repr(error))
            return None
        assert time.monotonic() - started < LATEST_ANSWER_SEC
        self._note(number, answer)
        return answer

    def post_times(self, times: int) -> None:
        """Post so many readings."""
        for _ in range(times):
            self.post()

    def post_for(self, seconds: float) -> None:
        """Post until this time is over, with a rest after each answer as a load has it."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.post()
            time.sleep(load.REST_SEC)

    def post_until_refused(self, times: int) -> None:
        """Post until so many readings have been refused."""
        enough = len(self.refused) + times
        deadline = time.monotonic() + REFUSES_WITHIN_SEC
        while len(self.refused) < enough:
            assert time.monotonic() < deadline, "readings are still accepted"
            self.post()

    def check_goes_on(self) -> None:
        """The service gets ready, and the next reading is taken and stored."""
        wait_until(lambda: self.service.get("/readyz").status == 200, 30, "/readyz is 200")
        answer = self.post()
        assert answer is not None
        assert answer.status == 200, answer
        number = self.sent[-1]
        wait_until(lambda: is_stored(self.service, number), STORED_WITHIN_SEC, "it is stored")

    def _note(self, number: int, answer: Answer) -> None:
        check_ingest_answer(answer)
        self.statuses[answer.status] += 1
        promise = self.service.environment.get("FLASK10X_ACK", "enqueued")
        if answer.status == 200:
            assert answer.json == {"status": promise}
            self.acknowledged.append(number)
            return
        self.refused.append(number)
        if answer.status == 400:
            # With ACK=committed it is said at once; sent again it would be refused again.
            assert answer.json["error"] == "refused by the database"
            return
        assert answer.status == 503, answer
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json["status"] == "queued_failed"
        if "detail" in answer.json:
            assert promise == "committed"
            assert answer.json["detail"].endswith("; it may yet be stored")


def wait_for_leftovers(service: Service) -> None:
    """Return when each file of a stop is stored; in pieces, and a stop leaves the rest again."""
    wait_until(lambda: not leftover_files(service.data_dir), 60, "the leftovers are stored")


def is_stored(service: Service, number: int) -> bool:
    """Whether a row with this number is seen from a connection of the test's own."""
    return bool(service.rows("SELECT 1 FROM readings WHERE gas_resistance = ?", number))
