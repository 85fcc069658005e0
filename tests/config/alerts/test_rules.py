"""Which rule a station goes by."""

from flask10x.config.alerts.rules import Alerts, Disk, Silence


def test_the_rule_of_silence_that_watches_the_station() -> None:
    bedroom = Silence(name="bedroom", stations=("data2",), after_sec=60)
    others = Silence(name="others", stations=("data", "data3"), after_sec=7200)
    alerts = Alerts(rules=(Disk(), bedroom, others))
    assert alerts.silence_of("data2") is bedroom
    assert alerts.silence_of("data3") is others
    assert alerts.silence_of("data4") == Silence()
    of_all = Silence(name="all", after_sec=300)
    assert Alerts(rules=(of_all, bedroom)).silence_of("data4") is of_all
    assert Alerts(rules=(of_all, bedroom)).silence_of("data2") is bedroom
    # The first decides what pages say, and each is watched.
    weekly = Silence(name="weekly", stations=("data2",))
    assert Alerts(rules=(of_all, bedroom, weekly)).silence_of("data2") is bedroom
    assert Alerts(rules=(of_all, bedroom, weekly)).silences_of("data2") == (bedroom, weekly)
    # Where it is off its words still have to mean something.
    assert Alerts(rules=()).silence_of("data") == Silence()
