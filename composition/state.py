"""Which objects remember something, over the one store?"""

from collections.abc import Mapping
from copy import replace
from decimal import Decimal

from msgspec import Struct

from activities.tools.caller_grants import CallerGrants
from clients.sealing import Seal
from clients.storage.port import DocumentStore
from clients.storage.sparing.store import SparingStore
from composition.parts import Configuration, Ports
from domain.money.budgets import Budgets, BudgetScope
from domain.money.usage import pipeline_origin
from domain.pipelines.pipeline import Pipeline
from state.approvals.index import ApprovalIndex
from state.approvals.reservations import ReservationsAside
from state.approvals.waits import ApprovalWaits
from state.batches.batch_store import BatchStore
from state.batches.running_lines import RunningLines
from state.files.file_store import FileStore
from state.files.places import FilePlaces
from state.fleet.answer_lengths import LearnedAnswerLengths
from state.fleet.backend_state import BackendStates
from state.fleet.count_leases import CountLeases
from state.fleet.demand_log import DemandLog
from state.fleet.rental_rules import RentalRules
from state.fleet.rental_spend import RentalSpend
from state.fleet_status import FleetStatus
from state.money.budget_status import BudgetStatus
from state.money.economics_runs import EconomicsRuns
from state.money.gpu_session_billing import GpuSessionBilling
from state.money.gpu_sessions import GpuSessions
from state.money.ledger import Ledger
from state.money.recent_sessions import RecentSessions
from state.money.session_outlooks import SessionOutlooks
from state.money.session_sharers import SharerReader
from state.money.usage_rows import UsageRows
from state.rate_limits import RateLimiter
from state.retention.deletion import Retention
from state.tools.directory import ToolDirectory
from state.tools.durations import LearnedToolDurations
from state.tools.grants import Grants
from state.tools.pins import ToolPins
from state.tools.turn_pauses import TurnPauses
from state.tools.whole_results import WholeResults
from state.turn_list import TurnList
from state.turns.cached_answers import CachedAnswers
from state.turns.responses import TurnStore
from state.turns.stored_completions import StoredCompletions
from state.turns.tool_calls import ToolCalls
from state.webhook_outbox import WebhookOutbox


class State(Struct, frozen=True, kw_only=True):
    """What the product remembers, over one store."""

    store: SparingStore
    turns: TurnStore
    cached_answers: CachedAnswers
    tool_calls: ToolCalls
    whole_results: WholeResults
    grants: CallerGrants
    tool_directory: ToolDirectory
    tool_durations: LearnedToolDurations
    gpu_pauses: TurnPauses
    approval_waits: ApprovalWaits
    reservations_aside: ReservationsAside
    ledger: Ledger
    gpu_sessions: GpuSessions
    gpu_session_billing: GpuSessionBilling
    backend_states: BackendStates
    rental_spend: RentalSpend
    rental_rules: RentalRules
    count_leases: CountLeases
    demand_log: DemandLog
    answer_lengths: LearnedAnswerLengths
    rate_limiter: RateLimiter
    files: FileStore
    batches: BatchStore
    running_lines: RunningLines
    retention: Retention
    stored_completions: StoredCompletions
    usage_rows: UsageRows
    budget_status: BudgetStatus
    economics_runs: EconomicsRuns
    session_outlooks: SessionOutlooks
    turn_list: TurnList
    fleet_status: FleetStatus
    webhook_outbox: WebhookOutbox


def compose_grants(configuration: Configuration, ports: Ports, store: DocumentStore) -> CallerGrants:
    key = configuration.settings.sealing_key
    grants = Grants(store, Seal(key), ports.clock) if key else None
    return CallerGrants(grants=grants, exchange=ports.token_exchange, servers=configuration.tools)


def budgets_with_pipelines(configuration: Configuration) -> Budgets:
    known = configuration.pipelines.known.values()
    return replace(configuration.budgets, origins={pipeline_origin(each.name): budgets_of(each) for each in known})


