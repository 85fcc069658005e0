"""Which Accept headers get JSON, text or OpenMetrics."""

import pytest
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from flask10x.web.prometheus import format_of, text_format

OPENMETRICS = "application/openmetrics-text"
# What programs send: Prometheus 2.53 and 3, VictoriaMetrics' vmagent, Firefox, axios, curl.
PROMETHEUS_2 = (
    f"{OPENMETRICS};version=1.0.0;q=0.5,{OPENMETRICS};version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3 = (
    f"{OPENMETRICS};version=1.0.0;escaping=allow-utf-8;q=0.6,{OPENMETRICS};version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,/;q=0.2"
)
VMAGENT = "text/plain;version=0.0.4;q=1,*/*;q=0.1"
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
AXIOS = "application/json, text/plain, */*"


def parsed(header: str) -> MIMEAccept:
    return parse_accept_header(header, MIMEAccept)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", "json"),
        ("*/*", "json"),
        (FIREFOX, "json"),
        (AXIOS, "json"),
        ("application/json", "json"),
        ("text/*", "json"),
        ("text/plain;q=0", "json"),
        ("application/*, text/plain;q=0.9", "json"),
        (PROMETHEUS_2, "openmetrics"),
        (PROMETHEUS_3, "openmetrics"),
        (VMAGENT, "text"),
        ("text/plain", "text"),
        ("Text/Plain; version=0.0.4", "text"),
        (f"{OPENMETRICS}, text/plain", "openmetrics"),
        (f"{OPENMETRICS};q=0.1, text/plain;q=0.2", "text"),
        (f"{OPENMETRICS};q=0.1, application/json;q=0.2", "json"),
    ],
)
def test_metrics_stay_json_unless_a_format_of_prometheus_is_wanted_more(
    header: str, expected: str
) -> None:
    assert format_of(parsed(header)) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", "text"),
        ("*/*", "text"),
        (FIREFOX, "text"),
        ("application/json", "text"),
        (f"{OPENMETRICS};q=0", "text"),
        (VMAGENT, "text"),
        (PROMETHEUS_3, "openmetrics"),
        (f"{OPENMETRICS};q=0.1, text/plain;q=0.2", "text"),
    ],
)
def test_the_route_for_prometheus_never_answers_json(header: str, expected: str) -> None:
    assert text_format(parsed(header)) == expected
