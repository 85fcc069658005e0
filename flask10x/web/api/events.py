"""`GET /events`: tells an open page when readings have come, as server-sent events.

An event says up to which id the log has got, and of which stations; the page then asks for what it
shows. The format is that of https://html.spec.whatwg.org/multipage/server-sent-events.html; what is
told, and what a proxy in front has to let through, is in docs/en/reference/http-api.md.
"""

from collections.abc import Iterator

from flask import Response, jsonify, request

from flask10x.runtime.new_readings import Follower, NewReadings, News
from flask10x.web import context
from flask10x.web.json_text import readable
from flask10x.web.limits import FOLLOWER, open_pages_max
from flask10x.web.page import Routes
from flask10x.web.parameters import Parameters
from flask10x.web.read_errors import not_now

blueprint = Routes("events", __name__)

# How often something comes without a reading: a page that hears nothing for longer than twice this
# asks by itself, and a client that has gone without a word is noticed. A proxy ends what is still
# for longer (deploy/cluster: 15 s).
STILL_SEC = 10.0


@blueprint.get("/events")
def stream() -> Response:
    """Answer without an end; a 503 when as many pages are open as this process follows."""
    Parameters().check()
    new_readings = context.store().new_readings
    if new_readings.number >= open_pages_max():
        return not_now(jsonify(error="too many open pages"))
    follower: Follower = request.environ.get(FOLLOWER, Follower)()
    answer = Response(_events(new_readings, follower), mimetype="text/event-stream")
    answer.headers["Cache-Control"] = "no-store"
    # nginx and others that know it pass each event on as it comes.
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


def _events(new_readings: NewReadings, follower: Follower) -> Iterator[str]:
    seen: News | None = None
    with new_readings.followed_by(follower):
        while True:
            # At least one, by which a page knows that it may soon ask again.
            news = new_readings.news
            yield _event(news, seen)
            seen = news
            follower.wait(STILL_SEC)
            if follower.is_ended:
                return


def _event(news: News | None, seen: News | None) -> str:
    """The event for who has seen the other news; the stations are null where it may be any."""
    if news is None:
        stations: tuple[str, ...] | None = None
    elif seen is not None and news.last_id == seen.last_id:
        stations = ()
    else:
        stations = news.stations if seen and seen.last_id == news.after_id else None
    told = {"last_id": news.last_id if news else None, "stations": stations}
    return f"data: {readable(told)}\n\n"
