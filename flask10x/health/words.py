"""The words of the checks: what is wrong, what becomes of it, and what people can do.

`web/shell.py` has the lines for a shell that belong to a remedy, by its name.
"""

from typing import NamedTuple

from flask10x.database.verified import Copy
from flask10x.translation import N_

REMEDIES = {
    "log": N_("The log says more:"),
    "reload": N_("Wait, and reload the page."),
    "restart": N_("Start the service again; what waits is not lost:"),
    "kernel": N_("See what the system says about the card:"),
    "space": N_("Free some space; this shows what uses it:"),
    "fewer_backups": N_("Keep fewer backups on this card (here 7):"),
    "larger_disk": N_("Or put the data onto a larger disk: docs/en/howto/other-disk.md."),
    "holders": N_("Find the program and end it (python of the service's user is the service):"),
    "owner": N_("Find out who owns the folder, and return it to the service's user:"),
    "backup": N_("Make a backup onto another disk now:"),
    "back_up_nightly": N_("Make one now, and one each night:"),
    "verify_weekly": N_("Compare all copies now, and each week:"),
    "verify_repair": N_("Have a backup made, and what is wrong put back:"),
    "copy_backups": N_("Copy the backups to another computer, once a day. On that computer:"),
    "start_litestream": N_("Start Litestream, and read its messages:"),
    "log_of_litestream": N_("Read the messages of Litestream:"),
    "reset_litestream": N_("If it reports a broken file, let it start over with a full copy:"),
    "reach_replica": N_(
        "Check that the replica's disk is plugged in, or that the network reaches it."
    ),
    "export_nightly": N_("Write the CSV files each night:"),
    "export_again": N_("Write them now; for a file changed by hand it prints the fix:"),
    "export_there": N_("The host {host} has the CSV files: see what its export says there."),
    "archived_file": N_("If the file was moved, say where it is:"),
    "restore_file": N_("Put back a copy of the file, with its path in the place of COPY:"),
    "fix": N_("This fixes it:"),
    "compare": N_("Compare the CSV files with the database:"),
    "restore_backup": N_("Restore the newest backup; the damaged files are kept:"),
    "restore_any": N_("Restore a backup, with its path in the place of FILE:"),
    "restore_rescued": N_("Restore the copy:"),
    "restore_copy": N_("A copy of what it held is beside it. Restore that:"),
    "mount": N_("If it is on another disk, check that the disk is connected, and mount it:"),
    "begin": N_("Only to start with a new one:"),
    "continues": N_("The service continues by itself within some seconds."),
    "standby": N_(
        "Start the standby, or take its name out of synchronous_standby_names until then."
    ),
    "server_room": N_("Free some space on the server's disk."),
    "grant": N_("As the owner of the tables, GRANT the role of the service what the reason names."),
    "insert": N_("Run the INSERT of the reason as the owner of the tables."),
    "primary": N_(
        "Name the primary, or all servers of the cluster, in FLASK10X_DATABASE_URL and restart the "
        "service. Where all are named it finds the new primary by itself after a failover."
    ),
    "trial": N_(
        "From another computer, send a test reading that is not stored. If it is answered, the "
        "fault is on the board's side:"
    ),
    "sent": N_("Its last readings, and how regularly it sends:"),
    "rejected": N_("Why it was rejected:"),
    "alerts": N_("Details, and muting:"),
    "board": N_("Check the board: power, cable, Wi-Fi. Switch it off and on again."),
}
"""What people can do."""
SERVER = {
    "one_machine": N_(
        "There is no synchronous standby: what is committed is on one machine "
        "(synchronous_standby_names is empty)."
    ),
    "commits_wait": N_(
        "Commits wait for a synchronous standby: {found} of {wanted} that "
        "synchronous_standby_names asks for."
    ),
    "standby": N_(
        "This server is a standby, which takes no writes: name the primary in "
        "FLASK10X_DATABASE_URL, or all servers of the cluster."
    ),
    "hidden": N_(
        "This role may not see the state of the standbys. GRANT pg_monitor TO it to show it here."
    ),
}
"""What a server of the database lacks."""
WRONG_COPIES: dict[Copy, str] = {
    "table": N_("Wrong in the database: {n}"),
    "index": N_("Wrong in the index of the database: {n}"),
    "hours": N_("Wrong in the hourly totals: {n}"),
    "days": N_("Wrong in the daily totals: {n}"),
    "csv": N_("Wrong in the CSV files: {n}"),
    "backup": N_("Wrong in a backup: {n}"),
}
"""By the copy how many places of it are wrong."""

