"""Messages are sent in the sandbox of the service's unit, by each kind of channel."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeService
from tests.e2e.service import PROJECT, wait_until
from tests.e2e.test_alert_kills import HOOK, rows
from tests.e2e.test_sandbox import Sandbox, need_sandbox
from tests.support.receiver import receiving

__all__ = ["need_sandbox"]

pytestmark = pytest.mark.tools
WITHIN_SEC = 90.0


@pytest.mark.usefixtures("need_sandbox")
def test_each_kind_of_way_works_in_the_sandbox(service: MakeService, tmp_path: Path) -> None:
    sandbox = Sandbox("flask10x.service", tmp_path / "calls")
    (program := tmp_path / "program").write_text(f"#!/bin/sh\ncat >{tmp_path}/got\n")
    program.chmod(0o755)
    with receiving() as receiver:
        (urls := tmp_path / "urls").write_text(receiver.url.replace("http:", "json:"))
        urls.chmod(0o600)
        channels = {
            "house": f'kind = "webhook"\nurl = "{receiver.url}"',
            "program": f'kind = "command"\ncommand = ["{program}"]',
        }
        if find_spec("apprise"):
            channels["phone"] = f'kind = "apprise"\nurls_file = "{urls}"'
        text = "".join(f"[channels.{name}]\n{channel}\n" for name, channel in channels.items())
        (tmp_path / "alerts.toml").write_text(text)
        made = service(start=False, alerts=tmp_path / "alerts.toml")
        made.environment |= {"FIRING": str(tmp_path / "firing"), "PYTHONPATH": f"{HOOK}:{PROJECT}"}
        made.wrapper = sandbox.command
        made.start()
        (tmp_path / "firing").touch()
        states = "SELECT way, state, trouble FROM messages ORDER BY way"
        sent = [(name, "sent", "") for name in sorted(channels)]
        wait_until(lambda: rows(made, states) == sent, WITHIN_SEC, "all channels have it")
        assert len(receiver.received) == len(channels) - 1
        assert '"occasion": "entry"' in (tmp_path / "got").read_text(encoding="utf-8")
        made.stop()
    assert sandbox.violations() == []
