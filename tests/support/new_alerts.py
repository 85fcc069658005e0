"""Rules for tests."""

from flask10x.config.alerts.rules import Threshold


def threshold_of(name: str = "stuffy") -> Threshold:
    """Stale air in the bedroom."""
    return Threshold(name=name, station="data2", column="co2", above=1500, clear=1200, for_sec=600)
