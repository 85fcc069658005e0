"""Rows of the state file of alerts, as the watches and the delivery write them, and a rule."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Table

from flask10x.alerts import state_file
from flask10x.alerts.state_file import NAME, StateFile
from flask10x.config.alerts.rules import Threshold

# 2025-08-24 09:00:00 in Tokyo, the zone of the tests.
NINE_MS = 1_755_993_600_000
MINUTE_MS, HOUR_MS = 60_000, 3_600_000


class AlertRows:
    """Writes into the state file of a data folder, and makes it with the first row."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / NAME

    def alert(
        self,
        rule: str,
        subject: str = "",
        since_ms: int = NINE_MS,
        ended_ms: int | None = None,
        **more: Any,
    ) -> Any:
        """An alert of a rule that is named like its kind, unless `kind` is given; its id."""
        facts = {name: json.dumps(more.pop(name, {})) for name in ("facts", "end_facts")}
        ended = None if ended_ms is None else "recovered"
        row: dict[str, Any] = {
            "kind": rule,
            "ended": ended,
            "entered_ms": since_ms,
            "reminded_ms": since_ms,
        }
        times = {"since_ms": since_ms, "ended_ms": ended_ms}
        return self._insert(
            state_file.alerts, {"rule": rule, "subject": subject} | row | times | facts | more
        )

    def message(self, alert_id: int | None, state: str, **more: Any) -> Any:
        """A message of an alert; its id."""
        row: dict[str, Any] = {
            "occasion": "entry",
            "way": "phone",
            "created_ms": NINE_MS,
            "due_ms": NINE_MS,
        }
        if state != "waiting":
            row["settled_ms"] = NINE_MS + 2 * MINUTE_MS
        return self._insert(
            state_file.messages, row | {"alert_id": alert_id, "state": state} | more
        )

    def mute(self, rule: str, subject: str, until_ms: int) -> None:
        """A mute, as the page makes one."""
        self._insert(state_file.mutes, {"rule": rule, "subject": subject, "until_ms": until_ms})

    def _insert(self, table: Table, values: dict[str, Any]) -> Any:
        with closing(StateFile(self.path)) as file, file.writing() as connection:
            key = connection.execute(table.insert().values(values)).inserted_primary_key
            return key and key[0]


def threshold_of(name: str = "stuffy") -> Threshold:
    """Stale air in the bedroom."""
    return Threshold(name=name, station="data2", column="co2", above=1500, clear=1200, for_sec=600)
