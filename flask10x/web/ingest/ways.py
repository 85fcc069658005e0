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
    ACK=committed nobody asks for a key, unless it is a dry run: the commit says what is a repeat.
    """

    def __init__(self, settings: Settings) -> None:
        self._asks_keys = settings.ack != "committed"
        # Path -> whether each body has a key.
        self._posts = {
            f"/{station.endpoint}": repeat_window_ms(settings, station) > 0
            for station in settings.stations.all
        }

    def __call__(self, environ: "WSGIEnvironment", body: bytes) -> Way:
        """By its head and its body."""
        path = environ["PATH_INFO"]
        if environ["REQUEST_METHOD"] != "POST":
            is_health = path == "/healthz" and environ["REQUEST_METHOD"] == "GET"
            return "at_once" if is_health else "others"
        if path not in self._posts:
            return "senders" if takes_large_body(path) else "others"
        has_key = self._posts[path] or "HTTP_IDEMPOTENCY_KEY" in environ
        asks = has_key and (self._asks_keys or environ.get("QUERY_STRING"))
        return "senders" if asks or begins_array(body) else "at_once"
