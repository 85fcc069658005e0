"""A host's state file follows what the database knows of the alerts of all hosts."""

from collections.abc import Collection, Iterable, Mapping

from sqlalchemy import Connection, func, insert, select, tuple_, update

from flask10x.alerts import stored_alerts, tables, transitions
from flask10x.alerts.alert import Alert
from flask10x.alerts.shared_alerts import KINDS, Key, SharedAlert
from flask10x.alerts.stored_alerts import Mute
from flask10x.alerts.transitions import Telling

_alerts, _messages = tables.alerts.c, tables.messages.c


def follow(
    connection: Connection, shared: Mapping[Key, SharedAlert], now_ms: int, *, takes_over: bool
) -> bool:
    """Make the alerts that are active here those of all hosts, and tell nobody; any change?

    The host that has the lease tells of them: what waits here of them is not sent, but for what
    nobody has told, where this host takes over.
    """
    local = _local(connection, now_ms)
    changed = False
    for key, alert in local.items():
        if key not in shared:
            _end(connection, alert, now_ms)
            changed = True
    for key, one in shared.items():
        is_over = key not in local and one.ended_ms is not None
        # Only who takes over without ever having known of it has to tell so.
        if is_over and (not takes_over or _knew(connection, one)):
            continue
        alert_id = local[key].id if key in local else _enter(connection, one)
        if key not in local or local[key].reminded_ms != one.reminded_ms:
            own = update(tables.alerts).where(_alerts.id == alert_id)
            connection.execute(own.values(reminded_ms=one.reminded_ms))
            changed = True
        _note_told(connection, alert_id, one, now_ms)
    untold = [one for one in shared.values() if not one.is_settled] if takes_over else ()
    _drop_waiting(connection, untold, now_ms)
    return changed


def take_over(
    connection: Connection, shared: Mapping[Key, SharedAlert], telling: Telling, now_ms: int
) -> None:
    """Tell what the host that had the lease before has not told, as far as it has said."""
    for key, alert in _local(connection, now_ms).items():
        if key in shared and not shared[key].ways:
            transitions.tell_again(connection, alert, telling, now_ms)


def follow_mutes(connection: Connection, shared: Iterable[Mute], now_ms: int) -> bool:
    """Mute here what is muted on all hosts, and nothing else; whether anything has changed."""
    own = {(one.rule, one.subject): one.until_ms for one in stored_alerts.muted(connection, now_ms)}
    wanted = {(one.rule, one.subject): one.until_ms for one in shared}
    for key, until_ms in wanted.items():
        if own.get(key) != until_ms:
            stored_alerts.mute(connection, *key, until_ms)
    for key in own.keys() - wanted.keys():
        stored_alerts.unmute(connection, *key)
    return own != wanted


def told(connection: Connection, alert: SharedAlert) -> set[str] | None:
    """The ways that have been told that it began; None while something of it waits."""
    which = _alerts.rule == alert.rule, _alerts.subject == alert.subject
    newest = select(func.max(_alerts.id)).where(*which).scalar_subquery()
    query = select(_messages.way, _messages.occasion, _messages.state)
    rows = connection.execute(query.where(_messages.alert_id == newest)).all()
    ended = select(_alerts.ended_ms).where(_alerts.id == newest)
    is_over = connection.execute(ended).scalar_one_or_none() is not None
    if is_over != (alert.ended_ms is not None) or any(row.state == "waiting" for row in rows):
        return None
    return {row.way for row in rows if (row.occasion, row.state) == ("entry", "sent")}


def _local(connection: Connection, now_ms: int) -> dict[Key, Alert]:
    active = stored_alerts.active(connection, now_ms)
    return {(one.rule, one.subject): one for one in active if one.kind in KINDS}


def _end(connection: Connection, alert: Alert, now_ms: int) -> None:
    ended_ms = max(now_ms, alert.entered_ms)
    over = update(tables.alerts).where(_alerts.id == alert.id)
    connection.execute(over.values(ended_ms=ended_ms, ended="recovered"))


def _enter(connection: Connection, one: SharedAlert) -> int:
    entry = insert(tables.alerts).values(
        rule=one.rule,
        kind=one.kind,
        subject=one.subject,
        since_ms=one.since_ms,
        entered_ms=one.entered_ms,
        reminded_ms=one.reminded_ms,
        facts=one.facts,
    )
    number: int = connection.execute(entry.returning(_alerts.id)).scalar_one()
    return number


def _note_told(connection: Connection, alert_id: int, one: SharedAlert, now_ms: int) -> None:
    """So that whoever was told that it began is told that it is over, by whichever host."""
    query = select(_messages.way).where(
        _messages.alert_id == alert_id, _messages.occasion == "entry", _messages.state == "sent"
    )
    known: Collection[str] = set(connection.execute(query).scalars())
    for way in one.told:
        if way not in known:
            values = {"alert_id": alert_id, "occasion": "entry", "way": way, "state": "sent"}
            times = {"created_ms": one.entered_ms, "due_ms": one.entered_ms, "settled_ms": now_ms}
            connection.execute(insert(tables.messages).values(**values, **times))


def _knew(connection: Connection, one: SharedAlert) -> bool:
    query = select(_alerts.id).where(_alerts.rule == one.rule, _alerts.subject == one.subject)
    query = query.where(_alerts.entered_ms == one.entered_ms)
    return connection.execute(query).first() is not None


def _drop_waiting(connection: Connection, but: Iterable[SharedAlert], now_ms: int) -> None:
    kept = [one.key for one in but]
    shared = select(_alerts.id).where(
        _alerts.kind.in_(KINDS), tuple_(_alerts.rule, _alerts.subject).not_in(kept)
    )
    waiting = _messages.state == "waiting", _messages.alert_id.in_(shared)
    dropped = update(tables.messages).where(*waiting)
    connection.execute(dropped.values(state="dropped", settled_ms=now_ms))
