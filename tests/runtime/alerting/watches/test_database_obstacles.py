"""What keeps readings from being stored."""

from flask10x.config.alerts.rules import DatabaseTrouble
from flask10x.database.damage import Damage
from flask10x.runtime.alerting.service_watches import database_obstacles
from flask10x.system.gauges import Gauges
from tests.runtime.alerting.watches.home import Clock, Noted


def test_trouble_of_a_minute_is_an_alert_and_a_minute_without_ends_it() -> None:
    clock, noted, reasons = Clock(), Noted(), list[str]()
    watch = database_obstacles(DatabaseTrouble(for_sec=60), Damage(Gauges(())), lambda: reasons)
    noted.step(watch, clock.moment())
    reasons[:] = ["readings cannot be stored: disk full"]
    assert noted.step(watch, clock.moment(after_sec=1)) == []
    assert noted.step(watch, clock.moment(after_sec=59)) == []
    assert noted.step(watch, clock.moment(after_sec=1)) == ["+"]
    assert noted.last[""].facts == {"reason": "readings cannot be stored: disk full"}
    reasons.clear()
    assert noted.step(watch, clock.moment(after_sec=30)) == []
    reasons[:] = ["readings cannot be stored: disk full"]
    assert noted.step(watch, clock.moment(after_sec=1)) == []
    reasons.clear()
    assert noted.step(watch, clock.moment(after_sec=1)) == []
    assert noted.step(watch, clock.moment(after_sec=60)) == ["-"]


def test_damage_is_an_alert_at_once_and_stays() -> None:
    clock, noted = Clock(), Noted()
    damage = Damage(Gauges(()))
    watch = database_obstacles(DatabaseTrouble(), damage, lambda: [damage.obstacle])
    damage.report("page 5 is no page")
    assert noted.step(watch, clock.moment()) == ["+"]
    assert noted.last[""].facts == {"reason": "the database is damaged: page 5 is no page"}
    assert noted.step(watch, clock.moment(after_sec=1000)) == []
