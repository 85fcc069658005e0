"""How many downloads of a worker may be on their way, and when to ask again instead."""

# In a request's environ: what makes the receipt that the request waits for until its commit. The
# server whose main thread answers puts there what lets that thread go on meanwhile.
RECEIPT = "flask10x.receipt"

# How many downloads of a worker may be on their way at once. Each takes a
# thread for one page of rows after the other; with many, each and every page would take long.
DOWNLOADS_MAX = 10
# What `Retry-After` says when readings can't be taken or read now. Long enough for a batch to be
# stored and for a lock to be freed, short enough that a board asks again before it gives up.
RETRY_AFTER_SEC = 5
