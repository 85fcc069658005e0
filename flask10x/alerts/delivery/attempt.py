"""The process of one try: a job on standard input, what went wrong on standard output.

It alone has the URL and the secret in hand, so whatever happens in it (a name server that hangs, a
receiver that drips a byte a second or sends without end) is over when it is killed. It says no more
than a code of `texts/troubles.py`, or nothing when the message was taken.
"""

import json
import signal
import sys
from collections.abc import Mapping
from typing import Any

from flask10x.alerts.delivery import apprise_urls, webhook

SENDERS = {"webhook": webhook.post, "apprise": apprise_urls.notify}


def main() -> None:
    """Do the job; the kernel ends this process when its time is up, whatever it is doing."""
    job: Mapping[str, Any] = json.load(sys.stdin)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, job["limit_sec"])
    sys.stdout.write(SENDERS[job["kind"]](job))


if __name__ == "__main__":
    main()
