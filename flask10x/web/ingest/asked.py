"""What a sender asks beside its readings, and how Flask answers it."""

import unicodedata
from dataclasses import dataclass
from itertools import takewhile
from operator import eq

from flask import Response, jsonify, request

from flask10x.errors import COMPARED_CHARS, QueryError, nearest
from flask10x.readings.batches import KEY_HEADER, SHOWN_KEYS, key_of_header
from flask10x.readings.reasons import Reason
from flask10x.web.ingest.take import Outcome

DRY_RUN, ACK, COMMITTED = "dry_run", "ack", "committed"
SWITCH = {"1": True, "0": False}
TRIAL, TRIAL_BEGINS = "dryrun", "dr"


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of one request."""

    dry_run: bool
    commits: bool
    """Whether it waits for the commit whatever ACK is."""


def asked(*, ignores_others: bool, may_wait: bool) -> Asked:
    """Of the request at hand; raises QueryError that names each wrong parameter, or the first ones.

    Old senders may have any other parameter, which one of our routes has always ignored; but who
    has misspelt a trial does not want it stored (`means_dry_run`).
    """
    known = [DRY_RUN, *([ACK] if may_wait else [])]
    given = request.args.to_dict(flat=False)
    wrong: dict[str, Reason] = {}
    for name, values in given.items():
        if name not in known:
            if not ignores_others or means_dry_run(name):
                wrong[name] = _unknown(name, known)
        elif len(values) > 1:
            wrong[name] = Reason("given_times", n=len(values))
        elif name == DRY_RUN and values[0] not in SWITCH:
            wrong[name] = Reason("switch_needed")
        elif name == ACK and values[0] != COMMITTED:
            wrong[name] = Reason("committed_needed")
    if wrong:
        raise QueryError(dict([*wrong.items()][:SHOWN_KEYS]))
    return Asked(SWITCH[request.args.get(DRY_RUN, "0")], ACK in known and ACK in given)


def means_dry_run(name: str) -> bool:
    """Whether a parameter of this name asks for a trial, in whatever spelling: `DRY_RUN`, `dryRun`.

    Also with one letter too many, missing or wrong; not what only contains it, as `laundryrun`.
    """
    plain = unicodedata.normalize("NFKC", name[:COMPARED_CHARS]).casefold()
    letters = "".join(char for char in plain if char.isalnum())
    same = sum(takewhile(bool, map(eq, letters, TRIAL)))
    rest, expected = letters[same:], TRIAL[same:]
    # Another letter at the beginning makes another word: `dayrun`.
    has_wrong_letter = rest[1:] == expected[1:] and letters.startswith(TRIAL_BEGINS)
    return rest == expected or rest[1:] == expected or rest == expected[1:] or has_wrong_letter


def given_key() -> bytes:
    """The `Idempotency-Key` of the request at hand; empty without one.

    Raises InvalidReading when it is no usable one.
    """
    given = request.headers.get(KEY_HEADER)
    return b"" if given is None else key_of_header(given)


def body_within(max_bytes: int) -> bytes | None:
    """The body of the request at hand; None when it is longer than that."""
    # Refused by its length alone: nobody waits for what will not be kept.
    if (request.content_length or 0) > max_bytes:
        return None
    # A chunked body longer than a limit set in Werkzeug is cut there, not refused; so the limit
    # is checked here, by reading one byte past it.
    raw = request.stream.read(max_bytes + 1)
    return None if len(raw) > max_bytes else raw


def answered(outcome: Outcome) -> Response:
    """An outcome as Flask answers it."""
    answer = jsonify(outcome.body)
    answer.status_code = outcome.status
    answer.headers.extend(outcome.headers)
    return answer


def wrong_query(error: QueryError) -> Outcome:
    """The answer to a query string that asks for something else."""
    return Outcome({"error": "invalid query", "details": error.details}, 400)


def _unknown(name: str, known: list[str]) -> Reason:
    near = DRY_RUN if means_dry_run(name) else nearest(name.lower(), known)
    return Reason("unknown_parameter_near", near=near) if near else Reason("unknown_parameter")
