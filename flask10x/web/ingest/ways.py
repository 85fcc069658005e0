"""Which threads answer a request: what takes no time is answered at once, by the main thread."""

from typing import TYPE_CHECKING, Literal

from flask10x.config.settings import Settings
from flask10x.readings.json_body import begins_array
from flask10x.web.ingest.take import repeat_window_ms
from flask10x.web.limits import takes_large_body

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Way = Literal["at_once", "senders", "others"]


class Ways:
    """Sorts the requests of one worker.

    A sender that has to wait until the database has been asked for its key, or brings many
    readings, is not answered at once; but it does not wait for pages and downloads either. With
    ACK=committed nobody asks for a key: the commit says what is a repeat.
    """

    def __init__(self, settings: Settings) -> None:
        self._asks_keys = settings.ack != "committed"
        self._posts: dict[str, Way] = {}
        for station in settings.stations.all:
            asks_first = self._asks_keys and repeat_window_ms(settings, station) > 0
            self._posts[f"/{station.endpoint}"] = "senders" if asks_first else "at_once"

    def __call__(self, environ: "WSGIEnvironment", body: bytes) -> Way:
        """By its head and its body."""
        path = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] != "POST":
            is_health = path == "/healthz" and environ["REQUEST_METHOD"] == "GET"
            return "at_once" if is_health else "others"
        way = self._posts.get(path) or ("senders" if takes_large_body(path) else "others")
        has_key = "HTTP_IDEMPOTENCY_KEY" in environ
        if way == "at_once" and ((has_key and self._asks_keys) or begins_array(body)):
            return "senders"
        return way
