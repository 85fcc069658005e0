"""What is known of each station now: its newest reading, how old it is, whether the station is
silent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask10x.history.newest import OlderValue, missing_columns, newest_readings
from flask10x.history.pages import Row
from flask10x.history.silence import SilenceVerdict
from flask10x.history.view import View
from flask10x.readings.stations import Station
from flask10x.runtime.station_watch import silence_of
from flask10x.runtime.store import Store
from flask10x.web.alert_state import state


@dataclass(frozen=True, kw_only=True, slots=True)
class Latest:
    """What is known of a station now."""

    station: Station
    silence: SilenceVerdict
    row: Row | None
    """Its newest reading, which may be older than that: a late one, or the next one is not stored
    yet. None while it has none."""
    older: Mapping[str, OlderValue]
    """The newest value of each column that the newest reading lacks, where one is known."""
    derived: Mapping[str, float | None]
    """What is computed from the newest reading, by name; empty where there is none."""

    @property
    def missing(self) -> tuple[str, ...]:
        """The columns that the newest reading lacks."""
        return missing_columns(self.station, self.row)


def latest(
    view: View, store: Store, stations: Sequence[Station], *, raw: bool = False
) -> list[Latest]:
    """What is known of these stations, in their order; raises what reading raises.

    With `raw` the newest reading is as it was stored, also one that is hidden.
    """
    silent = state().current().silent
    return [
        Latest(
            station=station,
            silence=silence_of(
                station,
                view.last_received[station.endpoint],
                store.settings,
                store.gauges,
                is_alerted=station.endpoint in silent,
            ),
            row=newest.row,
            older=newest.older,
            derived=newest.derived,
        )
        for station, newest in zip(stations, newest_readings(view, stations, raw=raw), strict=True)
    ]
