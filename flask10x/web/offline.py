"""Pages while the service can't be reached: what a browser may keep, and what its copy says.

Where there is a service worker (HTTPS, or this machine itself) it keeps the last home and the last
history. What was shown to somebody with a token is `no-store`: the worker keeps no such page, nor
does the browser, so nothing of it is there for who comes next (docs/decisions/0018).
"""

from flask import Flask, Response, request

from flask10x.readings.labels import moment
from flask10x.readings.times import zone_name
from flask10x.system import clock
from flask10x.web import context, preferences
from flask10x.web.access import Access
from flask10x.web.page import OPEN, guard_of_request

# A worker may look after the pages above its own folder only when its answer says so.
WORKER = "service_worker.js"


def init_app(app: Flask, access: Access) -> None:
    """Let each page say when it was made, and who may keep it."""

    def keep(answer: Response) -> Response:
        if request.path == f"{app.static_url_path}/{WORKER}":
            answer.headers["Service-Worker-Allowed"] = f"{request.script_root}/"
        # A page, or what scripts and downloads get; boards need no header for it.
        is_read = request.method in ("GET", "HEAD") and guard_of_request() not in {None, *OPEN}
        if access.wants_token_to_read and (answer.mimetype == "text/html" or is_read):
            answer.headers["Cache-Control"] = "no-store"
        return answer

    def made_at() -> str:
        """Return the local time at which a page is made, to the minute."""
        now_ms, zone = clock.now_ms(), context.store_or_waiting().settings.zone
        return moment(now_ms, zone, preferences.texts(), now_ms)

    app.after_request(keep)
    app.context_processor(lambda: {"made_at": made_at, "zone_name": zone_name})
