"""Why nothing is written to a CSV file, and the commands that repair it.

Each function returns the ExportError to raise; docs/en/howto/mend-csv.md has each.
"""

import shlex
from gettext import gettext as _
from pathlib import Path

from flask10x.errors import ExportError
from flask10x.export import repair_commands
from flask10x.export.file import CountedLines

SHOWN_BYTES = 200


def other_header(
    path: Path, first: bytes, header: bytes, *, is_exported: bool, is_readable: bool = False
) -> ExportError:
    """The first line is not the station's; `is_readable` says whether an import can read it."""
    text = _("the first line is {line}, not {wanted}").format(
        line=_shown(first), wanted=_shown(header)
    )
    if is_exported:
        return _rebuild(path, text)
    commands = [repair_commands.import_(path)] if is_readable else []
    return _refused(text, *commands, repair_commands.move_away(path))


def torn(path: Path, last: bytes, whole_bytes: int) -> ExportError:
    """A file without an export does not end in a whole line."""
    text = _("the last line is torn: {line}").format(line=_shown(last))
    return _refused(text, f"truncate --size={whole_bytes} {shlex.quote(str(path))}")


def changed(path: Path) -> ExportError:
    """The file does not begin with the bytes that the last export left."""
    text = _("rows that were already in the file have been changed, or are missing at its end")
    return _rebuild(path, text)


def foreign(path: Path, line: bytes, offset: int) -> ExportError:
    """Something follows the last exported row that no export has written."""
    text = _(
        "the file goes on behind the last exported row, at byte {offset}, with {line}, which is no"
        " row of the database: an older database was put back, or another program writes into the"
        " file"
    )
    return _import_and_rebuild(path, text.format(offset=offset, line=_shown(line)))


def repeated(path: Path, line: bytes) -> ExportError:
    """The file already has the row that would be appended next."""
    text = _(
        "an older database was restored: the next row to append, {line}, is already in the file"
    )
    return _import_and_rebuild(path, text.format(line=_shown(line)))


def lost_rows(path: Path, line: bytes, expected: bytes) -> ExportError:
    """The database is of another history than the file, and has not all of its last rows."""
    text = _(
        "the database has lost readings that the file has, by a failover or a restored copy: at"
        " its end the file has {line}, the database {wanted}"
    )
    wanted = _shown(expected) if expected else _("nothing")
    return _import_and_rebuild(path, text.format(line=_shown(line), wanted=wanted))


def not_ours(path: Path, tail: bytes, offset: int) -> ExportError:
    """An export was interrupted, and the file does not go on with what it wrote."""
    text = _(
        "an export was interrupted at byte {offset}, but what follows there is from another"
        " program: {bytes}"
    )
    return _import_and_rebuild(path, text.format(offset=offset, bytes=_shown(tail)))


def not_reproducible(path: Path, offset: int) -> ExportError:
    """An export was interrupted, and its rows are not what they were."""
    text = _(
        "an export was interrupted at byte {offset}, and the database no longer has its rows as"
        " they were (an older database, another time zone)"
    )
    return _rebuild(path, text.format(offset=offset))


def moved_midway(path: Path) -> ExportError:
    """An export was interrupted, and the file was moved away before it could be repaired."""
    text = _("an export into the file was interrupted, and then the file was moved away")
    command = _("put it back, run flask10x export, move it again; or, if it is lost, {rebuild}")
    return _refused(text, command.format(rebuild=repair_commands.rebuild(path)))


def other_zone(path: Path, what: object) -> ExportError:
    """The file was written in another time zone than this command's: `what` says in which."""
    return _refused(str(what), repair_commands.other_zone(path))


def of_other_station(path: Path, endpoint: str, place: str | None) -> ExportError:
    """It is the file of another station; `place` is where the last export left it."""
    if path.is_symlink():
        command = f"rm {shlex.quote(str(path))}"
    elif place is not None and not Path(place).exists():
        command = f"mv {shlex.quote(str(path))} {shlex.quote(place)}"
    else:
        command = repair_commands.move_away(path)
    text = _("it is the file of /{endpoint}, whose rows it has").format(endpoint=endpoint)
    return _refused(text, f"{command} && flask10x export")


def unknown_rows(path: Path, rows: CountedLines, zone_before: str) -> ExportError:
    """A rebuilt file would lose rows.

    `zone_before` is the zone of the file where that is not this command's, else empty.
    """
    text = _("rows of the file are not in the database: {n}, the first is line {number}, {line}")
    text = text.format(n=rows.rows, number=rows.number, line=_shown(rows.line))
    take_in = repair_commands.import_(path)
    if zone_before:
        in_its_zone = _("in the time zone of the file, {zone}: {take_in}")
        take_in = in_its_zone.format(zone=zone_before, take_in=take_in)
    command = _("{take_in}; {rebuild}, or, if these rows are wrong, {move} && {rebuild}")
    command = command.format(
        take_in=take_in,
        rebuild=repair_commands.rebuild(path),
        move=repair_commands.move_away(path),
    )
    return _refused(text, command)


def older_rows(path: Path, rows: int, line_number: int) -> ExportError:
    """A rebuilt file would begin later than the one that exists."""
    text = _("rows of the file are from before it was started: {n}, the first is line {number}")
    return _refused(text.format(n=rows, number=line_number), repair_commands.whole(path))


def removed_rows(path: Path, last_time: str, *, exists: bool = False) -> ExportError:
    """The new file would lack rows whose readings were removed, and no old one has them.

    `exists` says whether there is a file of this name, which has not all of these rows.
    """
    text = _(
        "the readings up to {time} were removed from the database (RETENTION_DAYS): the file can't"
        " be written whole from it"
    )
    begin = _(
        "put back a copy of the file (flask10x export --restore-file COPY), or begin a new one:"
        " {export}"
    )
    command = _begin_anew(path) if exists else begin.format(export=repair_commands.export(path))
    return _refused(text.format(time=last_time), f"{command} && {repair_commands.whole(path)}")


def changed_below_floor(path: Path, size_bytes: int) -> ExportError:
    """What the file must keep, because no reading can make it again, has changed."""
    text = _(
        "the first {n} bytes of the file have changed, and the readings in them were removed from"
        " the database (RETENTION_DAYS)"
    )
    return _refused(text.format(n=size_bytes), _begin_anew(path))


def _begin_anew(path: Path) -> str:
    # A database that was restored lacks the newest rows of the file.
    text = _(
        "put back a copy of the file (flask10x export --restore-file COPY), or begin a new one,"
        " with the rows of this one in the database: {commands}"
    )
    commands = repair_commands.import_(path), repair_commands.move_away_and_export(path)
    return text.format(commands="; ".join(commands))


def _rebuild(path: Path, text: str) -> ExportError:
    return _refused(text, repair_commands.rebuild(path))


def _import_and_rebuild(path: Path, text: str) -> ExportError:
    return _refused(text, repair_commands.import_(path), repair_commands.rebuild(path))


def _refused(what: str, *commands: str) -> ExportError:
    text = _("{what}; nothing was written. Mend it: {commands}")
    return ExportError(text.format(what=what, commands="; ".join(commands)))


def _shown(line: bytes) -> str:
    return repr(line[:SHOWN_BYTES])
