"""`/metrics/prometheus`, and the answer of `/metrics` to a program that wants such a format.

The format is negotiated (RFC 9110, 12.5.1). A client that names no format of Prometheus gets JSON
(contract, section 2): so do `*/*`, browsers, and the `application/json, text/plain, */*` of many
JavaScript programs.
"""

from typing import Literal

from flask import Response, current_app, request
from werkzeug.datastructures import MIMEAccept

from flask10x.web.page import Routes

Format = Literal["json", "text", "openmetrics"]
TextFormat = Literal["text", "openmetrics"]
# https://prometheus.io/docs/instrumenting/content_negotiation/. Without a version in what is asked
# prometheus_client writes 0.0.4 of the one, 1.0.0 of the other: those that every scraper reads.
MEDIA_TYPES: dict[TextFormat, str] = {
    "text": "text/plain",
    "openmetrics": "application/openmetrics-text",
}
_JSON = ("application/json", "application/*", "*/*")


def format_of(accept: MIMEAccept) -> Format:
    """Return the format of `/metrics`: JSON unless a format of Prometheus is preferred."""
    best = text_format(accept)
    quality = _quality(accept, (MEDIA_TYPES[best],))
    return best if quality > _quality(accept, _JSON) else "json"


def text_format(accept: MIMEAccept) -> TextFormat:
    """Return the format of `/metrics/prometheus`: text unless OpenMetrics is preferred as much."""
    quality = _quality(accept, (MEDIA_TYPES["openmetrics"],))
    least = _quality(accept, (MEDIA_TYPES["text"],))
    return "openmetrics" if quality and quality >= least else "text"


def _quality(accept: MIMEAccept, names: tuple[str, ...]) -> float:
    """Return the highest quality that the header gives to one of these; 0 when it names none."""
    types = ((value.partition(";")[0].strip().lower(), quality) for value, quality in accept)
    return max((quality for name, quality in types if name in names), default=0)


blueprint = Routes("prometheus", __name__)


@blueprint.get("/metrics/prometheus", without_store=True)
def numbers() -> Response:
    """Answer with all numbers, always as a 200; what can't be read is left out."""
    response = answer(text_format(request.accept_mimetypes))
    response.vary.add("Accept")
    return response


def answer(kind: TextFormat) -> Response:
    """Return all numbers in this format."""
    # Most services are never scraped, and a Pi does without some megabytes gladly.
    from prometheus_client import exposition  # noqa: PLC0415

    from flask10x.web.prometheus_families import ScrapedNumbers  # noqa: PLC0415

    scraped = ScrapedNumbers(current_app.extensions["flask10x"])
    encode, content_type = exposition.choose_encoder(MEDIA_TYPES[kind])
    return Response(encode(scraped), content_type=content_type)
