"""The browsers that may set things up, links that make a browser one, and what was changed.

All of it is in `<DATA_DIR>/administrators.json`, with hashes only: neither a link nor a cookie can
be made of them. Several hosts on one database have a file each.
"""

import errno
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from flask10x.config.settings import Settings
from flask10x.errors import LockTimeout
from flask10x.system import disk, own_files
from flask10x.system.locks import FileLock

NAME = "administrators.json"
# Enough to walk from the machine to the phone.
LINK_MS = 600_000
# More links or browsers than a household has: the oldest go.
LINKS_MAX, BROWSERS_MAX = 10, 50
# A former version of a file is kept with each change.
CHANGES_MAX = 50
# The card is written at most once a day for a browser that is used.
USED_EVERY_MS = 86_400_000
LOCK_TIMEOUT_SEC = 5.0
MODE = 0o600
FULL = (errno.ENOSPC, errno.EDQUOT)


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


@dataclass(slots=True)
class _State:
    links: dict[str, int]
    """The SHA-256 of each link, and when it ends."""
    browsers: list[Browser]
    changes: list[Change]
    last_number: int = 0
    has_begun: bool = False
    """Whether a browser has gone through the steps of a new installation, or left them out."""

    def next_number(self) -> int:
        self.last_number += 1
        return self.last_number


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
        return self._load().changes[::-1]

    @property
    def is_new(self) -> bool:
        """Whether no browser has ever been an administrator's."""
        return self._load().last_number == 0

    @property
    def has_begun(self) -> bool:
        """Whether a browser has gone through the steps of a new installation."""
        return self._load().has_begun

    def begin(self) -> None:
        """Note that a browser has; what can't be written is noted the next time."""
        if not self.has_begun:
            with suppress(OSError, LockTimeout), self._changed() as state:
                state.has_begun = True

    def new_link(self, now_ms: int) -> str:
        """Return the last part of an address that works once, for ten minutes; raises OSError."""
        link = secrets.token_urlsafe(32)
        with self._changed() as state:
            state.links = {d: ends for d, ends in state.links.items() if ends > now_ms}
            state.links = dict([*state.links.items()][1 - LINKS_MAX :])
            state.links[_digest(link)] = now_ms + LINK_MS
        return link

    def is_open(self, link: str, now_ms: int) -> bool:
        """Whether the link still works."""
        return self._load().links.get(_digest(link), 0) > now_ms

    def add(self, link: str, name: str, now_ms: int) -> str | None:
        """Return the cookie that makes a browser one; None for a link that does not work."""
        cookie = secrets.token_urlsafe(32)
        with self._changed() as state:
            if state.links.pop(_digest(link), 0) <= now_ms:
                return None
            number = state.next_number()
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
        """End this browser, or all browsers and links; return how many browsers were ended.

        It needs no room on the disk.
        """
        with self._changed(is_shorter=True) as state:
            before = len(state.browsers)
            state.browsers = [b for b in state.browsers if number not in (None, b.number)]
            if number is None:
                state.links = {}
            return before - len(state.browsers)

    def note(self, change: Change) -> None:
        """Keep the change under the next number, or, when it has one, in the place of that one."""
        with self._changed() as state:
            if change.number:
                state.changes = [change if c.number == change.number else c for c in state.changes]
            else:
                state.changes.append(replace(change, number=state.next_number()))
            state.changes = state.changes[-CHANGES_MAX:]

    def _load(self) -> _State:
        try:
            stored: dict[str, Any] = json.loads(self._path.read_bytes())
            return _State(
                dict(stored["links"]),
                [Browser(**each) for each in stored["browsers"]],
                [Change(**each) for each in stored["changes"]],
                stored["last_number"],
                stored.get("has_begun", False),
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            # None yet, or damaged: there is no administrator, until a new link makes one.
            return _State({}, [], [])

    @contextmanager
    def _changed(self, *, is_shorter: bool = False) -> Iterator[_State]:
        """Write what the block has changed, whole or not at all; one process at a time.

        With `is_shorter` it is written on a full disk, too, over what there is. After a power cut
        in between no browser is an administrator's.
        """
        lock = FileLock(self._path.with_name(f".{NAME}.lock"))
        with closing(lock):
            lock.acquire(LOCK_TIMEOUT_SEC)
            state = self._load()
            yield state
            if not self._path.exists():
                disk.make_private(self._path)
                self._path.chmod(MODE)
                disk.leave_to_owner(self._path, self._path.parent)
            data = json.dumps(asdict(state), ensure_ascii=False, indent=1) + "\n"
            try:
                own_files.put_in_place(self._path, data.encode(), self._path.stat())
            except OSError as error:
                if not is_shorter or error.errno not in FULL:
                    raise
                _write_over(self._path, data.encode())


def _write_over(path: Path, data: bytes) -> None:
    """Write the bytes into the file that is there, which is at least as long; raises OSError."""
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        # JSON may end with blanks, and a file that keeps its length needs no room.
        file.write(data.ljust(size))
        file.flush()
        os.fsync(file.fileno())


def digest_of(data: bytes | None) -> str:
    """Return the SHA-256 of a file's bytes as `Change.after` has it; of no bytes without a file."""
    return sha256(data or b"").hexdigest()


def _digest(secret: str) -> str:
    return sha256(secret.encode("utf-8", "backslashreplace")).hexdigest()
