"""Whether the browser of a request may set things up, and what its forms carry.

A cookie says which browser it is. A form also carries a token that is made of the cookie, which no
page of another origin can read; where a request comes from is checked as for every POST
(`web/access.py`).
"""

import hmac
from hashlib import sha256

from flask import abort, g, request
from werkzeug.wrappers import Response

from flask10x.runtime.administrators import Administrators, Browser
from flask10x.system import clock
from flask10x.web import context

COOKIE = "flask10x-administrator"
# The longest that browsers keep a cookie (draft-ietf-httpbis-rfc6265bis, 5.6.2).
COOKIE_SEC = 400 * 86_400
# What a browser says of itself, the most telling first: Chrome says Safari, too.
SYSTEMS = {"iPhone": "iPhone", "iPad": "iPad", "Android": "Android", "Windows": "Windows"}
SYSTEMS |= {"Macintosh": "Mac", "Linux": "Linux"}
PROGRAMS = {"Firefox": "Firefox", "Edg": "Edge", "Chrome": "Chrome", "Safari": "Safari"}
TOKEN_FIELD = "token"  # noqa: S105


def administrators() -> Administrators:
    """Return those of this installation."""
    return Administrators(context.store().settings)


def browser() -> Browser | None:
    """Return the browser of the request if it is an administrator's."""
    if "administrator" not in g:
        cookie = request.cookies.get(COOKIE, "")
        g.administrator = administrators().of_cookie(cookie, clock.now_ms()) if cookie else None
    found: Browser | None = g.administrator
    return found


def form_token() -> str:
    """Return what a form of this browser carries."""
    cookie = request.cookies.get(COOKIE, "")
    return hmac.new(cookie.encode("utf-8", "backslashreplace"), b"form", sha256).hexdigest()


def required() -> Browser:
    """Return the browser of a form that may change something; else the answer is a 403."""
    found = browser()
    if found is None or not is_equal(request.form.get(TOKEN_FIELD, ""), form_token()):
        abort(403)
    return found


def is_equal(sent: str, token: str) -> bool:
    """Whether a form carries this token."""
    return hmac.compare_digest(sent.encode("utf-8", "backslashreplace"), token.encode())


def keep(answer: Response, cookie: str) -> None:
    """Let the browser keep its cookie, for requests of our own pages only."""
    answer.set_cookie(
        COOKIE,
        cookie,
        max_age=COOKIE_SEC,
        path=request.script_root or "/",
        secure=request.is_secure,
        httponly=True,
        samesite="Strict",
    )


def name_of_browser() -> str:
    """Return what people recognise the browser of the request by: `Chrome, Android`."""
    agent = request.headers.get("User-Agent", "")
    parts = [
        next((name for word, name in names.items() if word in agent), "")
        for names in (PROGRAMS, SYSTEMS)
    ]
    return ", ".join(filter(None, parts)) or "?"
