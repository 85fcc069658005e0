"""Why nothing is written to a CSV file, and what mends it: docs/en/howto/mend-csv.md has each.

Each function gives the ExportError to raise.
"""

import shlex
from gettext import gettext as _
from pathlib import Path

from flask10x.errors import ExportError
from flask10x.export import other_zone_lines, repair_commands
from flask10x.export.file import CountedLines
from flask10x.system import wording

SHOWN_BYTES = 200


def other_header(path: Path, first: bytes, wanted: bytes, *, known: bool) -> ExportError:
    """The first line is not the station's."""
    return _refused(
        _("the first line is {line}, not {wanted}").format(
            line=_shown(first), wanted=_shown(wanted)
        ),
        repair_commands.rebuild(path) if known else repair_commands.move_away(path),
    )


def torn(path: Path, last: bytes, whole_bytes: int) -> ExportError:
    """A file that was never exported to does not end in a whole line."""
    return _refused(
        _("the last line is torn: {line}").format(line=_shown(last)),
        f"truncate --size={whole_bytes} {shlex.quote(str(path))}",
    )


def shorter(path: Path, size: int, recorded: int) -> ExportError:
    """Bytes are missing at the end."""
    return _refused(
        _(
            "the file is shorter than after the last export: {size} bytes instead of {recorded}"
        ).format(size=size, recorded=recorded),
        repair_commands.rebuild(path),
    )


def replaced(path: Path) -> ExportError:
    """The name leads to another file, and its bytes differ."""
    return _refused(
        _(
            "this is another file than the last export wrote to, and its rows differ from that"
            " one's"
        ),
        repair_commands.rebuild(path),
    )


def rewritten(path: Path) -> ExportError:
    """It is the same file, but old bytes in it are different."""
    return _refused(
        _("rows that were already in the file have been changed"), repair_commands.rebuild(path)
    )


def foreign(path: Path, line: bytes, offset: int) -> ExportError:
    """Something that we don't write stands at the end."""
    return _refused(
        _("somebody else's line follows the last exported row, at byte {offset}: {line}").format(
            offset=offset, line=_shown(line)
        ),
        repair_commands.import_(path),
        repair_commands.rebuild(path),
    )


def ahead(path: Path, rows: int, line: bytes) -> ExportError:
    """Rows follow that look like ours, but the database does not know of them."""
    return _refused(
        _(
            "the file is ahead of the database by {rows}, the first is {line}: the database was"
            " put back to an older one, or another program writes into the file"
        ).format(rows=wording.amount(rows, "row"), line=_shown(line)),
        repair_commands.import_(path),
        repair_commands.rebuild(path),
    )


def repeated(path: Path, line: bytes) -> ExportError:
    """The file already has the row that would be appended next."""
    return _refused(
        _(
            "an older database was restored: the next row to append, {line}, is already in the file"
        ).format(line=_shown(line)),
        repair_commands.import_(path),
        repair_commands.rebuild(path),
    )


def lost_rows(path: Path, line: bytes, wanted: bytes) -> ExportError:
    """The database is of another history than the file, and has not all of its last rows."""
    return _refused(
        _(
            "the database has lost readings that the file has, by a failover or a restored copy: at"
            " its end the file has {line}, the database {wanted}"
        ).format(line=_shown(line), wanted=_shown(wanted) if wanted else _("nothing")),
        repair_commands.import_(path),
        repair_commands.rebuild(path),
    )


def not_ours(path: Path, tail: bytes, offset: int) -> ExportError:
    """An export was interrupted, and what stands there is not the beginning of what it wrote."""
    return _refused(
        _(
            "an export was interrupted at byte {offset}, but what follows there is somebody"
            " else's: {bytes}"
        ).format(offset=offset, bytes=_shown(tail)),
        repair_commands.import_(path),
        repair_commands.rebuild(path),
    )


def not_reproducible(path: Path, offset: int) -> ExportError:
    """An export was interrupted, and its rows are not what they were."""
    return _refused(
        _(
            "an export was interrupted at byte {offset}, and the database no longer has its rows"
            " as they were (an older database, another time zone)"
        ).format(offset=offset),
        repair_commands.rebuild(path),
    )


def moved_midway(path: Path) -> ExportError:
    """An export was interrupted, and the file was moved away before it could be mended."""
    return _refused(
        _("an export into the file was interrupted, and then the file was moved away"),
        _("put it back, run flask10x export, move it again; or, if it is lost, {rebuild}").format(
            rebuild=repair_commands.rebuild(path)
        ),
    )


def other_zone(path: Path, what: object) -> ExportError:
    """The file was written in another time zone than this command's: `what` says in which."""
    return _refused(str(what), repair_commands.other_zone(path))


