"""The column `codes` of a rejected reading: codes and values of its reasons, for pages.

The columns `reasons` and `hint` hold the English texts, for people and programs. A text without
values stands for its code. Where one has values, `codes` is a JSON array of `[code, {name: value}]`
for each of the reasons, in their order, and then for the hint if there is one; null where the text
is enough: `[null,["below_minimum",{"limit":"0"}]]`. That spares the usual refusal, a missing field,
the bytes that would take its row a page of its own (`database/engine.py`, PAGE_BYTES).
"""

import json
from collections.abc import Mapping
from typing import Any

from flask10x.readings.reasons import FIXED, Reason


def codes_of(reasons: Mapping[str, str], hint: str) -> str | None:
    """What the column holds for these; None when the texts are enough."""
    records = [_record(text) for text in _texts(reasons, hint)]
    return json.dumps(records, separators=(",", ":")) if any(records) else None


def with_codes(
    reasons: Mapping[str, str], hint: str, codes: str | None
) -> tuple[dict[str, str], str]:
    """The texts as `Reason`s; one whose code is not known, as in old rows, stays a plain text."""
    texts = _texts(reasons, hint)
    records = json.loads(codes) if codes else []
    if len(records) != len(texts):
        records = [None] * len(texts)
    known = [_known(text, record) for text, record in zip(texts, records, strict=True)]
    return dict(zip(reasons, known, strict=False)), known[-1] if hint else ""


def _texts(reasons: Mapping[str, str], hint: str) -> list[str]:
    return [*reasons.values(), *([hint] if hint else [])]


def _record(text: str) -> tuple[str, dict[str, str]] | None:
    return (text.code, {**text.values}) if isinstance(text, Reason) and text.values else None


def _known(text: str, record: Any) -> str:
    code, values = record or (FIXED.get(text, ""), {})
    try:
        return Reason.stored(text, code, values)
    except KeyError:
        return text
