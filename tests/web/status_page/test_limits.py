"""Which rule a station goes by."""

from dataclasses import replace

from flask10x.config.alerts.rules import Silence
from flask10x.config.settings import Settings
from flask10x.web.status_page.limits import silence_of


def test_the_rule_of_silence_that_watches_the_station(settings: Settings) -> None:
    bedroom = Silence(name="bedroom", stations=("data2",), after_sec=60)
    others = Silence(name="others", stations=("data", "data3"), after_sec=7200)
    settings = replace(settings, alerts=replace(settings.alerts, rules=(bedroom, others)))
    assert silence_of(settings, "data2") is bedroom
    assert silence_of(settings, "data3") is others
    assert silence_of(settings, "data4") == Silence()
