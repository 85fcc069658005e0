"""Runs one PostgreSQL server for as long as the process that it follows lives; then ends it.

A program of its own, `python postgres_guard.py FOLLOWED FOLDER USER COMMAND...`: whatever ends the
tests, a SIGKILL too, no server is left. Nor when this one is killed: the server is sent SIGQUIT.
FOLDER is removed when the followed process has ended; an empty one is none.
"""

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1
END_WITHIN_SEC = 10.0


def main() -> int:
    """The exit status of the server, that ended by itself or by what the tests have sent it."""
    followed, folder, user, *command = sys.argv[1:]
    tests = os.pidfd_open(int(followed))
    server = subprocess.Popen(
        command,
        user=user or None,
        group=user or None,
        extra_groups=[] if user else None,
        preexec_fn=_end_with_parent,  # noqa: PLW1509 - this program has no threads
    )
    ended, _, _ = select.select([tests, os.pidfd_open(server.pid)], [], [])
    if tests in ended:
        # An immediate shutdown: nobody will want the data.
        server.send_signal(signal.SIGQUIT)
        try:
            server.wait(END_WITHIN_SEC)
        except subprocess.TimeoutExpired:
            server.kill()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
    status: int = server.wait()
    return status


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


if __name__ == "__main__":
    sys.exit(main())
