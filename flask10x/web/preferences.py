"""Language and colours of the pages: chosen by the reader, kept in cookies, without JavaScript.

A link `?lang=ja` or `?theme=dark` sets the cookie and leads to the same page without it, so that
the address stays the view and nothing else: what one person shares does not change what another
person sees.
"""

from functools import partial
from urllib.parse import quote, urlencode

from flask import Flask, Response, current_app, redirect, request, url_for

from flask10x.readings.labels import column_name, station_name
from flask10x.translation import Language, Translation, translation
from flask10x.web.captions import badge
from flask10x.web.files import words_of
from flask10x.web.icons import station_drawing
from flask10x.web.page import Page

LANGUAGES: dict[Language, str] = {"ja": "日本語", "en": "English"}
"""Each language by what it calls itself."""
DEFAULT: Language = "en"
THEMES = ("auto", "light", "dark")
CHOICES: dict[str, tuple[str, ...]] = {"lang": tuple(LANGUAGES), "theme": THEMES}
COOKIE_SEC = 365 * 86_400
HTML_TYPE, JSON_TYPE = "text/html", "application/json"


def init_app(app: Flask) -> None:
    """Let every page have its texts and its colours."""
    app.before_request(_switch)
    app.after_request(_vary)
    app.context_processor(_for_templates)


def language() -> Language:
    """The language chosen before, else the browser's, else English."""
    chosen = request.cookies.get("lang")
    offered = request.accept_languages.best_match(sorted(LANGUAGES))
    names = (name for choice in (chosen, offered) for name in LANGUAGES if name == choice)
    return next(names, DEFAULT)


def texts() -> Translation:
    """The translation into that language."""
    return translation(language())


def theme() -> str:
    """The colours chosen before; `auto` leaves them to the system."""
    chosen = request.cookies.get("theme", "")
    return chosen if chosen in THEMES else "auto"


def _switch() -> Response | None:
    """Take the choice out of the address and keep it; other values are left for the page."""
    args = request.args
    chosen = {name: args[name] for name, values in CHOICES.items() if args.get(name) in values}
    if not chosen or request.method != "GET" or not _is_page():
        return None
    others = [pair for pair in args.items(multi=True) if pair[0] not in chosen]
    # With two slashes, or a backslash, it would lead to another server.
    path = request.script_root + quote(f"/{request.path.lstrip('/')}")
    answer = redirect(f"{path}?{urlencode(others, safe=':')}" if others else path, 303)
    for name, value in chosen.items():
        answer.set_cookie(
            name, value, max_age=COOKIE_SEC, path=request.script_root or "/", samesite="Lax"
        )
    return Response(answer.get_data(), answer.status_code, answer.headers)


def prefers_page() -> bool:
    """Whether the one who asks would rather have a page than JSON."""
    # JSON comes first: it is for clients that accept anything.
    return request.accept_mimetypes.best_match([JSON_TYPE, HTML_TYPE]) == HTML_TYPE


def _is_page() -> bool:
    """Whether the address is one that people look at; one that there is not has a page, too."""
    if request.endpoint is None:
        return prefers_page()
    if request.endpoint.endswith(".as_page"):
        return True
    # A part of a page, as those of the setup; its files are for programs, too.
    of = current_app.blueprints.get(request.blueprint or "")
    return isinstance(of, Page) and prefers_page()


def _vary(answer: Response) -> Response:
    if answer.mimetype == HTML_TYPE:
        answer.vary.update(("Accept-Language", "Cookie"))
        answer.headers.setdefault("Cache-Control", "no-cache")
        answer.content_language.add(language())
    return answer


def _for_templates() -> dict[str, object]:
    t = texts()
    return {
        "t": t,
        "languages": LANGUAGES,
        "themes": THEMES,
        "theme": theme(),
        "switch": _switch_url,
        "station_name": partial(station_name, t=t),
        "column_name": partial(column_name, t=t),
        "badge": partial(badge, t=t),
        "station_drawing": station_drawing,
        "words_of": partial(words_of, language=t.language),
    }


def _switch_url(**choice: str) -> str:
    """The address of this view with a choice; of its page on an answer to a form."""
    names = set(choice)
    others = [pair for pair in request.args.items(multi=True) if pair[0] not in names]
    page = url_for(f"{request.blueprint}.as_page") if request.method == "POST" else ""
    return f"{page}?{urlencode([*others, *choice.items()], safe=':')}"
