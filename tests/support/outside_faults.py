"""Faults from outside: a process killed at a system call, a file system of a few pages."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

COMMAND_WITHIN_SEC = 60.0

needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None,
    reason="strace is not installed: nothing is killed at a system call here",
)


def killed_at(
    call: str, number: int, arguments: Sequence[str], environment: Mapping[str, str]
) -> bool:
    """Run `flask10x` and kill it when it makes this system call for the n-th time.

    False when it made fewer such calls, and ended well.
    """
    return python_killed_at(call, number, ["-m", "flask10x", *arguments], environment)


def python_killed_at(
    call: str, number: int, arguments: Sequence[str], environment: Mapping[str, str]
) -> bool:
    """The same for Python with these arguments."""
    inject = f"inject={call}:signal=KILL:when={number}"
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject]
    # Without bytecode: writing it would be a rename of Python's own.
    command = [sys.executable, "-B", *arguments]
    done = subprocess.run(
        [*strace, *command],
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=COMMAND_WITHIN_SEC,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of this size, `1m` say; skips the test where it cannot be mounted."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        pytest.skip("there is no mount: the full disk is not tried here")
    folder.mkdir()
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"only root may mount a small disk: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run([umount, str(folder)], check=True)
