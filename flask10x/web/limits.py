"""How much a worker takes on at once, and when to ask again instead."""

import resource

from flask10x.readings.parse import BODY_MAX_BYTES

# In a request's environ: what makes the receipt that the request waits for until its commit. The
# server whose main thread answers puts there what lets that thread go on meanwhile.
RECEIPT = "flask10x.receipt"
# Likewise the headers of which there are lines that differ, by name; not there when there are none.
CONFLICTS = "flask10x.conflicts"
# Likewise what makes the follower of an open page, for which a greenlet waits.
FOLLOWER = "flask10x.follower"

# How many downloads of a worker may be on their way at once. Each takes a
# thread for one page of rows after the other; with many, each and every page would take long.
DOWNLOADS_MAX = 10
# What `Retry-After` says when readings can't be taken or read now. Long enough for a batch to be
# stored and for a lock to be freed, short enough that a board asks again before it gives up.
RETRY_AFTER_SEC = 5

# How many open pages a worker tells of new readings; the others ask. Each is a connection, of which
# a worker takes 500 (`server/gunicorn_conf.py`), and a file of the process.
OPEN_PAGES_MAX = 100
OPEN_PAGES_SHARE_OF_FILES = 1 / 8


def open_pages_max() -> int:
    """The same where the process may have few files: readings need them."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = OPEN_PAGES_MAX if soft == resource.RLIM_INFINITY else soft * OPEN_PAGES_SHARE_OF_FILES
    return min(OPEN_PAGES_MAX, int(few))


# A thousand readings of data4 with an id and a time each have 300 KiB.
BATCH_MAX_BYTES = 1024 * 1024
# The routes that take as much, and what begins the path of others.
LARGE_BODIES = {"/api/v1/readings", "/api/v2/write", "/write"}
CHANNELS = "/api/v2/channels/"
# How many such bodies a worker holds at once: as many bytes as all its other connections may bring
# (`server/connection.py`, WAITING_MAX). They are decoded by two threads, one after the other.
LARGE_BODIES_MAX = 6


def takes_large_body(path: str) -> bool:
    """Whether the route of this path takes many readings at once."""
    return path in LARGE_BODIES or path.startswith(CHANNELS)


def body_max_bytes(path: str) -> int:
    """The longest body that the route of this path takes."""
    return BATCH_MAX_BYTES if takes_large_body(path) else BODY_MAX_BYTES


# The form that brings files; its body is never in memory as a whole.
UPLOAD_PATH = "/setup/files/upload"
# A backup of ten million readings, which are four years of five stations. What is larger takes an
# hour by Wi-Fi, and three times as much has to be free: the file, its copy and the database.
UPLOAD_MAX_BYTES = 1_000_000_000
