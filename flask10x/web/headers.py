"""Security headers: what a browser may do with our answers (docs/en/explanation/security.md).

There is never a CORS header: no page of another origin may read what we answer. Nor is there a
Cross-Origin-Opener-Policy: over plain HTTP browsers ignore it, with an error on the console.
`Connection` is the server's (`server/connection.py`): an application may not set it (PEP 3333).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask, Response

# On every answer; few and short, for boards read them too.
ALWAYS = {
    # A browser takes no answer for a script or a page because it looks like one.
    "X-Content-Type-Options": "nosniff",
    # No page of another origin may embed it, as an image or a script say, and measure it.
    "Cross-Origin-Resource-Policy": "same-origin",
}
# Scripts and styles only from files of ours, nothing inline; data only from here; `data:` for small
# images in the style sheet. Nobody may put a page of ours into a frame.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; manifest-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
ON_PAGES = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    # Filters are in the address; a link to elsewhere does not carry it there.
    "Referrer-Policy": "same-origin",
}


def init_app(app: "Flask") -> None:
    """Add the headers to everything that the application answers, errors included."""
    app.after_request(_add)


def _add(answer: "Response") -> "Response":
    answer.headers.update(ALWAYS)
    if answer.mimetype == "text/html":
        answer.headers.update(ON_PAGES)
    return answer
