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
from flask10x.web.pages.status import shell
from flask10x.web.pages.status.answer import Mood, Remedy, StatusAnswer
from flask10x.web.pages.status.following import size
from flask10x.web.pages.status.known import Known
from flask10x.web.texts.catalog import Texts

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Hindrance:
    """What stands in the way of storing."""

    name: str
    """The end of its text's key."""
    mood: Mood = "wrong"
    reason: str = ""
    values: dict[str, object] | None = None


def answer(store: Store | Waiting, known: Known, t: Texts) -> StatusAnswer:
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
        text=t(f"hindrance.{hindrance.name}", **(hindrance.values or {})),
        reason=hindrance.reason,
        details=_numbers(store, known, t),
        remedies=tuple(_remedies(hindrance.name, store, known, t)),
    )


def _good(store: Store | Waiting, known: Known, t: Texts) -> StatusAnswer:
    details = _numbers(store, known, t)
    failing = duties.failing(store.gauges) if isinstance(store, Store) else []
    if failing:
        return StatusAnswer(
            question=QUESTION,
            mood="warn",
            text=t("stored.failing", names=t("caption.join").join(failing)),
            details=details,
            remedies=(Remedy(text=t("status.see_log"), command=shell.JOURNAL),),
        )
    if isinstance(store, Store) and any(alert.kind == "queue" for alert in known.alerts):
        # By its rule, which waits for some time, and then for the queue to be short again.
        return StatusAnswer(
            question=QUESTION,
            mood="warn",
            text=t("stored.waiting", n=f"{store.queues.length():,}"),
            details=details,
            remedies=(Remedy(text=t("status.see_log"), command=shell.JOURNAL),),
        )
    text = t("stored.good")
    if (server := known.server) and (server.obstacles or server.warnings):
        worse = bool(server.obstacles) or store.settings.ack == "committed"
        return StatusAnswer(
            question=QUESTION,
            mood="warn" if worse else "good",
            text=t("stored.standby_awaited") if server.obstacles else text,
            details=(
                *(
                    t(f"server.{notice.name}", **notice.values)
                    for notice in (*server.obstacles, *server.warnings)
                ),
                *details,
            ),
        )
    return StatusAnswer(question=QUESTION, mood="good", text=text, details=details)


def _numbers(store: Store | Waiting, known: Known, t: Texts) -> tuple[str, ...]:
    lines: list[str] = []
    if known.stored is not None:
        lines.append(t("stored.count", n=f"{known.stored:,}"))
    if isinstance(store, Store) and (waiting := store.queues.length()):
        lines.append(t("stored.waiting", n=f"{waiting:,}"))
    if known.server is not None and known.server.primary is not None:
        lines += _servers(known.server.primary, t)
    return tuple(lines)


def _servers(primary: Primary, t: Texts) -> Iterator[str]:
    yield t(
        "stored.server",
        version=primary.version,
        place=primary.place,
        size=size(primary.database_bytes),
    )
    for standby in primary.standbys:
        if standby.state is not None and standby.sync is not None:
            yield t(
                "stored.standby",
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


def _remedies(name: str, store: Store | Waiting, known: Known, t: Texts) -> list[Remedy]:
    def do(key: str, command: str = "") -> Remedy:
        return Remedy(text=t(key), command=command)

    path = database_path(store.settings)
    log = Remedy(text=t("status.see_log"), command=shell.JOURNAL)
    if name == "missing":
        return _remedies_of_missing(store, known, t)
    if name == "copied" and isinstance(store, Store):
        return [do("do.restore_copy", shell.restore(str(path.with_name(store.gauges.rescued))))]
    found = {
        "damaged": [_restore(known, t), log],
        "taken": [log],
        "suspected": [do("do.wait"), do("do.kernel", shell.KERNEL)],
        "dead": [do("do.restart", shell.RESTART), log],
        "full_disk": [do("do.space", shell.space(path.parent))],
        "busy": [do("do.holders", shell.holders(path))],
        "denied": [do("do.owner", shell.owner(path.parent))],
        "card_fails": [
            do("do.kernel", shell.KERNEL),
            do("do.backup_now", shell.flask10x("backup", "/mnt/usb/flask10x")),
        ],
        "unreachable": [do("do.wait"), log],
        "elsewhere": [do("do.wait"), log],
        "unanswered": [do("do.wait"), log],
        "busy_server": [do("do.wait"), log],
        "one_machine": [do("do.standby"), log],
        "full_server": [do("do.server_space"), log],
        "denied_by_server": [do("do.server_rights"), log],
        "standby": [do("do.primary"), log],
        "row_lost": [do("do.put_row_back"), log],
    }
    return found.get(name, [log])


def _remedies_of_missing(store: Store | Waiting, known: Known, t: Texts) -> list[Remedy]:
    def do(key: str, command: str = "") -> Remedy:
        return Remedy(text=t(key), command=command)

    copy = rescued.newest(database_path(store.settings))
    lines = [do("do.take_copy", shell.flask10x("restore", str(copy)))] if copy else []
    lines += [do("do.mount", shell.MOUNT), _restore(known, t)]
    new = do("do.new", shell.flask10x("migrate", "--new"))
    return [*lines, new, do("do.by_itself")]


def _restore(known: Known, t: Texts) -> Remedy:
    backup = known.backup
    key = "do.restore" if backup else "do.restore_any"
    file = str(backup.path) if backup else "FILE"
    return Remedy(text=t(key), command=shell.restore(file))
