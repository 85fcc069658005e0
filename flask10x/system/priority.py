"""Which threads of a process go first while its processors are all busy."""

import os
from contextlib import suppress

# A thread that is nicer by 10 gets about a tenth of the time that another one gets beside it, and
# gives way at once to one that wakes (man 7 sched). Alone on a core it gets all of it.
NICER_BY = 10
MAX_NICE = 19


def give_way() -> None:
    """From now on the calling thread gives way to the main thread; calling it again does nothing.

    On Linux each thread has a niceness of its own (man 2 setpriority, "C library/kernel
    differences"). Where the system refuses it, the thread goes on as it was.
    """
    with suppress(OSError):
        nice = os.getpriority(os.PRIO_PROCESS, os.getpid()) + NICER_BY
        os.setpriority(os.PRIO_PROCESS, 0, min(nice, MAX_NICE))
