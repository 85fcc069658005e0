"""What a board has sent last is noted for the page of devices, however it was answered."""

from collections.abc import Mapping
from typing import Any

from flask10x.runtime.store import Store
from flask10x.system import clock
from flask10x.system.last_requests import LastRequest

# By which somebody who writes a sender sees what is wrong with it. No token is among them.
HEADERS = {
    "CONTENT_TYPE": "Content-Type",
    "CONTENT_LENGTH": "Content-Length",
    "HTTP_CONTENT_ENCODING": "Content-Encoding",
    "HTTP_TRANSFER_ENCODING": "Transfer-Encoding",
    "HTTP_CONNECTION": "Connection",
    "HTTP_EXPECT": "Expect",
    "HTTP_IDEMPOTENCY_KEY": "Idempotency-Key",
    "HTTP_USER_AGENT": "User-Agent",
}
# Longer ones say no more.
SHOWN_CHARS = 120
# What is shown of a body; the place of a station has room for it beside the headers.
SHOWN_BODY_BYTES = 1000


def note(store: Store, endpoint: str, environ: Mapping[str, Any], body: bytes, status: int) -> None:
    """Note a request of this station, from its WSGI environment (PEP 3333).

    Of a batch `body` is what was about this station, and `status` what it alone would have got.
    """
    headers = {
        name: environ[key][:SHOWN_CHARS] for key, name in HEADERS.items() if environ.get(key)
    }
    request = LastRequest(
        at_ms=clock.now_ms(),
        status=status,
        protocol=environ.get("SERVER_PROTOCOL", ""),
        path=environ["PATH_INFO"][:SHOWN_CHARS],
        headers=headers,
        body=body[:SHOWN_BODY_BYTES],
        body_bytes=len(body),
    )
    store.gauges.note_request(endpoint, request)


def note_unknown(store: Store, name: str, path: str, sender: str) -> None:
    """Note that a reading of a name came that no station has, to this path from this address."""
    store.gauges.note_unknown(store.slot_number, name, path, sender)
