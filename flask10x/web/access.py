"""Access: which requests are answered by their view, before anybody looks at their body.

Tokens and the list of host names are off by default; docs/en/explanation/security.md has
each. A request that is refused gets the reason and is logged, but it is not kept among the rejected
readings: strangers could fill those.
"""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal

from flask import Flask, Response, jsonify, request
from werkzeug.sansio.utils import host_is_trusted

from flask10x.config.secrets import ALL, Keyring, Tokens
from flask10x.config.settings import Settings
from flask10x.system.logs import Pace
from flask10x.web.limits import CONFLICTS
from flask10x.web.page import OPEN, POSTING, Guard, guard_of_request

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

log = logging.getLogger(__name__)

EXTENSION = "flask10x.access"
READ_ONLY_METHODS = {"GET", "HEAD", "OPTIONS"}
SHOWN_CHARS = 100
# The dot of an absolute name, `raspberrypi.local.`, which is the same host (RFC 3986, 3.2.2).
LAST_DOT = re.compile(r"(?<=[^.])\.(?=(?::[0-9]*)?\Z)")
ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<v4>[0-9.]+))(?::[0-9]{1,5})?")

Challenge = Literal["Bearer", "Basic"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer, and what the log says of it; `header` is shown there with its value."""

    status: int
    error: str
    hint: str
    why: str
    header: str = ""
    challenges: tuple[Challenge, ...] = ()


UNKNOWN_HOST = Refusal(
    *(400, "unknown host", "the name in the address is not in ALLOWED_HOSTS", "unknown host"),
    header="Host",
)
OTHER_ORIGIN = Refusal(
    *(403, "forbidden", "a page of another origin may not post", "posted by another origin"),
    header="Origin",
)
TOKEN_HINT = "send the header Authorization: Bearer <token>"  # noqa: S105
KEY_HINT = "writeKey has to be a token of this station"


class Access:
    """What is checked of every request of one worker: host, origin, token."""

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        self._hosts = settings.allowed_hosts
        self._keyring = keyring
        self._pace = Pace()

    def init_app(self, app: Flask) -> None:
        """Check every request before its view is called and its body is looked at."""
        app.extensions[EXTENSION] = self
        app.before_request(self._answer)

    @property
    def lets_any_sensor_in(self) -> bool:
        """Whether everybody may post to every station, unless it is a page of another origin."""
        return not self._hosts and self._keyring.write is None

    def lets_read(self) -> bool:
        """Whether the request at hand may see readings and alerts."""
        return self._keyring.read is None or self._opens_pages(given_token())

    def _opens_pages(self, token: str) -> bool:
        """Whether it is a token for reading, or one for notes: a browser has one for all pages."""
        read, notes = self._keyring.read, self._keyring.notes
        return any(tokens is not None and tokens.open_for(token) for tokens in (read, notes))

    @property
    def wants_token_to_post(self) -> bool:
        """Whether there are tokens for posting."""
        return self._keyring.write is not None

    @property
    def wants_token_to_read(self) -> bool:
        """Whether there are tokens for everything else."""
        return self._keyring.read is not None

    @property
    def wants_token_for_notes(self) -> bool:
        """Whether there are tokens for notes and corrections alone."""
        return self._keyring.notes is not None

    def lets_write(self, station: str) -> bool:
        """Whether the request at hand may post to this station."""
        return self.opens(given_token(), station)

    def opens(self, token: str, station: str) -> bool:
        """Whether who has this token may post to this station."""
        write = self._keyring.write
        return write is None or write.open_for(token, station)

    def refusal(self) -> Refusal | None:
        """Why the request at hand is refused; None when its view may answer. The head decides."""
        guard = guard_of_request()
        is_served = not self._hosts or is_allowed_host(request.headers.get("Host", ""), self._hosts)
        if not is_served and guard != "always":
            return UNKNOWN_HOST
        if request.method not in READ_ONLY_METHODS and is_from_another_origin():
            return OTHER_ORIGIN
        return self._without_token(guard) or _with_conflicts(guard)

    def _without_token(self, guard: Guard | None) -> Refusal | None:
        if guard is None or guard in OPEN or (guard == "key" and request.method == "POST"):
            return None
        tokens, token = self._tokens(guard), given_token()
        if tokens is None:
            return None
        if guard in ("stations", "lines") and tokens.knows(token):
            return None
        station = str(request.endpoint).rpartition(".")[2] if guard == "station" else ALL
        reads = tokens is self._keyring.read
        if tokens.open_for(token, station) or (reads and self._opens_pages(token)):
            return None
        # Browsers ask people for a name and a password when they see Basic; pages are for people.
        return _unauthorized(token, ("Bearer",) if guard in POSTING else ("Basic", "Bearer"))

    def _tokens(self, guard: Guard) -> Tokens | None:
        """Those of which the request at hand needs one; None when it needs none.

        To mute takes what it takes to see the alerts; but where only posting takes a token, nobody
        without one may keep a message from being sent. So with notes, if they have no tokens.
        """
        write, read = self._keyring.write, self._keyring.read
        if guard in POSTING:
            return write
        if guard == "notes":
            return self._keyring.notes or read or write
        return read or write if guard == "mute" else read

    def refusal_of_key(self, key: str, station: str) -> Refusal | None:
        """Why a request with this key in its body is refused, or its header; None when it is not.

        Without a station (empty) any token for posting will do.
        """
        write, keys = self._keyring.write, [key, given_token()]
        opens = (write.open_for if station else lambda k, _: write.knows(k)) if write else None
        if opens is None or any(opens(k, station) for k in keys if k):
            return None
        return _unauthorized("".join(keys), ("Bearer",), KEY_HINT)

    def _answer(self) -> Response | None:
        refusal = self.refusal()
        return None if refusal is None else self.answer(refusal)

    def answer(self, refusal: Refusal) -> Response:
        """The answer to a refused request; the log has its line."""
        self._note(refusal)
        answer = jsonify(error=refusal.error, hint=refusal.hint)
        answer.status_code = refusal.status
        for challenge in refusal.challenges:
            answer.headers.add("WWW-Authenticate", f'{challenge} realm="flask10x"')
        return answer

    def _note(self, refusal: Refusal) -> None:
        place = request.url_rule.rule if request.url_rule else "unknown page"
        more = self._pace.turn(place, refusal.why)
        if more is not None:
            name = refusal.header
            shown = f" ({name}: {request.headers.get(name, '')[:SHOWN_CHARS]!r})" if name else ""
            log.warning("%s refused: %s%s, from %s%s", place, refusal.why, shown, sender(), more)


def is_refused(app: Flask, environ: "WSGIEnvironment") -> bool:
    """Whether the application refuses this request whatever its body is: nobody has to wait for it.

    Only looks; the answer and the line of the log come when the application is asked.
    """
    access: Access = app.extensions[EXTENSION]
    with app.request_context(environ):
        return access.refusal() is not None


def sender() -> str:
    """Who sends this request, for the log and for nothing else.

    A proxy on this machine says for whom it asks; others would only be believed.
    """
    peer = request.remote_addr or ""
    try:
        local = not peer or ip_address(peer).is_loopback
        # What follows a % is a zone, and may be any text.
        behind = ip_address(request.headers.get("X-Real-IP", "").partition("%")[0])
    except ValueError:
        return peer or "a local client"
    return f"{behind} through {peer or 'a socket file'}" if local else peer


def _with_conflicts(guard: Guard | None) -> Refusal | None:
    """Why a request with lines of a header that differ is refused; that to a station is kept."""
    names = ", ".join(request.environ.get(CONFLICTS, ()))
    if not names or guard == "station":
        return None
    hint = f"{names}: send one line, or equal ones"
    return Refusal(400, "repeated header", hint, f"lines of {names} that differ")


def _unauthorized(token: str, challenges: tuple[Challenge, ...], hint: str = TOKEN_HINT) -> Refusal:
    why = "wrong token" if token else "no token"
    return Refusal(401, "unauthorized", hint, why, challenges=challenges)


def given_token() -> str:
    """The token of a request: a bearer token, or the password of HTTP Basic; else empty.

    Writers of line protocol also have it behind `Token`, perhaps with a user before it, or as the
    password in the query.
    """
    try:
        given = request.authorization
    except ValueError:
        # Werkzeug raises it for Basic with a letter that is not ASCII.
        return ""
    if given is None:
        return request.args.get("p", "") if guard_of_request() == "lines" else ""
    if given.type == "basic":
        return given.password or ""
    token = given.token or ""
    return token.rpartition(":")[2] if given.type == "token" else token


def is_allowed_host(host: str, names: Iterable[str]) -> bool:
    """Whether a Host header may be served.

    A page that rebinds its own *name* to our address sends that name, so addresses are always
    fine. No header at all is an old sender (HTTP/1.0), never a browser. A dot at the end of a name
    makes no other name of it.
    """
    host = LAST_DOT.sub("", host.lower())
    if not host:
        return True
    return _is_address(host) or host_is_trusted(host, ["localhost", *names])


def _is_address(host: str) -> bool:
    match = ADDRESS.fullmatch(host)
    if not match:
        return False
    try:
        ip_address(match["v6"] or match["v4"])
    except ValueError:
        return False
    return True


def is_from_another_origin() -> bool:
    """Whether a browser says that a page of another origin sends this request.

    Without a content type a body needs no leave to be sent across origins, and we read it
    (contract, 6.7). Browsers name the page's origin with every such request, but Sec-Fetch-Site
    only over HTTPS. Sensors send neither.
    """
    if request.headers.get("Sec-Fetch-Site", "none").lower() not in ("none", "same-origin"):
        return True
    origin, own = request.headers.get("Origin"), request.headers.get("Host", "").lower()
    return origin is not None and (not own or origin.partition("://")[2].lower() != own)
