"""A watch that says what the test has written; Python imports this by itself from PYTHONPATH.

FIRING names a file: the disk is full while it is there.
"""

import os
from collections.abc import Iterator
from pathlib import Path

if _path := os.environ.get("FIRING"):
    from flask10x.alerts.alert import Active, Moment, Verdict, Watch
    from flask10x.runtime.alerting import watch_list

    class WrittenWatch:
        """Looks at the file."""

        def step(self, now: Moment, _active: Active) -> Iterator[Verdict]:
            """One verdict of the rule `disk`."""
            yield Verdict(
                rule="disk",
                kind="disk",
                subject="",
                is_firing=Path(os.environ["FIRING"]).exists(),
                since_ms=now.wall_ms,
            )

    def _watches(*_of_store: object) -> list[Watch]:
        return [WrittenWatch()]

    watch_list.of = _watches  # type: ignore[assignment]
