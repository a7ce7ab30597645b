"""Which objects answer HTTP requests?"""

from pathlib import Path
from typing import Final

from activities.routing.warm_up import BackendWarmer
from api.approvals.decisions import ApprovalFunctions
from api.batches.functions import BatchFunctions
from api.endpoints.chat_completions import ChatCompletions
from api.endpoints.compaction import Compaction
from api.endpoints.console import Console, ConsoleSignIn
from api.endpoints.conversations import ConversationFunctions
from api.endpoints.erasure import OwnerFunctions
from api.endpoints.files import FileFunctions
from api.endpoints.health import Health
from api.endpoints.input_tokens import InputTokens
from api.endpoints.models import Models
from api.endpoints.reports.budgets import BudgetReports
from api.endpoints.reports.economics import EconomicsReports
from api.endpoints.reports.fleet import FleetReports
from api.endpoints.reports.investments import InvestmentReports
from api.endpoints.reports.limits import ConfiguredLimits, LimitFunctions
from api.endpoints.reports.route import RouteReports
from api.endpoints.reports.tools import ToolReports
from api.endpoints.reports.turns import TurnReports
from api.endpoints.reports.warm_ups import WarmUps
from api.endpoints.responses import Responses
from api.endpoints.stored_completions import StoredCompletionFunctions
from api.endpoints.usage import UsageReports
from api.http.disconnects import Cancellations
from api.http.request_body import BodyReader
from api.pipelines.functions import PipelineFunctions
from api.routes import HttpFunctions
from api.turns.caching.live_copies import LiveCopies
from api.turns.log_stream import LogStream
from api.turns.request_costs import RequestCosts
from api.turns.turn_gateway import TurnGateway
from api.uploads.form import LARGEST
from composition.batches import BatchSteps
from composition.parts import Configuration, Ports
from composition.pipelines import PipelineSteps
from composition.planning import Intake
from composition.state import State
from domain.files.allowance import FileAllowance
from domain.identity.access_tokens import SCOPE
from settings import ROOT, Settings

RELEASE: Final = "release.txt"


def compose_http(
    configuration: Configuration,
    ports: Ports,
    state: State,
    *,
    warmer: BackendWarmer,
    intake: Intake,
    steps: tuple[BatchSteps, PipelineSteps],
) -> HttpFunctions:
    turns, authenticator = state.turns, ports.authenticator
    gateway = compose_gateway(configuration, ports, state, intake)
    return HttpFunctions(
        clock=ports.clock,
        responses=Responses(gateway=gateway, turns=turns, retention=state.retention),
        approvals=compose_approvals(configuration, ports, state, gateway.bodies),
        route_reports=compose_route_reports(configuration, ports, state),
        input_tokens=InputTokens(gateway=gateway),
        compaction=Compaction(gateway=gateway, turns=state.turns),
        conversations=compose_conversations(ports, state, gateway),
        chat_completions=ChatCompletions(gateway=gateway, chats=state.stored_completions),
        stored_completions=StoredCompletionFunctions(
            authenticator=authenticator,
            chats=state.stored_completions,
            turns=turns,
            retention=state.retention,
            open_orchestrations=ports.open_orchestrations,
            bodies=gateway.bodies,
            limits=state.rate_limiter,
        ),
        files=compose_files(configuration, ports, state),
        batches=compose_batch_functions(ports, state, gateway.bodies, steps[0]),
        pipelines=compose_pipeline_functions(configuration, ports, state, gateway.bodies, steps[1]),
        models=Models(authenticator=authenticator, fleet=configuration.fleet),
        owners=compose_owners(ports, state),
        budgets=BudgetReports(authenticator=authenticator, status=state.budget_status, clock=ports.clock),
        economics=EconomicsReports(authenticator=authenticator, runs=state.economics_runs),
        limits=compose_limits(configuration, ports, state, gateway.bodies),
        fleet=FleetReports(authenticator=authenticator, status=state.fleet_status, usage=state.usage_rows),
        investments=InvestmentReports(
            authenticator=authenticator, status=state.fleet_status, demand_log=state.demand_log
        ),
        warm_ups=compose_warm_ups(configuration, ports, state, warmer),
        turns=TurnReports(authenticator=authenticator, turns=state.turn_list),
        tools=compose_tool_reports(configuration, ports, state),
        usage=compose_usage(configuration, ports, state),
        health=Health(store=ports.store, fleet=configuration.fleet, release=release_of(ROOT)),
        console=compose_console(configuration),
    )


def compose_console(configuration: Configuration) -> Console:
    sign_in = sign_in_of(configuration.settings)
    return Console(folder=ROOT / "console", sign_in=sign_in, overheads=configuration.overheads)


def compose_approvals(
    configuration: Configuration, ports: Ports, state: State, bodies: BodyReader
) -> ApprovalFunctions:
    return ApprovalFunctions(
        authenticator=ports.authenticator,
        limits=state.rate_limiter,
        bodies=bodies,
        turns=state.turns,
        waits=state.approval_waits,
        servers=configuration.tools,
        open_orchestrations=ports.open_orchestrations,
        clock=ports.clock,
    )


def compose_usage(configuration: Configuration, ports: Ports, state: State) -> UsageReports:
    return UsageReports(
        authenticator=ports.authenticator,
        rows=state.usage_rows,
        clock=ports.clock,
        known=frozenset({*configuration.fleet.backends, *configuration.tools.known}),
    )


def compose_owners(ports: Ports, state: State) -> OwnerFunctions:
    return OwnerFunctions(
        authenticator=ports.authenticator,
        erasure=state.retention.erasure,
        batches=state.batches,
        open_orchestrations=ports.open_orchestrations,
    )


