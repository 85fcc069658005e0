"""Rule `database`: it is damaged or was taken away, or readings can't be stored for some time."""

from collections.abc import Callable, Iterable, Sequence

from flask10x.alerts.alert import Active, Moment, Verdict
from flask10x.config.alerts.rules import DatabaseTrouble
from flask10x.database.damage import Damage
from flask10x.runtime.alerting.watches.lasting import Lasting


class DatabaseObstacles:
    """Is firing at once when there is damage, else when something has hindered for `for_sec`.

    It is over when nothing has hindered for as long; a damage is never over while the service runs.
    """

    def __init__(
        self, rule: DatabaseTrouble, damage: Damage, known: Callable[[], Sequence[str]]
    ) -> None:
        """`known` gives what hinders storing now, without looking at the file."""
        self._rule = rule
        self._damage = damage
        self._known = known
        self._lasting = Lasting(rule.for_sec)

    def step(self, now: Moment, active: Active) -> Iterable[Verdict]:
        """As `Watch`; a look into memory."""
        reasons = self._known()
        is_firing = self._lasting.step(bool(reasons), now, (self._rule.name, "") in active)
        yield Verdict(
            rule=self._rule.name,
            kind="database",
            subject="",
            is_firing=is_firing or self._damage.known,
            since_ms=self._lasting.since_ms,
            facts={"reason": reasons[0] if reasons else None},
        )
