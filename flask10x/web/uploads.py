"""Files in a form, which go to the disk while they come.

The server hands over the body piece by piece (`server/application.py`); where it does not, as in
development, the view reads it. Who may send and how much is known by the head, before a byte of
the body is read, and the token of the form comes before the files.
"""

from contextlib import suppress
from typing import TYPE_CHECKING

from flask import Flask, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import (
    Data,
    Epilogue,
    Event,
    Field,
    File,
    MultipartDecoder,
    NeedData,
)

from flask10x.errors import UploadRefused
from flask10x.runtime.store import Store
from flask10x.system import disk
from flask10x.system.background import Background
from flask10x.system.uploads import NewFile, Uploads
from flask10x.system.wording import size
from flask10x.translation import Translation
from flask10x.web import access, administrators, context, preferences
from flask10x.web.limits import UPLOAD, UPLOAD_MAX_BYTES, UPLOAD_PATH
from flask10x.web.page import guard_of_request

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# A form has a token, a zone and a station.
FIELD_MAX_BYTES = 1000
# Years of four stations, a file for each year, are fewer.
PARTS_MAX = 100
# Longer than a piece of the body and the head of a part.
BUFFER_MAX_BYTES = 1_000_000
PIECE_BYTES = 64 * 1024
# What a form has around its files.
FRAME_MAX_BYTES = 100_000


class Upload:
    """The files of one request."""

    def __init__(self, uploads: Uploads, boundary: str, token: str, t: Translation) -> None:
        """Receive into `uploads`; `token` is what the form has to carry before its files."""
        self._uploads, self._token, self._t = uploads, token, t
        self._decoder = MultipartDecoder(boundary.encode(), BUFFER_MAX_BYTES, max_parts=PARTS_MAX)
        self.fields: dict[str, str] = {}
        self.refusal: UploadRefused | OSError | None = None
        self._part: NewFile | bytearray | None = None
        self._name = ""
        self._count = 0

    def feed(self, data: bytes | None) -> bool:
        """Take the next bytes, None for the end; whether more are wanted. Raises nothing."""
        try:
            self._decoder.receive_data(data)
            while not isinstance(event := self._decoder.next_event(), NeedData | Epilogue):
                self._take(event)
        except (UploadRefused, OSError) as error:
            self._give_up(error)
        except (ValueError, RequestEntityTooLarge):
            text = self._t("The browser sent something else than a form with files.")
            self._give_up(UploadRefused(400, text))
        return self.refusal is None

    def finish(self) -> None:
        """The whole body is here; others may send files again."""
        if self.refusal is None:
            self.feed(None)
        if self.refusal is None and not self._count:
            self._give_up(UploadRefused(400, self._t("Choose a file first.")))
        self._uploads.end()

    def break_off(self) -> None:
        """The sender is gone: leave nothing."""
        self._give_up(UploadRefused(400, ""))
        self._uploads.end()

    def _take(self, event: Event) -> None:
        match event:
            case Field(name=name):
                self._part, self._name = bytearray(), name
            case File(filename=name):
                self._part = self._new_file(name)
            case Data(data=data, more_data=is_more):
                if isinstance(self._part, NewFile):
                    self._part.write(data)
                    if not is_more:
                        self._part.close()
                elif self._part is not None:
                    self._part += data
                    if len(self._part) > FIELD_MAX_BYTES:
                        raise ValueError(self._name)
                    self.fields[self._name] = self._part.decode(errors="replace")
                if not is_more:
                    self._part = None

    def _new_file(self, name: str) -> NewFile | None:
        token = self.fields.get(administrators.TOKEN_FIELD, "")
        if not administrators.is_equal(token, self._token):
            raise UploadRefused(403, self._t("This browser is not an administrator's."))
        # A browser sends an empty file without a name where none was chosen.
        if not name:
            return None
        # Only now, as it removes the files of before.
        if not self._count and not self._uploads.begin():
            raise UploadRefused(409, self._t("Something else is running; wait until it is done."))
        self._count += 1
        return self._uploads.new_file(self._count - 1, name)

    def _give_up(self, error: UploadRefused | OSError) -> None:
        self.refusal = self.refusal or error
        with suppress(OSError):
            if isinstance(self._part, NewFile):
                self._part.close()
        self._part = None
        with suppress(OSError):
            if self._count:
                self._uploads.discard()


def begin(app: Flask, environ: "WSGIEnvironment") -> Upload | UploadRefused | OSError | None:
    """Begin to receive the files of a request by its head; or why it is refused.

    None where the application refuses the request anyway.
    """
    with app.request_context(environ):
        # Nor is there the view where setting up is off, or a view of anything without the database.
        is_there = guard_of_request() and isinstance(context.store_or_waiting(), Store)
        if not is_there or access.current().refusal() is not None:
            return None
        try:
            return _begun()
        except (UploadRefused, OSError) as error:
            return error


def _begun() -> Upload:
    t = preferences.texts()
    if administrators.browser() is None:
        raise UploadRefused(403, t("This browser is not an administrator's."))
    boundary = request.mimetype_params.get("boundary", "")
    if request.mimetype != "multipart/form-data" or not boundary.isascii() or not boundary:
        raise UploadRefused(400, t("The browser sent something else than a form with files."))
    length, data_dir = request.content_length, context.store().settings.data_dir
    if length is None:
        raise UploadRefused(411, t("The browser did not say how long the file is."))
    if length > UPLOAD_MAX_BYTES + FRAME_MAX_BYTES:
        text = t(
            "The files have {size}; at most {limit} can be sent at once. Copy larger ones to"
            " the machine, and use the command for them.",
            size=size(length),
            limit=size(UPLOAD_MAX_BYTES),
        )
        raise UploadRefused(413, text)
    free = disk.free_bytes(data_dir)
    if length + disk.SPARE_BYTES > free:
        text = t(
            "The files have {size}, but only {free} are free on the card, of which the"
            " service needs {spare} itself.",
            size=size(length),
            free=size(free),
            spare=size(disk.SPARE_BYTES),
        )
        raise UploadRefused(413, text)
    uploads = Uploads(data_dir)
    if Background(data_dir).is_running or uploads.is_receiving:
        raise UploadRefused(409, t("Something else is running; wait until it is done."))
    return Upload(uploads, boundary, administrators.form_token(), t)


def received() -> Upload:
    """Return the files of the request at hand, all of which are here.

    Raises UploadRefused, or OSError where they can't be written.
    """
    upload = request.environ.get(UPLOAD)
    if upload is None:
        upload = _begun()
        while (data := request.stream.read(PIECE_BYTES)) and upload.feed(data):
            pass
        upload.finish()
    if isinstance(upload, Exception):
        raise upload
    result: Upload = upload
    if result.refusal is not None:
        raise result.refusal
    return result


def is_upload(environ: "WSGIEnvironment") -> bool:
    """Whether a request may bring files."""
    of_request = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    return of_request == ("POST", UPLOAD_PATH)
