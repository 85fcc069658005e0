"""`/metrics/prometheus`, and the answer of `/metrics` to a program that wants such a format."""

from flask import Response, current_app, request

from flask10x.web.page import Routes
from flask10x.web.prometheus import formats
from flask10x.web.specification import state as specified

blueprint = Routes("prometheus", __name__, operations=specified.prometheus)


@blueprint.get("/metrics/prometheus", without_store=True)
def numbers() -> Response:
    """Text, or OpenMetrics where it is wanted as much; always 200, whatever can't be read."""
    found = answer(formats.text_format(request.accept_mimetypes))
    found.vary.add("Accept")
    return found


def answer(text_format: formats.TextFormat) -> Response:
    """All numbers in this format."""
    # Most services are never scraped, and a Pi does without some megabytes gladly.
    from prometheus_client import exposition  # noqa: PLC0415

    from flask10x.web.prometheus.collector import ScrapedNumbers  # noqa: PLC0415

    scraped = ScrapedNumbers(current_app.extensions["flask10x"])
    encode, content_type = exposition.choose_encoder(formats.MEDIA_TYPES[text_format])
    return Response(encode(scraped), content_type=content_type)
