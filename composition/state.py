"""Which objects remember something, over the one store?"""

from dataclasses import dataclass

from composition.parts import Configuration, Ports
from state.fleet.backend_state import BackendStates
from state.fleet.rental_spend import RentalSpend
from state.money.gpu_session_billing import GpuSessionBilling
from state.money.gpu_sessions import GpuSessions
from state.money.ledger import Ledger
from state.money.usage_rows import UsageRows
from state.rate_limits import RateLimiter
from state.retention.deletion import Retention
from state.turns.responses import TurnStore
from state.turns.stored_completions import StoredCompletions
from state.webhook_outbox import WebhookOutbox


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the product remembers, over one store."""

    turns: TurnStore
    ledger: Ledger
    gpu_sessions: GpuSessions
    gpu_session_billing: GpuSessionBilling
    backend_states: BackendStates
    rental_spend: RentalSpend
    rate_limiter: RateLimiter
    retention: Retention
    stored_completions: StoredCompletions
    usage_rows: UsageRows
    webhook_outbox: WebhookOutbox


def compose_state(configuration: Configuration, ports: Ports) -> State:
    store, clock = ports.store, ports.clock
    turns = TurnStore(store, clock, configuration.endpoints)
    ledger = Ledger(store, clock, configuration.budgets)
    return State(
        turns=turns,
        ledger=ledger,
        gpu_sessions=GpuSessions(store=store, ledger=ledger, clock=clock),
        gpu_session_billing=GpuSessionBilling(
            store=store, ledger=ledger, fleet=configuration.fleet, prices=configuration.prices, clock=clock
        ),
        backend_states=BackendStates(store, clock),
        rental_spend=RentalSpend(store, clock),
        rate_limiter=RateLimiter(store=store, turns=turns, clock=clock, limits=configuration.settings.limits),
        retention=Retention(store, turns, clock),
        stored_completions=StoredCompletions(store, turns),
        usage_rows=UsageRows(store),
        webhook_outbox=WebhookOutbox(store, clock),
    )
