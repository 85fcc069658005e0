"""A command run as at a terminal: standard error is one, standard output a pipe."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

from flask10x.config.settings import Settings
from tests.support.databases import environment_of

# A bar, its percentage and the time left, as click draws them.
_DRAWN = re.compile(r"\r(?P<label>[^\r\n\[\]]+?)  \[[# -]*\] +(?P<percent>\d+)%")
_HIDDEN_CURSOR = re.compile(r"\x1b\[\?25[lh]")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a command wrote, and its exit status."""

    status: int
    output: str
    screen: str

    @property
    def bars(self) -> dict[str, list[int]]:
        """The percentages that each bar showed, by its label."""
        found: dict[str, list[int]] = {}
        for drawn in _DRAWN.finditer(_HIDDEN_CURSOR.sub("", self.screen)):
            found.setdefault(drawn["label"], []).append(int(drawn["percent"]))
        return found


def on_terminal(
    settings: Settings,
    *arguments: str,
    seen: str = "",
    then: Callable[[int], object] = lambda _: None,
    locale: str = "C.UTF-8",
) -> Shown:
    """Run `flask10x` and read its screen until it has ended.

    Once the screen has shown `seen`, `then` is called with the process id.
    """
    screen, terminal = pty.openpty()
    environment = {
        "STATE_DIRECTORY": os.environ["STATE_DIRECTORY"],
        **environment_of(settings.data_dir),
        "FLASK10X_TIMEZONE": "Asia/Tokyo",
        "TERM": "xterm",
        "LANG": locale,
        "PYTHONUTF8": "1",
    }
    with (
        open(screen, "rb", buffering=0) as reader,
        subprocess.Popen(
            [sys.executable, "-m", "flask10x", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=terminal,
        ) as running,
    ):
        os.close(terminal)
        written = b""
        try:
            while data := reader.read(65_536):
                written += data
                if seen and seen.encode() in written:
                    then(running.pid)
                    seen = ""
        except OSError:
            pass  # EIO: the last one who had the terminal has ended.
        output = running.communicate(timeout=60)[0]
    return Shown(running.returncode, output.decode(), written.decode())
