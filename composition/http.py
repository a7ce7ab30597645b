"""Which objects answer HTTP requests?"""

from api.endpoints.chat_completions import ChatCompletions
from api.endpoints.compaction import Compaction
from api.endpoints.conversations import ConversationFunctions
from api.endpoints.erasure import OwnerFunctions
from api.endpoints.health import Health
from api.endpoints.input_tokens import InputTokens
from api.endpoints.models import Models
from api.endpoints.responses import Responses
from api.endpoints.route_report import RouteReports
from api.endpoints.stored_completions import StoredCompletionFunctions
from api.endpoints.usage import UsageReports
from api.routes import HttpFunctions
from api.turns.admission import Admission
from api.turns.log_stream import LogStream
from api.turns.planner import Planner
from api.turns.request_costs import RequestCosts
from api.turns.turn_gateway import TurnGateway
from composition.parts import Configuration, Ports
from composition.state import State


def compose_http(configuration: Configuration, ports: Ports, state: State) -> HttpFunctions:
    settings, turns, authenticator = configuration.settings, state.turns, ports.authenticator
    gateway = compose_gateway(configuration, ports, state)
    return HttpFunctions(
        clock=ports.clock,
        responses=Responses(gateway=gateway, turns=turns, retention=state.retention),
        route_reports=RouteReports(authenticator=authenticator, turns=turns, ledger=state.ledger),
        input_tokens=InputTokens(gateway=gateway),
        compaction=Compaction(gateway=gateway),
        conversations=ConversationFunctions(
            authenticator=authenticator,
            admission=gateway.admission,
            conversations=turns.conversations,
            retention=state.retention,
            open_orchestrations=ports.open_orchestrations,
            body_limit=settings.body_limit,
        ),
        chat_completions=ChatCompletions(gateway=gateway, chats=state.stored_completions),
        stored_completions=StoredCompletionFunctions(
            authenticator=authenticator,
            chats=state.stored_completions,
            turns=turns,
            retention=state.retention,
            open_orchestrations=ports.open_orchestrations,
            body_limit=settings.body_limit,
        ),
        models=Models(authenticator=authenticator, fleet=configuration.fleet),
        owners=OwnerFunctions(
            authenticator=authenticator,
            erasure=state.retention.erasure,
            open_orchestrations=ports.open_orchestrations,
        ),
        usage=UsageReports(authenticator=authenticator, rows=state.usage_rows, clock=ports.clock),
        health=Health(store=ports.store, fleet=configuration.fleet),
    )


def compose_gateway(configuration: Configuration, ports: Ports, state: State) -> TurnGateway:
    """A stream looks at the log twice as often as a writer writes: more looks would cost, and find nothing."""
    settings, turns, clock = configuration.settings, state.turns, ports.clock
    costs = RequestCosts(ledger=state.ledger, prices=configuration.overheads, clock=clock)
    planner = Planner(
        fleet=configuration.fleet,
        default_output_tokens=settings.default_output_tokens,
        sources=configuration.sources,
        model_required=settings.model_required,
        attempt_limits=configuration.attempt_limits,
    )
    return TurnGateway(
        authenticator=ports.authenticator,
        admission=Admission(
            turns=turns,
            ledger=state.ledger,
            limits=state.rate_limiter,
            planner=planner,
            clock=clock,
            deadline_s=settings.deadline_s,
        ),
        log_stream=LogStream(
            turns, clock, stream_s=settings.stream_s, poll_s=settings.flush_s / 2, request_costs=costs
        ),
        request_costs=costs,
        open_orchestrations=ports.open_orchestrations,
        body_limit=settings.body_limit,
        sync_wait_s=settings.sync_wait_s,
    )
