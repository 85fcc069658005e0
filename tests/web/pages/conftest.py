"""How the service runs, as the pages see it."""

from pathlib import Path

import pytest

from flask10x.system import units
from flask10x.web import shell


class Runs:
    """Lets this process look as if a service were started so."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self._patch = folder, monkeypatch
        monkeypatch.setattr(shell, "process_user", lambda: "sensors")
        self.from_terminal()

    def from_terminal(self) -> None:
        """As by `make run`."""
        self._patch.delenv("INVOCATION_ID", raising=False)
        self._patch.setattr(
            units, "MARKS", {name: self._folder / name for name in ("docker", "podman")}
        )

    def under_systemd(self, cgroup: str = "0::/system.slice/flask10x.service\n") -> None:
        """In the unit of this line of /proc/self/cgroup."""
        self._patch.setenv("INVOCATION_ID", "0" * 32)
        file = self._folder / "cgroup"
        file.write_text(cgroup)
        self._patch.setattr(shell, "CGROUP", file)

    def in_container(self, engine: str = "docker") -> None:
        """Within a container of this program."""
        (self._folder / engine).touch()


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(tmp_path, monkeypatch)


@pytest.fixture
def under_systemd(runs: Runs) -> None:
    """As the tutorial installs it."""
    runs.under_systemd()
