"""A watch that says what the test has written; Python imports this by itself from PYTHONPATH.

FIRING names a file: the disk is full while it is there.
"""

import os
from collections.abc import Iterator
from pathlib import Path

if _path := os.environ.get("FIRING"):
    from flask10x.alerts.alert import Active, Moment, Verdict
    from flask10x.config.alerts.rules import Disk
    from flask10x.runtime import store

    class WrittenWatch:
        """Looks at the file."""

        rule = Disk()

        def step(self, now: Moment, _active: Active) -> Iterator[Verdict]:
            """One verdict of the rule `disk`."""
            yield Verdict(self.rule, Path(os.environ["FIRING"]).exists(), now.wall_ms)

    store.watches_of = lambda *_: [WrittenWatch()]  # type: ignore[attr-defined]
