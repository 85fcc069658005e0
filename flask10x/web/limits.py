"""How many downloads and commits of a worker may wait, and when to ask again instead.

The server makes room for so many.
"""

# In a request's environ: a context manager in which its thread waits for a commit. The server that
# has few threads puts it there and lets another request begin meanwhile.
WHILE_WAITING = "flask10x.while_waiting"

# How many downloads of a worker may be on their way at once. Each has a thread until its end, also
# while it gives way; without a limit a handful of them would leave no thread to take a reading.
DOWNLOADS_MAX = 10
# How many threads of a worker may wait for a commit (ACK=committed) beside those that work. While
# nothing can be committed each of them waits for ACK_TIMEOUT_SEC; four stations and the boards that
# try again are far fewer.
COMMITS_MAX = 16
# What `Retry-After` says when readings can't be taken or read now. Long enough for a batch to be
# stored and for a lock to be freed, short enough that a board asks again before it gives up.
RETRY_AFTER_SEC = 5
