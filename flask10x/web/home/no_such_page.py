"""What a browser shows of an address that there is not; programs get their JSON."""

from urllib.parse import urlsplit

from flask import Flask, Response, render_template, request

from flask10x.errors import nearest
from flask10x.web.home.navigation import MAIN, MORE, PageLink

NOT_FOUND, NOT_ALLOWED = 404, 405
HTML_TYPE, JSON_TYPE = "text/html", "application/json"


def init_app(app: Flask) -> None:
    """Answer those who ask for a page with one; call it last, for the page needs its headers."""
    app.after_request(_as_page)


def _as_page(answer: Response) -> Response:
    is_of_nothing = request.endpoint is None and answer.status_code in (NOT_FOUND, NOT_ALLOWED)
    if not is_of_nothing or request.method not in ("GET", "HEAD"):
        return answer
    answer.vary.add("Accept")
    # JSON stands first: it is for all who take anything.
    if request.accept_mimetypes.best_match([JSON_TYPE, HTML_TYPE]) != HTML_TYPE:
        return answer
    takes_readings = answer.status_code == NOT_ALLOWED
    page = render_template("no_such_page.html", near=_near(), takes_readings=takes_readings)
    answer.set_data(page)
    answer.content_type = f"{HTML_TYPE}; charset=utf-8"
    return answer


def _near() -> PageLink | None:
    """The page that was probably meant."""
    pages = {urlsplit(page.url).path: page for page in (*MAIN, *MORE)}
    near = nearest(request.path.lower().rstrip("/"), [path for path in pages if path != "/"])
    return pages[near] if near else None
