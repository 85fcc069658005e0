"""Access: decides by the head of a request whether its view answers it.

Tokens and the list of host names are off by default; docs/en/explanation/security.md describes
each. A refused request gets the reason and a line in the log. It is not kept among the rejected
readings, because strangers could fill those.
"""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal

from flask import Flask, Response, current_app, jsonify, request
from werkzeug.sansio.utils import host_is_trusted

from flask10x.config.secrets import ALL, Keyring
from flask10x.config.settings import Settings
from flask10x.system import clock
from flask10x.system.gauges import Gauges
from flask10x.system.pace import Pace
from flask10x.web.limits import CONFLICTS
from flask10x.web.page import OPEN, POSTING, Guard, guard_of_request

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

log = logging.getLogger(__name__)

EXTENSION = "flask10x.access"
READ_ONLY_METHODS = {"GET", "HEAD", "OPTIONS"}
SHOWN_CHARS = 100
# A household tries a few; more only cost time, for nobody guesses 256 bits.
LINKS_TRIED_MAX = 30
LINKS_LOGGED_EVERY_MS = 60_000
# The dot of an absolute name, `raspberrypi.local.`, which is the same host (RFC 3986, 3.2.2).
LAST_DOT = re.compile(r"(?<=[^.])\.(?=(?::[0-9]*)?\Z)")
ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<v4>[0-9.]+))(?::[0-9]{1,5})?")

