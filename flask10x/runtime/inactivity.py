"""For how long a station has sent nothing, and whether that is silence, as the gauges know it."""

from flask10x.config.settings import Settings
from flask10x.history.silence import Signs, SilenceVerdict, silence, silent_after_sec
from flask10x.readings.stations import Station
from flask10x.readings.times import SECOND_MS
from flask10x.system.clock import monotonic_ms, now_ms
from flask10x.system.gauges import Gauges


def inactive_sec(last_ms: int, received_at: int | None) -> int | None:
    """Whole seconds since a station sent; None when it never did.

    `last_ms` is of CLOCK_MONOTONIC, 0 when it has sent nothing since the service started; then
    `received_at` counts, the wall clock's epoch milliseconds of its newest reading.
    """
    age_ms = _age_ms(last_ms, received_at)
    return None if age_ms is None else max(0, age_ms) // SECOND_MS


def silence_of(
    station: Station,
    received_at: int | None,
    settings: Settings,
    gauges: Gauges,
    *,
    is_alerted: bool,
) -> SilenceVerdict:
    """The verdict on the station now.

    `received_at` is when the database has heard of it last, in epoch milliseconds; `is_alerted`
    whether there is an alert of its silence.
    """
    endpoint, last_ms = station.endpoint, gauges.last_received_ms(station.endpoint)
    awaited_ms = None if last_ms else monotonic_ms() - gauges.awaited_since_ms(endpoint)
    signs = Signs(
        age_ms=_age_ms(last_ms, received_at),
        awaited_ms=awaited_ms,
        after_sec=silent_after_sec(settings, station, gauges.learned_sec(endpoint)),
        is_alerted=is_alerted,
    )
    return silence(signs)


def _age_ms(last_ms: int, received_at: int | None) -> int | None:
    """Below 0 where the wall clock stands before the reading."""
    if last_ms:
        return monotonic_ms() - last_ms
    return None if received_at is None else now_ms() - received_at
