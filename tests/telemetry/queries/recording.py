"""What does the app record when everything that is measured happens once?"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from opentelemetry.sdk.metrics.export import (
    Gauge,
    Histogram,
    HistogramDataPoint,
    InMemoryMetricReader,
    Metric,
    NumberDataPoint,
)

from domain.money.costing import BillLine
from domain.money.settlement import Settlement
from scripts.boards.panels import Kind
from telemetry import metrics, refusals, turn_metrics
from tests.fakes.worlds import backend
from tests.telemetry.conventions.test_conventions import turns_of_every_kind

type Datum = NumberDataPoint | HistogramDataPoint

NOTHING = Settlement(cost=Decimal(0), records=(), reservation=None, is_first=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A metric of the process with its points."""

    name: str
    kind: Kind
    unit: str
    points: tuple[Datum, ...]

    @property
    def attributes(self) -> frozenset[str]:
        return frozenset(name for point in self.points for name in point.attributes or {})


def recorded(measured: InMemoryMetricReader) -> Iterator[Recorded]:
    found = measured.get_metrics_data()
    for group in found.resource_metrics if found else ():
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                points: tuple[Any, ...] = tuple(metric.data.data_points)
                yield Recorded(name=metric.name, kind=kind_of(metric), unit=metric.unit or "", points=points)


def kind_of(metric: Metric) -> Kind:
    if isinstance(metric.data, Histogram):
        return Kind.HISTOGRAM
    return Kind.GAUGE if isinstance(metric.data, Gauge) else Kind.COUNTER


async def record_everything() -> None:
    """Run turns with retries and tools, then report by the product's own functions what else is measured."""
    await turns_of_every_kind()
    turn_metrics.named_tenants.allow(frozenset({"tenant-7"}))
    try:
        report_money()
    finally:
        turn_metrics.named_tenants.allow(frozenset())
    report_starts()
    report_durability()


def report_money() -> None:
    turn_metrics.count_turn("tenant-7", status="failed", reason="server_error", seconds=3.0, settlement=NOTHING)
    turn_metrics.count_cost({BillLine.GPU: Decimal("0.5")}, tenant="tenant-7", final=False)
    turn_metrics.count_session_cost("tenant-7", {BillLine.TAIL: Decimal("0.25")}, served=True)
    turn_metrics.count_session_cost("tenant-7", {BillLine.TAIL: Decimal("0.25")}, served=False)
    turn_metrics.measure_budget("tenant-7", "tenant_day", 0.9)
    turn_metrics.measure_forecast("tenant-7", 1.7)
    turn_metrics.count_unused_warm_up("gpu")


def report_starts() -> None:
    gpu = backend("gpu")
    metrics.count_cold_start(gpu, 310.0)
    metrics.count_wait("gpu", 42.0, reason="start")
    for outcome in metrics.WarmUpOutcome:
        metrics.count_warm_up(gpu, outcome)


def report_durability() -> None:
    turn_metrics.report_unfinished(running=2, queued=1, waiting=1, oldest_s=1000.0)
    turn_metrics.report_pending_webhooks(3)
    turn_metrics.count_finding("lost", 1)
    turn_metrics.measure_sweep(0.2)
    metrics.count_webhook_try("hook", "given_up")
    metrics.count_request_units(12.5)
    metrics.count_throttle()
    metrics.measure_import(0.9)
    refusals.report_refusal("http_responses_create", request_id="req_1", status=429, cause="rate_limit_exceeded")
