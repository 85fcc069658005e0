"""What a browser shows of an address that there is not; programs get their JSON."""

from difflib import get_close_matches
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, redirect, render_template, request
from werkzeug.routing import RequestRedirect
from werkzeug.wrappers import Response as AnyResponse

from flask10x.web.page import POSTING, Page, Routes, all_pages
from flask10x.web.preferences import HTML_TYPE, prefers_page

NOT_FOUND, NOT_ALLOWED = 404, 405
# Two letters of nine may be wrong: `/nonsense` is not `/notes`, `/histroy` is `/history`.
SIMILARITY = 0.8
# No page has a longer name, and the comparison takes its square.
COMPARED_CHARS = 40


def init_app(app: Flask) -> None:
    """Answer those who ask for a page with one; call it last, for the page needs its headers."""
    app.before_request(_redirect_here)
    app.after_request(_as_page)


def _redirect_here() -> AnyResponse | None:
    """Redirect an address with two slashes to its path: any client can send any name of a host."""
    if not isinstance(request.routing_exception, RequestRedirect):
        return None
    address = urlsplit(request.routing_exception.new_url)
    return redirect(address._replace(scheme="", netloc="").geturl(), 308)


def _as_page(answer: Response) -> Response:
    is_of_nothing = request.endpoint is None and answer.status_code in (NOT_FOUND, NOT_ALLOWED)
    if not is_of_nothing or request.method not in ("GET", "HEAD"):
        return answer
    answer.vary.add("Accept")
    if not prefers_page():
        return answer
    # The blueprint of what can be posted to this address.
    poster = ""
    if answer.status_code == NOT_ALLOWED and (adapter := current_app.create_url_adapter(request)):
        poster = adapter.match(method="POST")[0].rpartition(".")[0]
    routes = current_app.blueprints.get(poster)
    takes_readings = isinstance(routes, Routes) and all(
        route.guard in POSTING for route in routes.routes.values()
    )
    page = render_template("no_such_page.html", near=_near(routes), takes_readings=takes_readings)
    answer.set_data(page)
    answer.content_type = f"{HTML_TYPE}; charset=utf-8"
    return answer


def _near(poster: object) -> Page | None:
    """The page that was probably meant; that of a form, if it is the address of one."""
    if isinstance(poster, Page):
        return poster
    pages = {urlsplit(page.url).path: page for page in all_pages()}
    names = [path for path in pages if path != "/"]
    # `/history/today` begins with the page that was meant.
    first = f"/{request.path.lower().strip('/').partition('/')[0]}"[:COMPARED_CHARS]
    near = get_close_matches(first, names, n=1, cutoff=SIMILARITY)
    return pages[near[0]] if near else None
