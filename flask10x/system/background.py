"""A command that runs beside the service, in a process of its own, and what it has said so far.

There is one at a time for each data folder. It holds a lock for as long as it runs, whichever
worker has started it and whatever becomes of that worker; so who runs and who was killed is known
without a process id. What it says is in files of a folder, until the next one begins.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from flask10x.config.settings import PREFIX, Settings
from flask10x.errors import BackgroundBusy
from flask10x.system import disk, own_files
from flask10x.system.locks import FileLock, note_of_holder
from flask10x.translation import Language

NAME = "background"
LOCK, ABOUT, OUTPUT, ERRORS = ".lock", "about.json", "output", "errors"
PROGRESS, STATUS = "progress.json", "status"
# What the workers' parent is to run once they have ended.
ASKED = "asked.json"
# The module that runs it, as `python -m` takes it; it is above this one.
MODULE = "flask10x.commands.background"
# With these the command works in the folders of the service, whatever the environment says.
FOLLOWED = ("data_dir", "csv_dir", "backup_dir", "database_url", "timezone")
# What a page shows of the output; an import of many files says some lines for each.
SHOWN_BYTES = 200_000
# A bar is drawn about so often, and the file is on a card.
PROGRESS_EVERY_SEC = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """What a command is, as the page that has started it wants to know it later."""

    kind: str
    arguments: list[str]
    began_ms: int
    """In UTC epoch milliseconds."""
    browser: str
    """Which one asked for it; empty: the service itself."""
    values: dict[str, Any] = field(default_factory=dict)
    """What else its page remembers, as JSON has it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far the present part of the work is."""

    label: str
    done: int
    total: int

    @property
    def percent(self) -> int:
        """0 to 100."""
        return min(100, 100 * self.done // self.total) if self.total else 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """The command that runs, or the last one that ran."""

    about: About
    is_running: bool
    progress: Progress | None
    status: int | None
    """Its exit status; None while it runs, and of one that was killed."""
    output: str
    errors: str

    @property
    def was_killed(self) -> bool:
        """Whether it ended without a status: by the kernel, a power cut, or a stop of the unit."""
        return not self.is_running and self.status is None


def environment(settings: Settings, language: Language) -> dict[str, str]:
    """Return the environment of a command for this service, which speaks this language."""
    folders = {name: getattr(settings, name) for name in FOLLOWED}
    own = {f"{PREFIX}{name.upper()}": str(value) for name, value in folders.items() if value}
    # LANGUAGE does not count in the locale C, whatever its encoding is.
    return {**own, "LANGUAGE": language, "LC_ALL": "en_US.UTF-8", "PYTHONUTF8": "1"}


class Background:
    """The command of one data folder; by another `name` one that may run beside it."""

    def __init__(self, data_dir: Path, name: str = NAME) -> None:
        self.folder = data_dir / name

    @property
    def is_running(self) -> bool:
        """Whether one runs now; raises OSError."""
        return note_of_holder(self.folder / LOCK) is not None

    def start(self, about: About, environment: Mapping[str, str]) -> threading.Thread:
        """Start `flask10x` with the arguments of `about`, as the gentlest process of the machine.

        The environment is added to that of this process. The thread ends with the command. Raises
        BackgroundBusy when one runs already, and OSError.
        """
        if not self.folder.is_dir():
            self.folder.mkdir(mode=0o750)
            disk.leave_to_owner(self.folder, self.folder.parent)
        with self._taken() as lock:
            self._forget()
            data = json.dumps(asdict(about), ensure_ascii=False)
            with open(self.folder / ABOUT, "w", encoding="utf-8", opener=disk.private) as file:
                file.write(data)
            # The child has the lock, too, and keeps it when this process lets it go.
            process = self._spawn(about.arguments, environment, lock)
            lock.note(f"{process.pid} {about.kind}\n")
        # Or it would stay as a zombie until the worker ends.
        thread = threading.Thread(target=process.wait, name="background", daemon=True)
        thread.start()
        return thread

    def ask(self, about: About, environment: Mapping[str, str]) -> None:
        """Keep a command for the workers' parent, which runs it at the next reload.

        Raises BackgroundBusy when one runs, and OSError.
        """
        with self._taken():
            data = json.dumps([asdict(about), dict(environment)], ensure_ascii=False)
            own_files.put_in_place(self.folder / ASKED, data.encode(), None)

    def take_asked(self) -> tuple[About, dict[str, str]] | None:
        """Return the command that was kept, with its environment, and forget it."""
        path = self.folder / ASKED
        try:
            about, environment = json.loads(path.read_bytes())
            # Before it runs: a parent that dies of it does not do it again and again.
            path.unlink()
            return About(**about), dict(environment)
        except (OSError, ValueError, TypeError):
            return None

    def _spawn(
        self, arguments: Sequence[str], environment: Mapping[str, str], lock: FileLock
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", MODULE, str(self.folder), *arguments]
        with (
            open(self.folder / OUTPUT, "wb", opener=disk.private) as output,
            open(self.folder / ERRORS, "wb", opener=disk.private) as errors,
        ):
            return subprocess.Popen(  # noqa: S603
                command,
                cwd=self.folder.parent,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                pass_fds=(lock.fileno(),),
                # Ctrl+C in the terminal of the service is not for it.
                start_new_session=True,
            )

    def current(self) -> Run | None:
        """Return the one that runs or ran last; None where there was none, or it is unreadable."""
        is_running = self.is_running
        try:
            about = About(**json.loads((self.folder / ABOUT).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        progress, status = None, None
        with suppress(ValueError, TypeError):
            if is_running:
                progress = Progress(**json.loads(self._text(PROGRESS)))
            else:
                status = int(self._text(STATUS))
        return Run(
            about=about,
            is_running=is_running,
            progress=progress,
            status=status,
            output=self._text(OUTPUT),
            errors=self._text(ERRORS),
        )

    def cancel(self) -> bool:
        """Ask the one that runs to end, as Ctrl+C does; False when none runs."""
        note = note_of_holder(self.folder / LOCK)
        pid = note.text.partition(" ")[0] if note else ""
        if not pid.isdigit():
            return False
        with suppress(ProcessLookupError, PermissionError):
            os.kill(int(pid), signal.SIGINT)
        return True

    def forget(self) -> None:
        """Remove what the last one said; nothing happens while one runs. Raises OSError."""
        if self.folder.is_dir():
            with suppress(BackgroundBusy), self._taken():
                self._forget()

    @contextmanager
    def _taken(self) -> Iterator[FileLock]:
        """Hold its lock, so that no other begins; raises BackgroundBusy and OSError."""
        with closing(FileLock(self.folder / LOCK)) as lock:
            if not lock.try_acquire():
                raise BackgroundBusy(lock.line().partition(" ")[2])
            # The process of the last one may be another program's by now.
            lock.note("")
            yield lock

    def _forget(self) -> None:
        for name in (ABOUT, OUTPUT, ERRORS, PROGRESS, STATUS):
            (self.folder / name).unlink(missing_ok=True)

    def _text(self, name: str) -> str:
        try:
            with open(self.folder / name, "rb") as file:
                return file.read(SHOWN_BYTES).decode(errors="replace").strip()
        except OSError:
            return ""


def note_status(folder: Path, status: int) -> None:
    """Note how this process ends; on a full disk the page says that it ended early."""
    with (
        suppress(OSError),
        open(folder / STATUS, "w", encoding="ascii", opener=disk.private) as file,
    ):
        file.write(str(status))


class ProgressFile:
    """The progress of this process, for pages; written into one place, as often as needed."""

    def __init__(self, folder: Path) -> None:
        self._fd = disk.private(folder / PROGRESS, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self._next_sec = 0.0
        self._longest = 0

    def show(self, label: str, done: int, total: int) -> None:
        """Show how far the present part of the work is; errors are of no importance."""
        now_sec = monotonic()
        if now_sec < self._next_sec and done:
            return
        self._next_sec = now_sec + PROGRESS_EVERY_SEC
        data = json.dumps({"label": label, "done": done, "total": total}).encode()
        # A shorter text leaves nothing of a longer one: JSON may end in spaces.
        self._longest = max(self._longest, len(data))
        with suppress(OSError):
            os.pwrite(self._fd, data.ljust(self._longest), 0)
