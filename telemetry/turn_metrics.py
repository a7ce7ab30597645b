"""What is counted of turns, of their money and of what the sweeper finds?"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from domain.money.costing import BillLine
from domain.money.settlement import Settlement
from telemetry import names
from telemetry.buffers import Attributes
from telemetry.metrics import STARTS_S, counter, gauge, histogram

TURNS_S = (0.1, 0.25, 0.5, *STARTS_S, 900, 1800)
SHARES = (0.1, 0.25, 0.5, 0.75, 0.8, 0.9, 1.0, 1.25, 1.5, 2.0, 3.0)
"""The buckets of a share; those at 0.8, 1 and 1.5 are where alarms look."""

CAUSES: Final[Mapping[str, str]] = {
    BillLine.GPU: "running",
    BillLine.COLD: "start",
    BillLine.TAIL: "idle",
    BillLine.TOKENS: "tokens",
    BillLine.TOOLS: "tools",
    BillLine.STORE: "store",
    BillLine.FUNCTIONS: "functions",
    BillLine.HELD: "reserved",
}
"""What each line of a bill is called in metrics; `reserved` is the worst case of a call that never reported its end."""

UNUSED_WARM_UP: Final = "unused_warm_up"

turns = counter(names.TURNS, unit="{turn}", description="Settled turns, by status and reason")
turn_duration = histogram(names.TURN_DURATION, unit="s", description="From admission to settlement", buckets=TURNS_S)
agent_duration = histogram(
    names.AGENT_DURATION, unit="s", description="The same, by its standard name", buckets=TURNS_S
)
cost = counter(names.COST_METRIC, unit="{USD}", description="Dollars by cause; provisional until the session is closed")
budget_used = histogram(
    names.BUDGET_USED, unit="1", description="Share of a budget that is taken, at each admission", buckets=SHARES
)
forecast_used = histogram(
    names.FORECAST_USED, unit="1", description="Share of the day's forecast spent, at each settlement", buckets=SHARES
)
budget_alarms = counter(names.BUDGET_ALARMS, unit="{alarm}", description="Tenants above 150 % of their forecast")
unused_warm_ups = counter(names.UNUSED_WARM_UPS, unit="{session}", description="GPU sessions that served no turn")
unfinished_turns = gauge(names.UNFINISHED_TURNS, unit="{turn}", description="Turns that are not finished, by state")
oldest_turn = gauge(names.OLDEST_TURN, unit="s", description="Age of the oldest unfinished turn that does not wait")
pending_webhooks = gauge(names.PENDING_WEBHOOKS, unit="{delivery}", description="Webhook deliveries under way")
sweeper_findings = counter(names.SWEEPER_FINDINGS, unit="{finding}", description="What the sweeper repairs, by kind")
sweeper_duration = histogram(names.SWEEPER_DURATION, unit="s", description="One run of the sweeper", buckets=TURNS_S)


class NamedTenants:
    """The tenants whose name may be an attribute of metrics: every other one would be a time series of its own."""

    def __init__(self) -> None:
        self.allowed: frozenset[str] = frozenset()

    def allow(self, tenants: frozenset[str]) -> None:
        self.allowed = tenants

    def attributes(self, tenant: str) -> Attributes:
        return {names.TENANT: tenant} if tenant in self.allowed else {}


named_tenants = NamedTenants()


def count_turn(tenant: str, *, status: str, reason: str, seconds: float, settlement: Settlement) -> None:
    """Count a turn that this process has settled, and what it cost."""
    told = {names.TURN_STATUS: status, names.TURN_REASON: reason or "none", **named_tenants.attributes(tenant)}
    turns(1, told)
    turn_duration(seconds, {names.TURN_STATUS: status})
    agent_duration(seconds, {names.AGENT_NAME: names.SERVICE, **({names.ERROR_TYPE: reason} if reason else {})})
    count_settlement(tenant, settlement)


def count_settlement(tenant: str, settlement: Settlement) -> None:
    """Count a turn's dollars. A share of a GPU session is provisional: its exact amount is counted with the session."""
    for record in settlement.records:
        lines = record.charge.lines or {BillLine.HELD: record.charge.owed}
        count_cost(lines, tenant=tenant, final=not record.charge.shares)
    if settlement.reservation:
        overhead = settlement.reservation.overhead
        count_cost({BillLine.STORE: overhead.store}, tenant=tenant, final=True)
        count_cost({BillLine.FUNCTIONS: overhead.functions}, tenant=tenant, final=True)


def count_session_cost(tenant: str, lines: Mapping[str, Decimal], *, served: bool) -> None:
    """Count what a tenant pays of a closed GPU session, in dollars; `served` is False where no turn called it."""
    if served:
        count_cost(lines, tenant=tenant, final=True)
    else:
        add_cost(sum(lines.values(), Decimal(0)), UNUSED_WARM_UP, tenant=tenant, final=True)


def count_cost(lines: Mapping[str, Decimal], *, tenant: str, final: bool) -> None:
    for line, amount in lines.items():
        add_cost(amount, CAUSES[line], tenant=tenant, final=final)


def add_cost(amount: Decimal, cause: str, *, tenant: str, final: bool) -> None:
    if amount > 0:
        told = {names.COST_CAUSE: cause, names.COST_FINAL: final, **named_tenants.attributes(tenant)}
        cost(float(amount), told)


def measure_budget(tenant: str, scope: str, share: float) -> None:
    budget_used(share, {names.BUDGET_SCOPE: scope, **named_tenants.attributes(tenant)})


def measure_forecast(tenant: str, share: float) -> None:
    forecast_used(share, named_tenants.attributes(tenant))


def count_budget_alarm(tenant: str) -> None:
    budget_alarms(1, named_tenants.attributes(tenant))


def count_unused_warm_up(backend: str) -> None:
    unused_warm_ups(1, {names.BACKEND: backend})


def report_unfinished(*, running: int, queued: int, waiting: int, oldest_s: float) -> None:
    """Report the state of all turns, once a minute. Where there are more than 1,000, the youngest are not counted."""
    for state, number in (("running", running), ("queued", queued), ("waiting", waiting)):
        unfinished_turns(number, {names.TURN_STATE: state})
    oldest_turn(oldest_s, {})


def report_pending_webhooks(number: int) -> None:
    pending_webhooks(number, {})


def count_finding(kind: str, number: int) -> None:
    sweeper_findings(number, {names.FINDING: kind})


def measure_sweep(seconds: float) -> None:
    sweeper_duration(seconds, {})
