"""What is counted and measured of backends, turns, budgets and the sweeper?"""

from collections.abc import Callable, Sequence
from enum import StrEnum

from opentelemetry import metrics

from domain.fleet.catalog import Backend
from telemetry import names
from telemetry.buffers import Attributes, measurements

type Record = Callable[[float, Attributes], None]

STARTS_S = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 300, 420, 600)
"""The buckets of starts and waits: the conventions' end at 82 s, where a large model's start may begin."""

IMPORTS_S = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)

meter = metrics.get_meter(names.SERVICE)


def histogram(name: str, *, unit: str, description: str = "", buckets: Sequence[float] | None = None) -> Record:
    """Return what records a value in a new histogram."""
    made = meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=buckets)
    return lambda amount, attributes: measurements.record(made.record, amount, attributes)


def counter(name: str, *, unit: str, description: str = "") -> Record:
    """Return what adds to a new counter."""
    made = meter.create_counter(name, unit, description)
    return lambda amount, attributes: measurements.record(made.add, amount, attributes)


def gauge(name: str, *, unit: str, description: str = "") -> Record:
    """Return what sets a new gauge."""
    made = meter.create_gauge(name, unit, description)
    return lambda amount, attributes: measurements.record(made.set, amount, attributes)


cold_starts = histogram(
    names.COLD_START_DURATION,
    unit="s",
    description="From the request that woke a backend until it let one in",
    buckets=STARTS_S,
)
warm_ups = counter(names.WAKES, unit="{wake}", description="Wakes, by what became of them")
waits = histogram(
    names.WAIT_DURATION, unit="s", description="How long turns have waited for a backend", buckets=STARTS_S
)

request_units = counter(names.REQUEST_UNITS, unit="{request_unit}", description="Request units of Azure Cosmos DB")
throttles = counter(names.THROTTLES, unit="{reply}", description="Replies of the store with status 429")
import_time = histogram(
    names.IMPORT_TIME, unit="s", description="CPU time of the process until the app was built", buckets=IMPORTS_S
)
webhook_tries = counter(names.WEBHOOK_TRIES, unit="{try}", description="Tries to deliver a webhook, by their result")


class WarmUpOutcome(StrEnum):
    """What became of a wake."""

    UP = "up"
    """It was answered: the backend is up, or was."""
    HELD = "held"
    """It was held and dropped; the start continues."""
    STARTING = "starting"
    """The service gave it up while it starts."""
    REFUSED = "refused"
    UNPROVEN = "unproven"
    """It was not sent: nothing proved who asks."""
    UNCOVERED = "uncovered"
    """It was not sent: no budget covers it."""


def count_warm_up(backend: Backend, outcome: WarmUpOutcome) -> None:
    warm_ups(1, {**backend_attributes(backend), names.WAKE_OUTCOME: outcome.value})


def count_cold_start(backend: Backend, seconds: float) -> None:
    cold_starts(seconds, backend_attributes(backend))


def count_wait(backend: str, seconds: float, *, reason: str) -> None:
    """Count a turn's wait, which has ended; `backend` is empty where every one of them was out for a while."""
    named = {names.BACKEND: backend} if backend else {}
    waits(seconds, {**named, names.WAIT_REASON: reason})


def count_request_units(units: float) -> None:
    request_units(units, {})


def count_throttle() -> None:
    throttles(1, {})


def measure_import(cpu_seconds: float) -> None:
    import_time(cpu_seconds, {})


def count_webhook_try(endpoint: str, verdict: str) -> None:
    webhook_tries(1, {names.WEBHOOK: endpoint, names.WEBHOOK_VERDICT: verdict})


def backend_attributes(backend: Backend) -> dict[str, str | int | float]:
    return {names.PROVIDER: backend.system, names.REQUEST_MODEL: backend.model, names.BACKEND: backend.name}