def other_row(path: Path, here: str, found: bytes, expected: bytes) -> ExportError:
    """Nobody has noted in which zone the file was written, and it does not look like this one."""
    return _refused(
        _(
            "an exported row of the file is {line}; this command, in the time zone {zone}, would"
            " have written {expected}"
        ).format(line=_shown(found), zone=here, expected=_shown(expected)),
        repair_commands.other_zone(path),
    )


def other_station(path: Path, endpoint: str, found: bytes, expected: bytes) -> ExportError:
    """Nobody has noted whose rows the file has, and the last one is not this station's."""
    return _refused(
        _(
            "the last exported row of the file is {line}, that of /{endpoint} is {expected}: it is"
            " another station's file, or the reading was changed"
        ).format(
            line=_shown(found),
            endpoint=endpoint,
            expected=_shown(expected) if expected else _("nothing"),
        ),
        _("{move}, and {export}").format(
            move=repair_commands.move_away(path), export=repair_commands.export(path)
        ),
        repair_commands.rebuild(path),
    )


def of_other_station(path: Path, endpoint: str, place: str | None) -> ExportError:
    """It is the file of another station; `place` is where the last export left it."""
    export = "flask10x export"
    if path.is_symlink():
        command = f"rm {shlex.quote(str(path))} && {export}"
    elif place is not None and not Path(place).exists():
        command = f"mv {shlex.quote(str(path))} {shlex.quote(place)} && {export}"
    else:
        command = f"{repair_commands.move_away(path)} && {export}"
    what = _("it is the file of /{endpoint}, whose rows it has").format(endpoint=endpoint)
    return _refused(what, command)


def not_handed_over(path: Path, name: str) -> ExportError:
    """The station has had its file under another name, and no export has ended that one."""
    text = _("{name} is the name that the file had before, and no export has gone on from it yet")
    return _refused(text.format(name=name), repair_commands.export(path))


def no_columns(path: Path, endpoint: str) -> ExportError:
    """The file is another station's, and its columns were not noted."""
    return _refused(
        _("it is the file of /{endpoint}, and its columns are unknown").format(endpoint=endpoint),
        _("{move}, and {export}").format(
            move=repair_commands.move_away(path), export=repair_commands.export(path)
        ),
    )


def unknown_rows(
    path: Path, rows: CountedLines, other_zone: CountedLines, zone_before: str
) -> ExportError:
    """A rebuilt file would lose rows, and may have others that must not be imported as they are.

    `zone_before` is the zone of the file where that is not this command's, else empty.
    """
    what = _(
        "rows of the file are not in the database: {n}, the first is line {number}, {line}"
    ).format(n=rows.rows, number=rows.number, line=_shown(rows.line))
    take_in = repair_commands.import_(path)
    if other_zone.rows:
        what = f"{what}; {other_zone_lines.in_words(other_zone)}"
        take_in = _("import the file's other rows, from a copy without those in another folder")
    elif zone_before:
        text = _("in the time zone of the file, {zone}: {take_in}")
        take_in = text.format(zone=zone_before, take_in=take_in)
    return _refused(
        what,
        _("{take_in}; {rebuild}, or, if these rows are wrong, {move} && {rebuild}").format(
            take_in=take_in,
            rebuild=repair_commands.rebuild(path),
            move=repair_commands.move_away(path),
        ),
    )


def older_rows(path: Path, rows: int, line_number: int) -> ExportError:
    """A rebuilt file would begin later than the one that is there."""
    return _refused(
        _(
            "rows of the file are from before it was started: {n}, the first is line {number}"
        ).format(n=rows, number=line_number),
        f"{repair_commands.rebuild(path)} --whole",
    )


def removed_rows(path: Path, last_time: str, *, is_there: bool = False) -> ExportError:
    """The new file would lack rows whose readings were removed, and no old one has them.

    `is_there` says whether a file has its name, which has not all of these rows.
    """
    export = repair_commands.export(path)
    if is_there:
        export = f"{repair_commands.move_away(path)} && {export}"
    return _refused(
        _(
            "the readings up to {time} were removed from the database (RETENTION_DAYS): the file"
            " can't be written whole from it"
        ).format(time=last_time),
        _("put back a copy of the file, or begin a new one: {export}").format(
            export=f"{export} && {repair_commands.whole(path)}"
        ),
    )


def changed_below_floor(path: Path, size_bytes: int) -> ExportError:
    """What the file must keep, because no reading can make it again, is not what it was."""
    return _refused(
        _(
            "the first {n} bytes of the file have changed, and the readings in them were removed"
            " from the database (RETENTION_DAYS)"
        ).format(n=size_bytes),
        _("put back a copy of the file, or begin a new one: {move} && {export}").format(
            move=repair_commands.move_away(path), export=repair_commands.export(path)
        ),
    )


def _refused(what: str, *commands: str) -> ExportError:
    text = _("{what}; nothing was written. Mend it: {commands}")
    return ExportError(text.format(what=what, commands="; ".join(commands)))


def _shown(line: bytes) -> str:
    return repr(line[:SHOWN_BYTES])
