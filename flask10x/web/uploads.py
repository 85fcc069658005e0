"""Files in a form, which go to the disk while they come.

Who may send and how much is known by the head, before a byte of the body is read. The server gives
such a request a thread that no page needs, however slowly it comes (`server/application.py`).
"""

import os
from contextlib import suppress
from typing import IO, Any, cast

from flask import request
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import FormDataParser

from flask10x.errors import UploadRefused
from flask10x.system import disk
from flask10x.system.background import Background
from flask10x.system.uploads import NewFile, Uploads
from flask10x.system.wording import size
from flask10x.web import administrators, context, preferences
from flask10x.web.limits import UPLOAD_MAX_BYTES

# A form has a token, a zone and a station. It is also the most that the parser keeps in memory,
# which has to be more than a piece of the body.
FIELDS_MAX_BYTES = 1_000_000
# Years of four stations, a file for each year, are fewer.
PARTS_MAX = 100
# What a form has around its files.
FRAME_MAX_BYTES = 100_000


def received() -> MultiDict[str, str]:
    """Take the files of the request at hand, whose body comes meanwhile; return its other fields.

    Raises UploadRefused, or OSError where they can't be written; then nothing of them is left.
    """
    uploads, files = _begun(), list[NewFile]()
    try:
        return _fields(uploads, files)
    except BaseException as error:
        for file in files:
            with suppress(OSError):
                file.close()
        if files:
            with suppress(OSError):
                uploads.discard()
        if isinstance(error, ValueError | RequestEntityTooLarge):
            text = preferences.texts()("The browser sent something else than a form with files.")
            raise UploadRefused(400, text) from error
        raise
    finally:
        uploads.end()


def _fields(uploads: Uploads, files: list[NewFile]) -> MultiDict[str, str]:
    """Receive the files, and return the other fields."""

    def new_file(filename: str | None = None, **_about: Any) -> IO[bytes]:
        # A browser sends an empty file without a name where none was chosen.
        if not filename:
            return open(os.devnull, "w+b")
        if not files:
            uploads.discard()
        files.append(uploads.new_file(len(files), filename))
        return cast("IO[bytes]", files[-1])

    t, makes = preferences.texts(), cast("Any", new_file)
    parser = FormDataParser(makes, FIELDS_MAX_BYTES, silent=False, max_form_parts=PARTS_MAX)
    _rest, fields, _files = parser.parse(
        request.stream, request.mimetype, request.content_length, request.mimetype_params
    )
    for file in files:
        file.close()
    sent = fields.get(administrators.TOKEN_FIELD, "")
    if not administrators.is_equal(sent, administrators.form_token()):
        raise UploadRefused(403, t("This browser is not an administrator's."))
    if not files:
        raise UploadRefused(400, t("Choose a file first."))
    return fields


def _begun() -> Uploads:
    """Look at the head of the request, and let nobody else send files."""
    t = preferences.texts()
    if administrators.browser() is None:
        raise UploadRefused(403, t("This browser is not an administrator's."))
    if request.mimetype != "multipart/form-data":
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
    if Background(data_dir).is_running or not uploads.begin():
        raise UploadRefused(409, t("Something else is running; wait until it is done."))
    return uploads
