"""What has a test's process measured so far?"""

from collections.abc import Mapping
from dataclasses import dataclass

from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint

type Told = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A data point: a number, or the count and the sum of a histogram."""

    told: Told
    count: float
    total: float


def points(measured: InMemoryMetricReader, name: str) -> list[Point]:
    found = measured.get_metrics_data()
    return [
        Point(told=dict(point.attributes or {}), count=point.value, total=point.value)
        if isinstance(point, NumberDataPoint)
        else Point(told=dict(point.attributes or {}), count=point.count, total=point.sum)
        for group in (found.resource_metrics if found else ())
        for scope in group.scope_metrics
        for metric in scope.metrics
        if metric.name == name
        for point in metric.data.data_points
    ]


def total(measured: InMemoryMetricReader, name: str, **told: object) -> float:
    """Return the sum of a metric over the points whose attributes match; `__` in a name is a dot."""
    wanted = {key.replace("__", "."): value for key, value in told.items()}
    return sum(each.total for each in points(measured, name) if wanted.items() <= each.told.items())
