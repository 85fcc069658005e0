"""How a family of numbers is made; names and units as https://prometheus.io/docs/practices/naming/.

Everything here is loaded with the first scrape: prometheus_client takes some megabytes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from flask10x.system.counting.shared_histogram import Histogram

PREFIX = "flask10x_"


def gauge(name: str, text: str, value: float) -> Metric:
    """One number that rises and falls."""
    return GaugeMetricFamily(PREFIX + name, text, value=value)


def gauge_of_each(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """One for each value of a label."""
    return gauges(name, text, (label,), {(given,): value for given, value in values.items()})


def gauges(
    name: str, text: str, labels: Sequence[str], values: Mapping[tuple[str, ...], float]
) -> Metric:
    """One for each set of values of several labels, in the order of their names."""
    family = GaugeMetricFamily(PREFIX + name, text, labels=labels)
    for given, value in values.items():
        family.add_metric(given, value)
    return family


def counter(name: str, text: str, value: float) -> Metric:
    """One number that never falls while the service runs; its name gets `_total` at its end."""
    return CounterMetricFamily(PREFIX + name, text, value=value)


def counter_of_each(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    """One for each value of a label."""
    family = CounterMetricFamily(PREFIX + name, text, labels=[label])
    for given, value in values.items():
        family.add_metric([given], value)
    return family


def histogram(name: str, text: str, counted: Histogram, unit: int = 1) -> Metric:
    """Bounds and sum are divided by `unit`."""
    bounds = [str(bound / unit) for bound in counted.bounds]
    buckets = [*zip([*bounds, "+Inf"], map(float, counted.at_most), strict=True)]
    return HistogramMetricFamily(PREFIX + name, text, buckets=buckets, sum_value=counted.sum / unit)


def of_host(host: str, families: Iterable[Metric]) -> Iterator[Metric]:
    """The same, with the host as a label of each number where there may be several hosts."""
    for family in families:
        if host:
            family.samples = [
                sample._replace(labels={**sample.labels, "host": host}) for sample in family.samples
            ]
        yield family