WAIT = N_("Readings are waiting, and will be refused once the queue is full.")
RESUME = N_("Storing resumes by itself when this is over.")
GONE = N_("A file of the database was deleted or moved away. New readings are refused.")


class Hindrance(NamedTuple):
    """What keeps readings from being stored."""

    text: str
    remedies: tuple[str, ...] = ("reload", "log")
    more: tuple[str, ...] = (WAIT, RESUME)
    """What becomes of the readings."""
    codes: tuple[str, ...] = ()
    """How the reason of a commit that failed begins (`error_codes.reason_of`): SQLite's codes
    (https://www.sqlite.org/rescode.html), and PostgreSQL's
    (https://www.postgresql.org/docs/17/errcodes-appendix.html)."""


REFUSED = N_("Readings are refused until it is back, so that none goes to the wrong place.")
TRIED = N_("Readings are refused until it answers; the service tries it each second.")
COPIED = N_(
    "What was stored is being copied. Do not stop the service until the copy is named here."
)
CHECKED = N_("If it is sound, storing resumes by itself within minutes.")
ASK = N_("Reload the page until that worker answers: it shows the reason.")
FULL = N_("More readings arrive than can be stored: {n} are waiting, and new ones are refused.")
AWAY = N_("The synchronous standby is away, so what was committed is on one machine only.")
BROKEN = N_("The database is damaged. New readings are refused until it is repaired.")
SUSPECTED = N_("The database may be damaged and is being checked. New readings wait.")
FAILING = N_("The card or its cable is failing: it cannot be read or written.")
LOCKED = N_("Another host or program holds the lock that a commit needs.")
DENIED = N_("The role of the service may not write to the database.")

HINDRANCES = {
    "missing": Hindrance(
        N_("The database {path} is missing."),
        ("mount", "restore", "begin", "continues"),
        (REFUSED,),
    ),
    "unreachable": Hindrance(N_("The database server cannot be reached."), more=(TRIED,)),
    "damaged": Hindrance(BROKEN, ("restore", "log"), ()),
    "taken": Hindrance(GONE, ("log",), (COPIED,)),
    "copied": Hindrance(
        GONE, ("restore_rescued",), (N_("Everything that was stored is in a copy."),)
    ),
    "suspected": Hindrance(SUSPECTED, ("reload", "kernel"), (CHECKED,)),
    "dead": Hindrance(
        N_("Storing has stopped. Readings wait or are refused."), ("restart", "log"), ()
    ),
    "full": Hindrance(FULL, ("log",), ()),
    "elsewhere": Hindrance(
        N_("One worker cannot store its readings right now; they are waiting."), more=(ASK,)
    ),
    "full_disk": Hindrance(N_("The card is full."), ("space",), codes=("SQLITE_FULL",)),
    "busy": Hindrance(
        N_("Another program has locked the database."),
        ("holders",),
        codes=("SQLITE_BUSY", "SQLITE_LOCKED", "LockTimeout"),
    ),
    "denied": Hindrance(
        N_("The service may not write to the database."),
        ("owner",),
        (WAIT,),
        ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM"),
    ),
    "card_fails": Hindrance(FAILING, ("kernel", "backup"), (WAIT,), ("SQLITE_IOERR",)),
    "full_server": Hindrance(
        N_("The disk of the database server is full."), ("server_room", "log"), codes=("53100",)
    ),
    "busy_server": Hindrance(LOCKED, codes=("55P03", "40")),
    "one_machine": Hindrance(AWAY, ("standby", "log"), codes=("CommitNotReplicated",)),
    "denied_by_server": Hindrance(DENIED, ("grant", "log"), codes=("42501",)),
    "standby": Hindrance(
        N_("The server is a standby, or only reads: it takes no writes."),
        ("primary", "log"),
        (WAIT,),
        ("25006",),
    ),
    "row_lost": Hindrance(
        N_("The table log has lost the row that each commit needs."),
        ("insert", "log"),
        codes=("TurnLost",),
    ),
    # Without a code it is the connection that fails.
    "unanswered": Hindrance(
        N_("The database server does not answer, or takes no writes."),
        codes=("OperationalError", "NoAnswer", "ConnectionTimeout", "08", "57P"),
    ),
    "other": Hindrance(N_("The database cannot be written now."), ("log",), (WAIT,)),
}
