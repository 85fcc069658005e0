"""Is one database what another one holds, row for row?"""

from collections.abc import Iterator
from gettext import gettext as _

from sqlalchemy.exc import DBAPIError

from flask10x.config.settings import Settings
from flask10x.database.dialects import last_id
from flask10x.database.error_codes import reason_of
from flask10x.database.paths import url_of
from flask10x.errors import DatabaseCopyError
from flask10x.maintenance.copying import fill
from flask10x.maintenance.copying.fill import Compared, RowDifference, differences
from flask10x.maintenance.copying.run import snapshots
from flask10x.system.progress import Bar, unseen

# Of a body or a long text.
SHOWN_CHARS = 40


def verify(source: Settings, target: Settings, bar: Bar = unseen) -> Iterator[Compared]:
    """Compare all that is kept, each of the two as it is at one moment.

    Raises DatabaseCopyError or another Flask10xError. Columns that only one has are compared, too:
    one without a value is none.
    """
    try:
        with (
            snapshots(source) as there,
            snapshots(target) as here,
            there.begin() as wanted,
            here.begin() as found,
            bar(_("compared"), last_id(wanted) + fill.rows_of_others(wanted)) as advance,
        ):
            for compared in differences(wanted, found):
                advance(compared.rows)
                yield compared
    except DBAPIError as error:
        text = _("{source} and {target} cannot be compared: {reason}")
        named = {"source": url_of(source), "target": url_of(target)}
        raise DatabaseCopyError(text.format(reason=reason_of(error), **named)) from error


def in_words(difference: RowDifference) -> list[str]:
    """A line for each column of a row that differs."""
    key = ", ".join(_short(part) for part in difference.key)
    place = f"{difference.table} {key}"
    if difference.wanted is None:
        return [_("{place}: only in the copy").format(place=place)]
    if difference.found is None:
        return [_("{place}: not in the copy").format(place=place)]
    text = _("{place}, {column}: {wanted}, in the copy {found}")
    values = zip(difference.columns, difference.wanted, difference.found, strict=True)
    return [
        text.format(place=place, column=column, wanted=_short(one), found=_short(other))
        for column, one, other in values
    ]


def _short(value: object) -> str:
    """A value as it is written; of a long one the beginning."""
    if isinstance(value, bytes):
        value = value.hex()
    shown = str(value)
    return shown if len(shown) <= SHOWN_CHARS else f"{shown[:SHOWN_CHARS]}…"
