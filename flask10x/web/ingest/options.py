"""The options of a request that brings readings, its body, and its answer by Flask."""

import unicodedata
from itertools import takewhile
from operator import eq
from typing import NamedTuple

from flask import Response, jsonify, request

from flask10x.errors import COMPARED_CHARS, QueryError, nearest
from flask10x.readings.batches import KEY_HEADER, SHOWN_KEYS, key_of_header
from flask10x.readings.reasons import Reason
from flask10x.web.ingest.take import DRY_RUN, Outcome

ACK, COMMITTED = "ack", "committed"
SWITCH = {"1": True, "0": False}
TRIAL, TRIAL_BEGINS = "dryrun", "dr"


class Options(NamedTuple):
    """The options of one request."""

    dry_run: bool
    commits: bool
    """Whether its answer waits for the commit, regardless of ACK."""


def options(*, ignores_others: bool = True, may_wait: bool = False) -> Options:
    """The options of the current request.

    Old senders may have any other parameter, and stations' routes have always ignored them; but a
    reading with a misspelt dry run must not be stored (`means_dry_run`). Raises QueryError that
    names each wrong parameter, or the first ones.
    """
    names = [DRY_RUN, *([ACK] if may_wait else [])]
    parameters = request.args.to_dict(flat=False)
    wrong: dict[str, Reason] = {}
    for name, values in parameters.items():
        if name not in names:
            if not ignores_others or means_dry_run(name):
                wrong[name] = _unknown(name, names)
        elif len(values) > 1:
            wrong[name] = Reason("given_times", n=len(values))
        elif name == DRY_RUN and values[0] not in SWITCH:
            wrong[name] = Reason("switch_needed")
        elif name == ACK and values[0] != COMMITTED:
            wrong[name] = Reason("committed_needed")
    if wrong:
        raise QueryError(dict([*wrong.items()][:SHOWN_KEYS]))
    return Options(SWITCH[request.args.get(DRY_RUN, "0")], ACK in names and ACK in parameters)


def means_dry_run(name: str) -> bool:
    """Whether a parameter of this name asks for a dry run, in any spelling: `DRY_RUN`, `dryRun`.

    One letter may be missing, wrong or too many; a word that only contains it, as `laundryrun`,
    does not.
    """
    plain = unicodedata.normalize("NFKC", name[:COMPARED_CHARS]).casefold()
    letters = "".join(filter(str.isalnum, plain))
    same = sum(takewhile(bool, map(eq, letters, TRIAL)))
    rest, expected = letters[same:], TRIAL[same:]
    # A wrong letter at the beginning makes another word: `dayrun`.
    has_wrong_letter = rest[1:] == expected[1:] and letters.startswith(TRIAL_BEGINS)
    return rest == expected or rest[1:] == expected or rest == expected[1:] or has_wrong_letter


def request_key() -> bytes:
    """The `Idempotency-Key` of the current request; empty without one.

    Raises InvalidReading if it cannot be used.
    """
    value = request.headers.get(KEY_HEADER)
    return b"" if value is None else key_of_header(value)


def body_within(max_bytes: int) -> bytes | None:
    """The body of the current request; None if it is longer than that."""
    # Refused by its length alone, without waiting for it.
    if (request.content_length or 0) > max_bytes:
        return None
    # Werkzeug cuts a chunked body at its limit instead of refusing it, so the limit is checked
    # here, by reading one byte past it.
    raw = request.stream.read(max_bytes + 1)
    return None if len(raw) > max_bytes else raw


def answered(outcome: Outcome) -> Response:
    """The response of Flask with this outcome."""
    answer = jsonify(outcome.body)
    answer.status_code = outcome.status
    answer.headers.extend(outcome.headers)
    return answer


def _unknown(name: str, names: list[str]) -> Reason:
    near = DRY_RUN if means_dry_run(name) else nearest(name.lower(), names)
    return Reason("unknown_parameter_near", near=near) if near else Reason("unknown_parameter")
