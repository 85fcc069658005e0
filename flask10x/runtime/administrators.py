"""The browsers that may set things up, links that make a browser one, and what was changed.

Browsers and links are in `<DATA_DIR>/administrators.json`, with hashes only: neither a link nor a
cookie can be made of them. Each change is a file in `<DATA_DIR>/changes`. Several hosts on one
database have their own.
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from flask10x.config.settings import Settings
from flask10x.config.toml import digest_of
from flask10x.errors import LockTimeout
from flask10x.system import clock, disk, own_files
from flask10x.system.locks import FileLock

NAME = "administrators.json"
CHANGES = "changes"
"""The folder of the changes."""
# Enough to walk from the machine to the phone.
LINK_MS = 600_000
# More links or browsers than a household has: the oldest go.
LINKS_MAX, BROWSERS_MAX = 10, 50
# A former version of a file is kept with each change.
CHANGES_MAX = 50
# The card is written at most once a day for a browser that is used.
USED_EVERY_MS = 86_400_000
LOCK_TIMEOUT_SEC = 5.0
MODE, FOLDER_MODE = 0o600, 0o700


@dataclass(frozen=True, slots=True)
class Browser:
    """A browser that may set things up; times are UTC epoch milliseconds."""

    number: int
    digest: str
    """The SHA-256 of its cookie."""
    name: str
    since_ms: int
    used_ms: int


@dataclass(frozen=True, slots=True)
class Change:
    """A file that a browser has changed, with all that undoing needs."""

    number: int
    at_ms: int
    browser: str
    """The name of the browser."""
    kind: str
    """What kind of change it is: a key of `changes.SENTENCES`."""
    name: str
    """What was changed: an endpoint, a setting, the name of a channel."""
    path: str
    before: str | None
    """The file as it was; None: there was none."""
    after: str
    """The SHA-256 of the file as it became; of no bytes where there is none."""
    undone_ms: int | None = None
    replays: bool = False
    """Whether rejected readings of a new station are to be stored (`added_stations.py`)."""
    stored: int | None = None
    """How many of them were stored; None: not yet."""
    is_settled: bool = True
    """False: the file is just being written, or that was cut short (`setup_files.settle`)."""

    @property
    def former(self) -> bytes | None:
        """The file as it was before the change; None: there was none."""
        return None if self.before is None else self.before.encode()

    @property
    def result(self) -> str:
        """The SHA-256 of the file once it is as the change, or its undoing, leaves it."""
        if self.undone_ms is None:
            return self.after
        return digest_of(self.former)


@dataclass(slots=True)
class _State:
    made: dict[str, tuple[int, int]] = field(default_factory=dict)
    """The SHA-256 of each link, and when it was made: by the wall clock and the monotonic one."""
    browsers: list[Browser] = field(default_factory=list)
    last_number: int = 0

    def is_open(self, link: str, now_ms: int) -> bool:
        """Whether the link was made within the last ten minutes.

        Both clocks say so: one may have been set meanwhile, the other begins again at each boot.
        """
        wall_ms, monotonic_ms = self.made.get(_digest(link), (0, 0))
        age_ms = clock.monotonic_ms() - monotonic_ms
        return 0 <= age_ms < LINK_MS and abs(now_ms - wall_ms) < LINK_MS


class Administrators:
    """Those of one installation; each call reads the file, so that all workers agree."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.data_dir / NAME

    @property
    def browsers(self) -> list[Browser]:
        """All browsers, the newest first."""
        return self._load().browsers[::-1]

    @property
    def changes(self) -> list[Change]:
        """The last changes, the newest first."""
        found = []
        for path in self._files()[::-1]:
            # It may be gone meanwhile, or damaged.
            with suppress(FileNotFoundError, ValueError, TypeError):
                found.append(Change(**json.loads(path.read_bytes())))
        return found

    @property
    def is_new(self) -> bool:
        """Whether no browser has ever been an administrator's."""
        return self._load().last_number == 0

    def new_link(self, now_ms: int) -> str:
        """Return the last part of an address that works once, for ten minutes; raises OSError."""
        link = secrets.token_urlsafe(32)
        with self._changed() as state:
            state.made = dict([*state.made.items()][1 - LINKS_MAX :])
            state.made[_digest(link)] = (now_ms, clock.monotonic_ms())
        return link

    def is_open(self, link: str, now_ms: int) -> bool:
        """Whether the link still works; it costs a look into a small file."""
        return self._load().is_open(link, now_ms)

    def add(self, link: str, name: str, now_ms: int) -> str | None:
        """Return the cookie that makes a browser one; None for a link that does not work."""
        cookie = secrets.token_urlsafe(32)
        if not self.is_open(link, now_ms):
            # Strangers who try links keep no administrator waiting for the lock.
            return None
        with self._changed() as state:
            if not state.is_open(link, now_ms):
                return None
            del state.made[_digest(link)]
            state.last_number += 1
            number = state.last_number
            state.browsers.append(Browser(number, _digest(cookie), name, now_ms, now_ms))
            state.browsers = state.browsers[-BROWSERS_MAX:]
        return cookie

    def of_cookie(self, cookie: str, now_ms: int) -> Browser | None:
        """Return the browser that has this cookie, and note that it was used."""
        digest = _digest(cookie)
        browser = next((b for b in self._load().browsers if b.digest == digest), None)
        if browser and now_ms - browser.used_ms > USED_EVERY_MS:
            # What can't be written, as on a full disk, keeps no page from being read.
            with suppress(OSError, LockTimeout), self._changed() as state:
                state.browsers = [
                    replace(b, used_ms=now_ms) if b.digest == digest else b for b in state.browsers
                ]
        return browser

    def end(self, number: int | None = None) -> int:
        """End this browser, or all browsers and links; return how many browsers were ended."""
        with self._changed() as state:
            before = len(state.browsers)
            state.browsers = [b for b in state.browsers if number not in (None, b.number)]
            if number is None:
                state.made = {}
            return before - len(state.browsers)

    def note(self, change: Change) -> int:
        """Keep the change under the next number, or, when it has one, in the place of that one.

        Returns the number. Raises OSError.
        """
        files = self._files()
        if not change.number:
            change = replace(change, number=int(files[-1].stem) + 1 if files else 1)
        path = self._folder / f"{change.number}.json"
        own_files.put_in_place(path, _bytes_of(change), None)
        for old in self._files()[:-CHANGES_MAX]:
            old.unlink(missing_ok=True)
        return change.number

    def forget(self, change: Change) -> None:
        """Keep the change no longer; raises OSError."""
        self._path.with_name(CHANGES).joinpath(f"{change.number}.json").unlink(missing_ok=True)

    @contextmanager
    def changing(self, timeout_sec: float = LOCK_TIMEOUT_SEC) -> Iterator[None]:
        """Keep others from changing files and their notes; raises LockTimeout and OSError."""
        with closing(FileLock(self._folder)) as lock:
            lock.acquire(timeout_sec)
            yield

    @property
    def _folder(self) -> Path:
        """The folder of the changes, which is made if there is none; raises OSError."""
        folder = self._path.with_name(CHANGES)
        with suppress(FileExistsError):
            folder.mkdir(FOLDER_MODE)
            disk.leave_to_owner(folder, folder.parent)
        return folder

    def _files(self) -> list[Path]:
        """The files of the changes, in their order."""
        files = self._path.with_name(CHANGES).glob("*.json")
        return sorted(
            (path for path in files if path.stem.isdecimal()), key=lambda path: int(path.stem)
        )

    def _load(self) -> _State:
        try:
            stored: dict[str, Any] = json.loads(self._path.read_bytes())
            return _State(
                {d: (int(wall), int(mono)) for d, (wall, mono) in stored.get("made", {}).items()},
                [Browser(**each) for each in stored["browsers"]],
                stored["last_number"],
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            # None yet, or damaged: there is no administrator, until a new link makes one.
            return _State()

    @contextmanager
    def _changed(self) -> Iterator[_State]:
        """Write what the block has changed, whole or not at all; one process at a time.

        What is as it was is not written. Raises OSError.
        """
        with closing(FileLock(self._path.with_name(f".{NAME}.lock"))) as lock:
            lock.acquire(LOCK_TIMEOUT_SEC)
            state = self._load()
            before = _bytes_of(state)
            yield state
            data = _bytes_of(state)
            if data == before:
                return
            if not self._path.exists():
                disk.make_private(self._path)
                self._path.chmod(MODE)
                disk.leave_to_owner(self._path, self._path.parent)
            own_files.put_in_place(self._path, data, self._path.stat())


def _bytes_of(content: _State | Change) -> bytes:
    return (json.dumps(asdict(content), ensure_ascii=False, indent=1) + "\n").encode()


def _digest(secret: str) -> str:
    return sha256(secret.encode("utf-8", "backslashreplace")).hexdigest()
