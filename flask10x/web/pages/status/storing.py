"""Is it stored? What stands in the way, and what helps against that."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from flask10x.database.paths import database_path
from flask10x.database.server import Primary
from flask10x.database.sqlite import rescued
from flask10x.runtime import duties
from flask10x.runtime.facts import obstacles
from flask10x.runtime.store import Store
from flask10x.runtime.waiting import Waiting
from flask10x.translation import N_, Translation
from flask10x.web.pages.status import shell
from flask10x.web.pages.status.answer import Mood, Remedy, StatusAnswer
from flask10x.web.pages.status.following import size
from flask10x.web.pages.status.known import Known

QUESTION = "stored"
# Where SQLite's codes begin so (https://www.sqlite.org/rescode.html), this is what people do.
Kind = Literal[
    "full_disk",
    "busy",
    "denied",
    "card_fails",
    "other",
    "full_server",
    "busy_server",
    "one_machine",
    "denied_by_server",
    "standby",
    "row_lost",
    "unanswered",
]
KINDS: tuple[tuple[tuple[str, ...], Kind], ...] = (
    (("SQLITE_FULL",), "full_disk"),
    (("SQLITE_BUSY", "SQLITE_LOCKED", "LockTimeout"), "busy"),
    (("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM"), "denied"),
    (("SQLITE_IOERR",), "card_fails"),
    # PostgreSQL's: https://www.postgresql.org/docs/17/errcodes-appendix.html. Without a code it is
    # the connection that fails.
    (("53100",), "full_server"),
    (("55P03", "40"), "busy_server"),
    (("CommitNotReplicated",), "one_machine"),
    (("42501",), "denied_by_server"),
    (("25006",), "standby"),
    (("TurnLost",), "row_lost"),
    (("OperationalError", "NoAnswer", "ConnectionTimeout", "08", "57P"), "unanswered"),
)

HINDRANCES = {
    "missing": N_(
        "The database {path} is missing. Readings are refused until it is back, so "
        "that none goes to the wrong place."
    ),
    "unreachable": N_(
        "The database server cannot be reached. Readings are refused until it "
        "answers; the service tries it each second."
    ),
    "damaged": N_(
        "The database is damaged. Nothing is stored, and new readings are refused, "
        "until it is repaired."
    ),
    "taken": N_(
        "A file of the database was deleted or moved away. New readings are refused; "
        "what was stored is being copied. Do not stop the service before the copy is "
        "named here."
    ),
    "copied": N_(
        "A file of the database was deleted or moved away. New readings are refused. "
        "All that was stored is in a copy."
    ),
    "suspected": N_(
        "The database may be damaged and is being checked. New readings wait. If it "
        "is sound, storing resumes by itself within minutes."
    ),
    "dead": N_("The part that stores has stopped. Readings wait or are refused."),
    "full_disk": N_(
        "The card is full. Readings wait, and are refused once the queue is full. "
        "Storing resumes by itself when there is room."
    ),
    "busy": N_(
        "Another program holds the database, so readings wait. Storing resumes by "
        "itself when that program is done."
    ),
    "denied": N_(
        "The service may not write to the database. Readings wait, and are refused "
        "once the queue is full."
    ),
    "card_fails": N_(
        "The card or its cable is failing: it cannot be read or written. Readings wait."
    ),
    "full_server": N_(
        "The disk of the database server is full. Readings wait, and are refused "
        "once the queue is full. Storing resumes by itself when there is room."
    ),
    "busy_server": N_(
        "Another host or program holds what a commit needs, so readings wait. "
        "Storing resumes by itself when it is done."
    ),
    "one_machine": N_(
        "The synchronous standby is away, so what was committed is on one machine "
        "only. Readings wait until it is back."
    ),
    "denied_by_server": N_(
        "The role of the service may not write to the database. Readings wait, and "
        "are refused once the queue is full."
    ),
    "standby": N_(
        "The server is a standby, or only reads: it takes no writes. Readings wait, "
        "and are refused once the queue is full."
    ),
    "row_lost": N_(
        "The table log has lost the row that each commit needs. Readings wait, and "
        "are refused once the queue is full."
    ),
    "unanswered": N_(
        "The database server does not answer, or takes no writes. Readings wait, and "
        "are refused once the queue is full. Storing resumes by itself when it is "
        "back."
    ),
    "queue": N_("More comes in than can be stored: {n} readings wait, and new ones are refused."),
    "other": N_(
        "Readings cannot be stored now. They wait, and are refused once the queue is full."
    ),
    "elsewhere": N_(
        "One of the workers cannot store its readings now; they wait. Reload the "
        "page until that worker answers: it shows the reason."
    ),
}
"""What keeps readings from being stored."""
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Hindrance:
    """What stands in the way of storing."""

    name: str
    """Its text in `HINDRANCES`."""
    mood: Mood = "wrong"
    reason: str = ""
    values: dict[str, object] | None = None


def answer(store: Store | Waiting, known: Known, t: Translation) -> StatusAnswer:
    """Whether what is accepted is stored; a look into memory only, and at what is known."""
    if isinstance(store, Waiting):
        hindrance: Hindrance | None = _missing(store)
    else:
        hindrance = _hindrance(store) or _unfit_server(known)
    if hindrance is None:
        return _good(store, known, t)
    return StatusAnswer(
        question=QUESTION,
        mood=hindrance.mood,
        text=t(HINDRANCES[hindrance.name], **(hindrance.values or {})),
        reason=hindrance.reason,
        details=_numbers(store, known, t),
        remedies=tuple(_remedies(hindrance.name, store, known, t)),
    )


def _good(store: Store | Waiting, known: Known, t: Translation) -> StatusAnswer:
    details = _numbers(store, known, t)
    failing = duties.failing(store.gauges) if isinstance(store, Store) else []
    if failing:
        return StatusAnswer(
            question=QUESTION,
            mood="warn",
            text=t(
                "Readings are stored, but some of the work beside that is failing: {names}.",
                names=t.listed(failing),
            ),
            details=details,
            remedies=(Remedy(text=t("The log says more:"), command=shell.JOURNAL),),
        )
    if isinstance(store, Store) and any(alert.kind == "queue" for alert in known.alerts):
        # By its rule, which waits for some time, and then for the queue to be short again.
        return StatusAnswer(
            question=QUESTION,
            mood="warn",
            text=t("Waiting to be stored: {n}", n=f"{store.queues.length():,}"),
            details=details,
            remedies=(Remedy(text=t("The log says more:"), command=shell.JOURNAL),),
        )
    text = t("Everything that is accepted is stored.")
    if (server := known.server) and (server.obstacles or server.warnings):
        worse = bool(server.obstacles) or store.settings.ack == "committed"
        return StatusAnswer(
            question=QUESTION,
            mood="warn" if worse else "good",
            text=t("Commits wait for a standby: nothing more is stored before one follows.")
            if server.obstacles
            else text,
            details=(
                *(
                    t(SERVER[notice.name], **notice.values)
                    for notice in (*server.obstacles, *server.warnings)
                ),
                *details,
            ),
        )
    return StatusAnswer(question=QUESTION, mood="good", text=text, details=details)


def _numbers(store: Store | Waiting, known: Known, t: Translation) -> tuple[str, ...]:
    lines: list[str] = []
    if known.stored is not None:
        lines.append(t("Readings stored so far: {n}", n=f"{known.stored:,}"))
    if isinstance(store, Store) and (waiting := store.queues.length()):
        lines.append(t("Waiting to be stored: {n}", n=f"{waiting:,}"))
    if known.server is not None and known.server.primary is not None:
        lines += _servers(known.server.primary, t)
    return tuple(lines)


def _servers(primary: Primary, t: Translation) -> Iterator[str]:
    yield t(
        "Database: PostgreSQL {version} on {place}, {size}",
        version=primary.version,
        place=primary.place,
        size=size(primary.database_bytes),
    )
    for standby in primary.standbys:
        if standby.state is not None and standby.sync is not None:
            yield t(
                "Standby {name}: {state}, {sync}, behind by {size}",
                name=standby.name,
                state=standby.state,
                sync=standby.sync,
                size=size(standby.lag_bytes or 0),
            )


def _missing(store: Waiting) -> Hindrance:
    if not store.is_file:
        return Hindrance(name="unreachable", reason=store.reason)
    return Hindrance(name="missing", values={"path": database_path(store.settings)})


def _hindrance(store: Store) -> Hindrance | None:
    """The greatest one that is known; nothing is tried for it, so it takes no time."""
    known = obstacles.known(store.database, store.writer, store.gauges)
    # What fills the queue is worth more than that it is full.
    first = min(known, key=lambda obstacle: obstacle.kind == "full", default=None)
    if first is None:
        return None
    match first.kind:
        case "damaged":
            return Hindrance(name=_damage(store), reason=first.reason)
        case "suspected":
            return Hindrance(name="suspected", mood="warn", reason=first.reason)
        case "full":
            return Hindrance(name="queue", values={"n": f"{store.writer.depth:,}"})
        case "dead" | "elsewhere":
            return Hindrance(name=first.kind)
        case _:
            return Hindrance(name=kind_of(first.reason), reason=first.reason)


def _unfit_server(known: Known) -> Hindrance | None:
    """What the page met itself, though nothing has come since that the writer could not store."""
    if known.server and known.server.primary and known.server.primary.is_standby:
        return Hindrance(name="standby")
    reason = known.server.reason if known.server else ""
    return Hindrance(name="unanswered", reason=reason) if kind_of(reason) == "unanswered" else None


def _damage(store: Store) -> str:
    if store.gauges.rescued:
        return "copied"
    return "taken" if store.gauges.taken_away else "damaged"


def kind_of(reason: str) -> Kind:
    """What hinders a commit, by the code with which `error_codes.reason_of` begins."""
    code = reason.partition(":")[0]
    return next((kind for codes, kind in KINDS if code.startswith(codes)), "other")


def _remedies(name: str, store: Store | Waiting, known: Known, t: Translation) -> list[Remedy]:
    def do(text: str, command: str = "") -> Remedy:
        return Remedy(text=text, command=command)

    path = database_path(store.settings)
    log = Remedy(text=t("The log says more:"), command=shell.JOURNAL)
    if name == "missing":
        return _remedies_of_missing(store, known, t)
    if name == "copied" and isinstance(store, Store):
        return [
            do(
                t("Stop the service, restore the copy, start it again:"),
                shell.restore(str(path.with_name(store.gauges.rescued))),
            )
        ]
    found = {
        "damaged": [_restore(known, t), log],
        "taken": [log],
        "suspected": [
            do(t("Wait, and reload the page.")),
            do(t("See what the system says about the card:"), shell.KERNEL),
        ],
        "dead": [do(t("Start the service again; what waits is not lost:"), shell.RESTART), log],
        "full_disk": [do(t("Make room, and see what takes it:"), shell.space(path.parent))],
        "busy": [
            do(
                t(
                    "Find out which program it is, and end it (python of the service's own user "
                    "is the service itself):"
                ),
                shell.holders(path),
            )
        ],
        "denied": [
            do(
                t("Find out who owns the folder, and give it back to the service:"),
                shell.owner(path.parent),
            )
        ],
        "card_fails": [
            do(t("See what the system says about the card:"), shell.KERNEL),
            do(
                t("Make a backup onto another disk now:"),
                shell.flask10x("backup", "/mnt/usb/flask10x"),
            ),
        ],
        "unreachable": [do(t("Wait, and reload the page.")), log],
        "elsewhere": [do(t("Wait, and reload the page.")), log],
        "unanswered": [do(t("Wait, and reload the page.")), log],
        "busy_server": [do(t("Wait, and reload the page.")), log],
        "one_machine": [
            do(
                t(
                    "Start the standby, or take its name out of synchronous_standby_names for as "
                    "long as it is away."
                )
            ),
            log,
        ],
        "full_server": [do(t("Make room on the disk of the server.")), log],
        "denied_by_server": [
            do(
                t(
                    "Run the GRANT of the reason as the owner of the tables. Storing resumes by "
                    "itself."
                )
            ),
            log,
        ],
        "standby": [
            do(
                t(
                    "Name the primary in FLASK10X_DATABASE_URL, or all servers of the cluster, "
                    "and restart the service. After a failover wait: the service finds the new "
                    "primary by itself where all are named."
                )
            ),
            log,
        ],
        "row_lost": [
            do(
                t(
                    "Run the INSERT of the reason as the owner of the tables. Storing resumes by "
                    "itself."
                )
            ),
            log,
        ],
    }
    return found.get(name, [log])


def _remedies_of_missing(store: Store | Waiting, known: Known, t: Translation) -> list[Remedy]:
    def do(text: str, command: str = "") -> Remedy:
        return Remedy(text=text, command=command)

    copy = rescued.newest(database_path(store.settings))
    lines = (
        [
            do(
                t("A copy of what it held is beside it. Restore that:"),
                shell.flask10x("restore", str(copy)),
            )
        ]
        if copy
        else []
    )
    lines += [
        do(t("Is it on another disk? Check that it is connected, and mount it:"), shell.MOUNT),
        _restore(known, t),
    ]
    new = do(t("Only if you want to begin with a new one:"), shell.flask10x("migrate", "--new"))
    return [*lines, new, do(t("The service continues by itself within some seconds."))]


def _restore(known: Known, t: Translation) -> Remedy:
    backup = known.backup
    text = (
        t(
            "Stop the service, restore the newest backup, start it again. The damaged "
            "files are kept:"
        )
        if backup
        else t(
            "Stop the service, restore a backup, start it again. Put its path in the place of FILE:"
        )
    )
    return Remedy(text=text, command=shell.restore(str(backup.path) if backup else "FILE"))