def compose_route_reports(configuration: Configuration, ports: Ports, state: State) -> RouteReports:
    return RouteReports(
        authenticator=ports.authenticator,
        turns=state.turns,
        ledger=state.ledger,
        tool_calls=state.tool_calls,
        gpu_pauses=state.gpu_pauses,
        outlooks=state.session_outlooks,
        outbox=state.webhook_outbox,
        fleet=configuration.fleet,
    )


def compose_files(configuration: Configuration, ports: Ports, state: State) -> FileFunctions:
    return FileFunctions(
        authenticator=ports.authenticator,
        limits=state.rate_limiter,
        files=state.files,
        batches=state.batches,
        limit=max(configuration.settings.file_limit, LARGEST if ports.large_files else 0),
        allowance=FileAllowance(files=configuration.settings.owner_files, size=configuration.settings.owner_file_bytes),
    )


def compose_pipeline_functions(
    configuration: Configuration, ports: Ports, state: State, bodies: BodyReader, steps: PipelineSteps
) -> PipelineFunctions:
    return PipelineFunctions(
        authenticator=ports.authenticator,
        limits=state.rate_limiter,
        bodies=bodies,
        pipelines=configuration.pipelines,
        turns=steps.turns,
        open_orchestrations=ports.open_orchestrations,
        clock=ports.clock,
    )


def compose_batch_functions(ports: Ports, state: State, bodies: BodyReader, steps: BatchSteps) -> BatchFunctions:
    return BatchFunctions(
        authenticator=ports.authenticator,
        limits=state.rate_limiter,
        bodies=bodies,
        batches=state.batches,
        running=state.running_lines,
        files=state.files,
        check=steps.check,
        claims=state.turns.idempotency,
        open_orchestrations=ports.open_orchestrations,
        clock=ports.clock,
    )


def compose_conversations(ports: Ports, state: State, gateway: TurnGateway) -> ConversationFunctions:
    return ConversationFunctions(
        authenticator=ports.authenticator,
        admission=gateway.admission,
        conversations=state.turns.conversations,
        retention=state.retention,
        open_orchestrations=ports.open_orchestrations,
        bodies=gateway.bodies,
        files=gateway.files,
    )


def compose_warm_ups(configuration: Configuration, ports: Ports, state: State, warmer: BackendWarmer) -> WarmUps:
    return WarmUps(
        authenticator=ports.authenticator,
        fleet=configuration.fleet,
        warmer=warmer,
        ledger=state.ledger,
        limits=state.rate_limiter,
        clock=ports.clock,
    )


def sign_in_of(settings: Settings) -> ConsoleSignIn:
    """Return where people sign in to the console: in the one tenant, or in any where several may call."""
    tenant = next(iter(settings.token_tenants)) if len(settings.token_tenants) == 1 else "organizations"
    resource = settings.token_audience if ":" in settings.token_audience else f"api://{settings.token_audience}"
    return ConsoleSignIn(
        client_id=settings.console_client_id,
        authority=f"{settings.token_authority}/{tenant}",
        scope=f"{resource}/{SCOPE}",
    )


def compose_limits(configuration: Configuration, ports: Ports, state: State, bodies: BodyReader) -> LimitFunctions:
    settings = configuration.settings
    return LimitFunctions(
        authenticator=ports.authenticator,
        changes=state.ledger.budget_counters.changes,
        configured=ConfiguredLimits(
            budgets=configuration.budgets,
            rates=settings.limits,
            operator=operator_of(settings),
            tenants=settings.token_tenants,
        ),
        bodies=bodies,
    )


def compose_tool_reports(configuration: Configuration, ports: Ports, state: State) -> ToolReports:
    return ToolReports(
        authenticator=ports.authenticator,
        servers=configuration.tools,
        directory=state.tool_directory,
        grants=state.grants,
        operator=operator_of(configuration.settings),
    )


def operator_of(settings: Settings) -> str:
    """Return the tenant of the operators; an empty text where there is none to choose."""
    return settings.operator_tenant or only_one(settings.token_tenants)


def only_one(tenants: frozenset[str]) -> str:
    """Return the tenant of the operators where there is only one to choose; else an empty text."""
    return next(iter(tenants)) if len(tenants) == 1 else ""


def release_of(root: Path) -> str:
    """Return the release that `make package` wrote into the package; an app that runs from its sources has none."""
    written = root / RELEASE
    return written.read_text(encoding="utf-8").strip() if written.is_file() else "source"


def compose_gateway(configuration: Configuration, ports: Ports, state: State, intake: Intake) -> TurnGateway:
    """A stream looks at the log twice as often as a writer writes: more looks would cost, and find nothing."""
    settings, turns, clock = configuration.settings, state.turns, ports.clock
    costs = RequestCosts(ledger=state.ledger, prices=configuration.overheads, clock=clock)
    return TurnGateway(
        authenticator=ports.authenticator,
        admission=intake.admission,
        log_stream=LogStream(
            turns,
            clock,
            stream_s=settings.stream_s,
            poll_s=settings.flush_s / 2,
            request_costs=costs,
            copies=LiveCopies(state.cached_answers, clock),
        ),
        cancellations=Cancellations(turns, ports.open_orchestrations),
        request_costs=costs,
        open_orchestrations=ports.open_orchestrations,
        files=intake.files,
        bodies=BodyReader(limit=settings.body_limit, input_limit=settings.input_limit, memory=intake.memory),
        sync_wait_s=settings.sync_wait_s,
    )
