"""Which objects answer HTTP requests?"""

from pathlib import Path
from typing import Final

from api.endpoints.chat_completions import ChatCompletions
from api.endpoints.compaction import Compaction
from api.endpoints.console import Console
from api.endpoints.conversations import ConversationFunctions
from api.endpoints.erasure import OwnerFunctions
from api.endpoints.health import Health
from api.endpoints.input_tokens import InputTokens
from api.endpoints.models import Models
from api.endpoints.reports.budgets import BudgetReports
from api.endpoints.reports.fleet import FleetReports
from api.endpoints.reports.tools import ToolReports
from api.endpoints.reports.turns import TurnReports
from api.endpoints.responses import Responses
from api.endpoints.route_report import RouteReports
from api.endpoints.stored_completions import StoredCompletionFunctions
from api.endpoints.usage import UsageReports
from api.http.request_body import BodyReader, InputMemory
from api.routes import HttpFunctions
from api.turns.admission import Admission
from api.turns.disconnects import Cancellations
from api.turns.log_stream import LogStream
from api.turns.request_costs import RequestCosts
from api.turns.tool_planner import ToolPlanner
from api.turns.turn_gateway import TurnGateway
from composition.parts import Configuration, Ports
from composition.planning import compose_planner
from composition.state import State
from settings import ROOT

RELEASE: Final = "release.txt"


def compose_http(configuration: Configuration, ports: Ports, state: State) -> HttpFunctions:
    turns, authenticator = state.turns, ports.authenticator
    gateway = compose_gateway(configuration, ports, state)
    return HttpFunctions(
        clock=ports.clock,
        responses=Responses(gateway=gateway, turns=turns, retention=state.retention),
        route_reports=RouteReports(
            authenticator=authenticator,
            turns=turns,
            ledger=state.ledger,
            tool_calls=state.tool_calls,
            outlooks=state.session_outlooks,
        ),
        input_tokens=InputTokens(gateway=gateway),
        compaction=Compaction(gateway=gateway, turns=state.turns),
        conversations=ConversationFunctions(
            authenticator=authenticator,
            admission=gateway.admission,
            conversations=turns.conversations,
            retention=state.retention,
            open_orchestrations=ports.open_orchestrations,
            bodies=gateway.bodies,
        ),
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
        models=Models(authenticator=authenticator, fleet=configuration.fleet),
        owners=OwnerFunctions(
            authenticator=authenticator,
            erasure=state.retention.erasure,
            open_orchestrations=ports.open_orchestrations,
        ),
        budgets=BudgetReports(authenticator=authenticator, status=state.budget_status, clock=ports.clock),
        fleet=FleetReports(authenticator=authenticator, status=state.fleet_status),
        turns=TurnReports(authenticator=authenticator, turns=state.turn_list),
        tools=ToolReports(authenticator=authenticator, servers=configuration.tools, directory=state.tool_directory),
        usage=UsageReports(authenticator=authenticator, rows=state.usage_rows, clock=ports.clock),
        health=Health(store=ports.store, fleet=configuration.fleet, release=release_of(ROOT)),
        console=Console(folder=ROOT / "console"),
    )


def release_of(root: Path) -> str:
    """Return the release that `make package` wrote into the package; an app that runs from its sources has none."""
    written = root / RELEASE
    return written.read_text(encoding="utf-8").strip() if written.is_file() else "source"


def compose_gateway(configuration: Configuration, ports: Ports, state: State) -> TurnGateway:
    """A stream looks at the log twice as often as a writer writes: more looks would cost, and find nothing."""
    settings, turns, clock = configuration.settings, state.turns, ports.clock
    memory = InputMemory(limit=settings.input_memory)
    costs = RequestCosts(ledger=state.ledger, prices=configuration.overheads, clock=clock)
    return TurnGateway(
        authenticator=ports.authenticator,
        admission=Admission(
            turns=turns,
            ledger=state.ledger,
            limits=state.rate_limiter,
            planner=compose_planner(configuration, ports, state),
            tools=ToolPlanner(configuration.tools, state.tool_directory),
            clock=clock,
            deadline_s=settings.deadline_s,
        ),
        log_stream=LogStream(
            turns, clock, stream_s=settings.stream_s, poll_s=settings.flush_s / 2, request_costs=costs
        ),
        cancellations=Cancellations(turns, ports.open_orchestrations),
        request_costs=costs,
        open_orchestrations=ports.open_orchestrations,
        bodies=BodyReader(limit=settings.body_limit, input_limit=settings.input_limit, memory=memory),
        sync_wait_s=settings.sync_wait_s,
    )