Challenge = Literal["Bearer", "Basic"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to a refused request, and its text in the log, with the value of `header`."""

    status: int
    error: str
    hint: str
    why: str
    header: str = ""
    challenges: tuple[Challenge, ...] = ()


NOT_ALLOWED = "the name in the address is not in ALLOWED_HOSTS"
UNKNOWN_HOST = Refusal(400, "unknown host", NOT_ALLOWED, "unknown host", "Host")
OF_OTHERS = "a page of another origin may not post"
OTHER_ORIGIN = Refusal(403, "forbidden", OF_OTHERS, "posted by another origin", "Origin")
TOKEN_HINT = "send the header Authorization: Bearer <token>"  # noqa: S105
KEY_HINT = "writeKey has to be a token of this station"


class Access:
    """What is checked of every request of one worker: host, origin, token."""

    def __init__(self, settings: Settings, keyring: Keyring, gauges: Gauges) -> None:
        self._hosts = settings.allowed_hosts
        self._keyring = keyring
        self._pace = Pace()
        self._gauges = gauges

    def init_app(self, app: Flask) -> None:
        """Check every request before its view is called and its body is looked at."""
        app.extensions[EXTENSION] = self
        app.before_request(self._answer)

    @property
    def lets_any_sensor_in(self) -> bool:
        """Whether no token and no name of the host is checked before a reading is taken."""
        return not self._hosts and self._keyring.write is None

    def lets_read(self) -> bool:
        """Whether the request at hand may see readings and alerts."""
        return self._keyring.read is None or self._opens_pages(token_of_request())

    def _opens_pages(self, token: str) -> bool:
        """Whether it is a token for reading, or one for notes: a browser has one for all pages."""
        sets = (self._keyring.read, self._keyring.notes)
        return any(tokens is not None and tokens.open_for(token) for tokens in sets)

    @property
    def wants_token_to_post(self) -> bool:
        """Whether there are tokens for posting."""
        return self._keyring.write is not None

    @property
    def wants_token_to_read(self) -> bool:
        """Whether there are tokens for everything else."""
        return self._keyring.read is not None

    def tokens_to_note(self) -> str:
        """Return the setting that names the file of the tokens of which a note needs one.

        Empty where the request at hand has one, or none is needed.
        """
        if self._without_token("notes") is None:
            return ""
        keyring = self._keyring
        sets = {"NOTES": keyring.notes, "READ": keyring.read, "WRITE": keyring.write}
        return next((f"{name}_TOKENS_FILE" for name, tokens in sets.items() if tokens), "")

    def lets_write(self, station: str) -> bool:
        """Whether the request at hand may post to this station."""
        return self.opens(token_of_request(), station)

    def opens(self, token: str, station: str) -> bool:
        """Whether a request with this token may post to this station."""
        write = self._keyring.write
        return write is None or write.open_for(token, station)

    def refusal(self) -> Refusal | None:
        """Return why the request at hand is refused, or None when its view may answer."""
        guard = guard_of_request()
        is_served = not self._hosts or is_allowed_host(request.headers.get("Host", ""), self._hosts)
        if not is_served and guard != "always":
            return UNKNOWN_HOST
        if request.method not in READ_ONLY_METHODS and is_from_another_origin():
            return OTHER_ORIGIN
        if refusal := self._without_token(guard):
            return refusal
        names = ", ".join(request.environ.get(CONFLICTS, ()))
        # The view of a station refuses lines that differ itself, and keeps such a request.
        if not names or guard == "station":
            return None
        hint = f"{names}: send one line, or equal ones"
        return Refusal(400, "repeated header", hint, f"lines of {names} that differ")

    def _without_token(self, guard: Guard | None) -> Refusal | None:
        if guard is None or guard in OPEN or (guard == "key" and request.method == "POST"):
            return None
        keyring, token = self._keyring, token_of_request()
        tokens = keyring.write if guard in POSTING else keyring.read
        if guard == "mute":
            # Where only posting needs a token, a mute needs that one, because it keeps messages
            # from being sent.
            tokens = keyring.read or keyring.write
        elif guard == "notes":
            tokens = keyring.notes or keyring.read or keyring.write
        if tokens is None or (guard in ("stations", "lines") and tokens.knows(token)):
            return None
        station = str(request.endpoint).rpartition(".")[2] if guard == "station" else ALL
        if tokens.open_for(token, station) or (tokens is keyring.read and self._opens_pages(token)):
            return None
        # Browsers ask people for a name and a password when they see Basic; pages are for people.
        return _unauthorized(token, ("Bearer",) if guard in POSTING else ("Basic", "Bearer"))

    def refusal_of_key(self, key: str, station: str) -> Refusal | None:
        """Return why a request with this key in its body is refused, or None when it is not.

        A token in its header is as good. Without a station (empty) any token for posting is enough.
        """
        write, keys = self._keyring.write, [key, token_of_request()]
        opens = (write.open_for if station else lambda k, _: write.knows(k)) if write else None
        if opens is None or any(opens(k, station) for k in keys if k):
            return None
        return _unauthorized("".join(keys), ("Bearer",), KEY_HINT)

    def _answer(self) -> Response | None:
        refusal = self.refusal()
        return None if refusal is None else self.answer(refusal)

    def answer(self, refusal: Refusal) -> Response:
        """Return the answer to a refused request; the log has its line."""
        place = request.url_rule.rule if request.url_rule else "unknown page"
        if (more := self._pace.turn(place, refusal.why)) is not None:
            name = refusal.header
            shown = f" ({name}: {request.headers.get(name, '')[:SHOWN_CHARS]!r})" if name else ""
            log.warning("%s refused: %s%s, from %s%s", place, refusal.why, shown, sender(), more)
        answer = jsonify(error=refusal.error, hint=refusal.hint)
        answer.status_code = refusal.status
        for challenge in refusal.challenges:
            answer.headers.add("WWW-Authenticate", f'{challenge} realm="flask10x"')
        return answer

    def note_wrong_link(self) -> bool:
        """Log once a minute that links of administrators are tried in vain; False: too many are.

        Once for all workers: a stranger's tries reach each of them.
        """
        gauges, now_ms = self._gauges, clock.monotonic_ms()
        if not gauges.link_logged_ms or now_ms - gauges.link_logged_ms >= LINKS_LOGGED_EVERY_MS:
            held_back = gauges.links_tried - 1
            gauges.link_logged_ms, gauges.links_tried = now_ms, 0
            more = f" ({held_back} more since the last such line)" if held_back > 0 else ""
            log.warning("/setup/link refused: wrong or used link, from %s%s", sender(), more)
        gauges.links_tried += 1
        return gauges.links_tried <= LINKS_TRIED_MAX


def current() -> Access:
    """Return that of the application that answers."""
    access: Access = current_app.extensions[EXTENSION]
    return access


def is_refused(app: Flask, environ: "WSGIEnvironment") -> bool:
    """Whether the application refuses this request whatever its body is, so it need not be read.

    The answer and the line in the log follow when the application gets the request.
    """
    with app.request_context(environ):
        return current().refusal() is not None


def sender() -> str:
    """Return the address of the client of this request, for the log alone.

    `X-Real-IP` counts only from a proxy on this machine, because any client can send the header.
    """
    peer = request.remote_addr or ""
    try:
        local = not peer or ip_address(peer).is_loopback
        # What follows a % is a zone, and may be any text.
        behind = ip_address(request.headers.get("X-Real-IP", "").partition("%")[0])
    except ValueError:
        return peer or "a local client"
    return f"{behind} through {peer or 'a socket file'}" if local else peer


def _unauthorized(token: str, challenges: tuple[Challenge, ...], hint: str = TOKEN_HINT) -> Refusal:
    why = "wrong token" if token else "no token"
    return Refusal(401, "unauthorized", hint, why, challenges=challenges)


def token_of_request() -> str:
    """Return the bearer token of the request or its password of HTTP Basic; "" without either.

    Writers of line protocol also send it behind `Token`, perhaps with a user before it, or as the
    password in the query.
    """
    try:
        authorization = request.authorization
    except ValueError:
        # Werkzeug raises it for Basic with a letter that is not ASCII.
        return ""
    if authorization is None:
        return request.args.get("p", "") if guard_of_request() == "lines" else ""
    if authorization.type == "basic":
        return authorization.password or ""
    token = authorization.token or ""
    return token.rpartition(":")[2] if authorization.type == "token" else token


def is_allowed_host(host: str, names: Iterable[str]) -> bool:
    """Whether a Host header may be served.

    A page that rebinds its own *name* to our address sends that name, so addresses are always
    allowed. A request without the header comes from an old sender (HTTP/1.0), never from a browser.
    A name with a dot at its end is the same name.
    """
    host = LAST_DOT.sub("", host.lower())
    if not host or host_is_trusted(host, ["localhost", *names]):
        return True
    match = ADDRESS.fullmatch(host)
    try:
        return match is not None and ip_address(match["v6"] or match["v4"]) is not None
    except ValueError:
        return False


def is_from_another_origin() -> bool:
    """Whether a browser says that a page of another origin sends this request.

    A browser sends a body without a content type across origins without asking first, and such a
    body is read here (contract, 6.7). Browsers name the page's origin in every such request, but
    send Sec-Fetch-Site only over HTTPS. Sensors send neither.
    """
    if request.headers.get("Sec-Fetch-Site", "none").lower() not in ("none", "same-origin"):
        return True
    origin, host = request.headers.get("Origin"), request.headers.get("Host", "").lower()
    return origin is not None and (not host or origin.partition("://")[2].lower() != host)
