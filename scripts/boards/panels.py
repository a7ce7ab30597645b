"""Which panels do the boards have? One row is one panel of the workbook and of the Grafana dashboard."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from telemetry import names


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Measure(StrEnum):
    """What a panel shows of a metric, for each interval of the time axis."""

    TOTAL = "total"
    """The sum of a counter's increments."""
    COUNT = "count"
    """The number of values in a histogram."""
    MEAN = "mean"
    """The mean of a histogram's values."""
    TOP = "top"
    """The 99th percentile of a histogram, or the highest value where the telemetry has no buckets; a gauge's value."""
    SHARE = "share"
    """The part of a counter's increments that matches `share_of`, from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric as the app records it; `unit` is the unit of the instrument."""

    name: str
    kind: Kind
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A diagram: a measure of a metric, one line for each value of the attribute `by`, where attributes are equal."""

    group: str
    title: str
    metric: Metric
    measure: Measure
    by: str = ""
    where: Mapping[str, str] = field(default_factory=dict[str, str])
    share_of: tuple[str, str] | None = None


def counter(name: str, unit: str) -> Metric:
    return Metric(name=name, kind=Kind.COUNTER, unit=unit)


def gauge(name: str, unit: str) -> Metric:
    return Metric(name=name, kind=Kind.GAUGE, unit=unit)


def seconds(name: str) -> Metric:
    return Metric(name=name, kind=Kind.HISTOGRAM, unit="s")


def share(name: str) -> Metric:
    return Metric(name=name, kind=Kind.HISTOGRAM, unit="1")


COST: Final = counter(names.COST_METRIC, "{USD}")
TURNS: Final = counter(names.TURNS, "{turn}")
COLD_STARTS: Final = seconds(names.COLD_START_DURATION)
WAITS: Final = seconds(names.WAIT_DURATION)

MONEY: Final = "Money"
STARTS: Final = "Starts"
LATENCY: Final = "Latency"
ERRORS: Final = "Errors"
DURABILITY: Final = "Durability"


def money() -> tuple[Panel, ...]:
    final, provisional = {names.COST_FINAL: "true"}, {names.COST_FINAL: "false"}
    every: dict[str, str] = {}
    input_tokens, output_tokens = (
        counter(name, "{token}") for name in (names.CALL_INPUT_TOKENS, names.CALL_OUTPUT_TOKENS)
    )
    unused = counter(names.UNUSED_WARM_UPS, "{session}")
    rows = (
        ("Dollars by cause, final", COST, Measure.TOTAL, names.COST_CAUSE, final),
        ("Dollars by cause, provisional", COST, Measure.TOTAL, names.COST_CAUSE, provisional),
        ("Dollars by tenant, final", COST, Measure.TOTAL, names.TENANT, final),
        ("Share of budgets taken", share(names.BUDGET_USED), Measure.TOP, names.BUDGET_SCOPE, every),
        ("Share of the day's forecast spent", share(names.FORECAST_USED), Measure.TOP, names.TENANT, every),
        ("Warm-ups that served no turn", unused, Measure.TOTAL, names.BACKEND, every),
        ("Input tokens", input_tokens, Measure.TOTAL, names.BACKEND, every),
        ("Output tokens", output_tokens, Measure.TOTAL, names.BACKEND, every),
    )
    return tuple(
        Panel(group=MONEY, title=title, metric=metric, measure=measure, by=by, where=where)
        for title, metric, measure, by, where in rows
    )


def panels_of(group: str, *rows: tuple[str, Metric, Measure, str]) -> tuple[Panel, ...]:
    return tuple(
        Panel(group=group, title=title, metric=metric, measure=measure, by=by) for title, metric, measure, by in rows
    )


def errors() -> tuple[Panel, ...]:
    failed = Panel(
        group=ERRORS,
        title="Share of turns that failed",
        metric=TURNS,
        measure=Measure.SHARE,
        share_of=(names.TURN_STATUS, "failed"),
    )
    return (
        failed,
        *panels_of(
            ERRORS,
            ("Turns by reason", TURNS, Measure.TOTAL, names.TURN_REASON),
            ("Refused requests by cause", counter(names.REFUSALS, "{request}"), Measure.TOTAL, names.REFUSAL_CAUSE),
            ("Calls of models by error", seconds(names.CALL_DURATION), Measure.COUNT, names.ERROR_TYPE),
            ("Calls of tools by outcome", seconds(names.TOOL_DURATION), Measure.COUNT, names.TOOL_OUTCOME),
        ),
    )


PANELS: Final[tuple[Panel, ...]] = (
    *money(),
    *panels_of(
        STARTS,
        ("Duration of cold starts", COLD_STARTS, Measure.TOP, names.BACKEND),
        ("Cold starts", COLD_STARTS, Measure.COUNT, names.BACKEND),
        ("Warm-ups by outcome", counter(names.WAKES, "{wake}"), Measure.TOTAL, names.WAKE_OUTCOME),
        ("Waits of turns by reason", WAITS, Measure.COUNT, names.WAIT_REASON),
        ("Duration of waits by reason", WAITS, Measure.TOP, names.WAIT_REASON),
    ),
    *panels_of(
        LATENCY,
        ("Duration of turns", seconds(names.TURN_DURATION), Measure.TOP, names.TURN_STATUS),
        ("Mean duration of turns", seconds(names.TURN_DURATION), Measure.MEAN, names.TURN_STATUS),
        ("Time to the first text", seconds(names.CALL_FIRST_CHUNK), Measure.TOP, names.BACKEND),
        ("Mean time between chunks", seconds(names.CALL_CHUNK_TIME), Measure.MEAN, names.BACKEND),
        ("Duration of calls", seconds(names.CALL_DURATION), Measure.TOP, names.BACKEND),
        ("Duration of tools", seconds(names.TOOL_DURATION), Measure.TOP, names.TOOL_NAME),
    ),
    *errors(),
    *panels_of(
        DURABILITY,
        ("Settled turns by status", TURNS, Measure.TOTAL, names.TURN_STATUS),
        ("Unfinished turns by state", gauge(names.UNFINISHED_TURNS, "{turn}"), Measure.TOP, names.TURN_STATE),
        ("Age of the oldest unfinished turn", gauge(names.OLDEST_TURN, "s"), Measure.TOP, ""),
        ("Duration of the sweeper", seconds(names.SWEEPER_DURATION), Measure.TOP, ""),
        ("Repairs of the sweeper", counter(names.SWEEPER_FINDINGS, "{finding}"), Measure.TOTAL, names.FINDING),
        ("Webhook tries by result", counter(names.WEBHOOK_TRIES, "{try}"), Measure.TOTAL, names.WEBHOOK_VERDICT),
        ("Pending webhooks", gauge(names.PENDING_WEBHOOKS, "{delivery}"), Measure.TOP, ""),
        ("Request units of the store", counter(names.REQUEST_UNITS, "{request_unit}"), Measure.TOTAL, ""),
        ("Throttled replies of the store", counter(names.THROTTLES, "{reply}"), Measure.TOTAL, ""),
        ("CPU time until the app was built", seconds(names.IMPORT_TIME), Measure.TOP, ""),
    ),
)