def budgets_of(pipeline: Pipeline) -> Mapping[BudgetScope, Decimal]:
    known = {BudgetScope.PIPELINE_DAY: pipeline.day_budget, BudgetScope.PIPELINE_MONTH: pipeline.month_budget}
    return {scope: amount for scope, amount in known.items() if amount is not None}


def compose_state(configuration: Configuration, ports: Ports) -> State:
    clock = ports.clock
    store = SparingStore(ports.store, clock)
    turns = TurnStore(store, clock, configuration.endpoints)
    places = FilePlaces(store, ports.large_files, inside=configuration.settings.file_limit)
    retention, batches = Retention(store, turns, clock, places), BatchStore(store, clock)
    ledger = Ledger(store, clock, budgets_with_pipelines(configuration))
    states = BackendStates(store, clock)
    rental_spend, rental_rules = RentalSpend(store, clock), RentalRules(store, clock)
    sessions = GpuSessions(store=store, ledger=ledger, clock=clock)
    return State(
        store=store,
        turns=turns,
        approval_waits=compose_waits(configuration, ports, turns),
        reservations_aside=ReservationsAside(store, clock),
        cached_answers=CachedAnswers(turns, clock),
        tool_calls=ToolCalls(store, clock),
        whole_results=WholeResults(store),
        grants=compose_grants(configuration, ports, store),
        tool_directory=ToolDirectory(ports.tool_connector, ToolPins(store, clock)),
        tool_durations=LearnedToolDurations(store, clock),
        gpu_pauses=TurnPauses(store),
        ledger=ledger,
        gpu_sessions=sessions,
        gpu_session_billing=GpuSessionBilling(
            store=store, ledger=ledger, fleet=configuration.fleet, prices=configuration.prices, clock=clock
        ),
        backend_states=states,
        rental_spend=rental_spend,
        rental_rules=rental_rules,
        count_leases=CountLeases(store, clock),
        demand_log=DemandLog(store, clock, rental_spend.counters),
        answer_lengths=LearnedAnswerLengths(store, clock),
        rate_limiter=compose_rate_limiter(configuration, turns, ledger),
        files=retention.files,
        batches=batches,
        running_lines=RunningLines(turns, batches.lines),
        retention=retention,
        stored_completions=StoredCompletions(store, turns),
        usage_rows=UsageRows(store),
        budget_status=BudgetStatus(store, clock, ledger.budget_counters),
        economics_runs=EconomicsRuns(store, clock),
        session_outlooks=SessionOutlooks(store=store, sessions=sessions, fleet=configuration.fleet, clock=clock),
        turn_list=TurnList(store, turns, ledger),
        fleet_status=compose_fleet_status(configuration, ports, states, rental_spend, rental_rules),
        webhook_outbox=WebhookOutbox(store, clock),
    )


def compose_rate_limiter(configuration: Configuration, turns: TurnStore, ledger: Ledger) -> RateLimiter:
    limits, changes = configuration.settings.limits, ledger.budget_counters.changes
    return RateLimiter(store=ledger.store, turns=turns, clock=ledger.clock, limits=limits, changes=changes)


def compose_waits(configuration: Configuration, ports: Ports, turns: TurnStore) -> ApprovalWaits:
    is_shared = any(each.approvers for each in configuration.tools.known.values())
    index = ApprovalIndex(ports.store, ports.clock, is_shared=is_shared)
    return ApprovalWaits(turns, index, configuration.tools, ports.clock)


def compose_fleet_status(
    configuration: Configuration, ports: Ports, states: BackendStates, rental_spend: RentalSpend, rules: RentalRules
) -> FleetStatus:
    return FleetStatus(
        states=states,
        rental_spend=rental_spend,
        rules=rules,
        recent_sessions=RecentSessions(ports.store, ports.clock),
        sharers=SharerReader(ports.store, ports.clock),
        fleet=configuration.fleet,
        clock=ports.clock,
    )
