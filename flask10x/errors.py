"""What can go wrong, one class each; the docstring is the meaning."""

import difflib
from collections.abc import Iterable, Mapping
from gettext import gettext as _

# A name this long is no slip of a known one, and comparing takes time that grows with its square.
COMPARED_CHARS = 50
# The exit status of a command that did its work except for a part: rows that it rejected, or the
# copy of a backup on another disk.
PARTLY_DONE_STATUS = 4


def nearest(wrong: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant; None when none is near."""
    near = difflib.get_close_matches(wrong[:COMPARED_CHARS], list(known), n=1)
    return near[0] if near else None


class Flask10xError(Exception):
    """The base of every error this project raises on purpose."""

    exit_status = 1
    """With which status a service ends that cannot start because of it."""


class SettingsError(Flask10xError):
    """A setting is unknown, malformed or contradicts another; the text names it."""


class MistakesInFile(SettingsError):
    """A TOML file that a setting names can't be used.

    `mistakes` has every mistake in it, as one line of text with the path and the number of its
    line.
    """

    def __init__(self, path: object, found: Iterable[tuple[int, str]]) -> None:
        line = _("{path}: line {number}: {reason}")
        self.mistakes = [line.format(path=path, number=n, reason=reason) for n, reason in found]
        super().__init__("; ".join(self.mistakes))


class StationsError(MistakesInFile):
    """The file of stations can't be used."""


class AlertsError(MistakesInFile):
    """The file of alerts can't be used."""


class QueueFull(Flask10xError):
    """The bounded queue of this worker holds WRITE_QUEUE_MAXSIZE readings; try again later."""


class QueueUnreadable(Flask10xError):
    """What waits in a queue is not as it was written; the text says which entry."""


class WriterClosed(Flask10xError):
    """The writer takes no more readings: the process is stopping, its thread has died, or the
    database is damaged."""


class DatabaseDamaged(Flask10xError):
    """The database file is broken or gone, so nothing is written to it; the text says how."""


class DatabaseSuspected(Flask10xError):
    """The database may be damaged, so nothing is written until it has been looked at; the text
    says what a statement has met."""


class DatabaseUnreadable(Flask10xError):
    """Pages of the database can't be read now, so it is unknown whether it is sound."""


class DatabaseMissing(Flask10xError):
    """There was a database and there is none now, and no new one is made; the text says what
    helps."""


class UnknownColumn(Flask10xError):
    """A reading has a column that the database lacks; the text names it."""


class LockTimeout(Flask10xError):
    """Another process held the commit lock for longer than the busy timeout."""


class CommitNotReplicated(Flask10xError):
    """A commit is on one machine only, though it was to be on two; the text is the database's."""


class LeaseLost(Flask10xError):
    """What one host does for all of them is another host's now; the text names the lease."""


class HostNameTaken(Flask10xError):
    """Another host of the same name serves the database; the text names the setting."""

    # deploy/flask10x.service: systemd is not to try again and again.
    exit_status = 6


class ServiceRunning(Flask10xError):
    """Another service owns this database; the text names its process id."""


class CommandFailed(Flask10xError):
    """A command of the system that was run has failed; the text names it."""


class ServiceError(Flask10xError):
    """The running service could not be asked, or did not answer as it should."""


class SchemaError(Flask10xError):
    """The database has not been migrated, or can't be, to the version this program needs."""


class DatabaseUnreachable(SchemaError):
    """The server of the database does not answer, or does not let this program do what it needs,
    which may pass; the text says why."""


class QueryError(Flask10xError):
    """A query string asks for something unknown or malformed.

    `details` maps each parameter's name to the reason, as in a 400's body. Those that this project
    makes are `flask10x.readings.reasons.Reason`s, which a page can say in its own language.
    """

    def __init__(self, details: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {reason}" for name, reason in details.items()))
        self.details: dict[str, str] = {**details}


class ExportError(Flask10xError):
    """A CSV file could not be brought up to date; nothing was appended to it."""


class ExportElsewhere(Flask10xError):
    """The CSV files belong to another host; the text names it and what moves them."""


class CopyError(Flask10xError):
    """A database file is damaged, incomplete or none of Flask10X's; the text says which."""


class DatabaseCopyError(Flask10xError):
    """One database is not copied into the other, or not further; the text says why."""


class BackupError(Flask10xError):
    """No backup was made, and no file has its final name; the text says why."""


class BackupRunning(BackupError):
    """Another backup writes into the same folder; this one did nothing."""


class BackgroundBusy(Flask10xError):
    """Another command runs beside the service, whose kind is the text; nothing was started."""


class UploadRefused(Flask10xError):
    """What a browser sends is not taken; the text says why, in the reader's language."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class RestoreError(Flask10xError):
    """The database was not replaced, it is as it was; the text says why."""


class VerifyRefused(Flask10xError):
    """What was named is not accepted as right; nothing is changed but what the text says."""


class ImportRefused(Flask10xError):
    """A file can't be imported, or not further; the text says why. What is stored stays."""


class StationUnknown(ImportRefused):
    """The name of an old file says no station; `fitting` are the endpoints with its header."""

    def __init__(self, text: str, fitting: Iterable[str]) -> None:
        super().__init__(text)
        self.fitting = [*fitting]


class ColumnsUnknown(ImportRefused):
    """The header of an old file has names that are no columns of the station."""

    def __init__(self, text: str, endpoint: str, names: Iterable[str]) -> None:
        super().__init__(text)
        self.endpoint = endpoint
        self.names = [*names]
