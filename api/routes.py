"""Which function answers which request?"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from api.endpoints.chat_completions import ChatCompletions
from api.endpoints.compaction import Compaction
from api.endpoints.conversations import ConversationFunctions
from api.endpoints.erasure import OwnerFunctions
from api.endpoints.fallback import Fallback
from api.endpoints.health import Health
from api.endpoints.input_tokens import InputTokens
from api.endpoints.models import Models
from api.endpoints.responses import Responses
from api.endpoints.route_report import RouteReports
from api.endpoints.stored_completions import StoredCompletionFunctions
from api.endpoints.usage import UsageReports
from api.http.authentication import Authenticator
from api.http.errors import Handler, with_error_responses
from api.openapi import OpenApi
from api.turns.admission import Admission
from api.turns.log_stream import LogStream
from api.turns.planner import Planner
from api.turns.request_costs import RequestCosts
from api.turns.turn_gateway import TurnGateway
from clients.clock import Clock
from clients.orchestrations import OpenOrchestrations
from clients.storage.port import DocumentStore
from domain.fleet.catalog import Fleet
from domain.money.overheads import OverheadPrices
from domain.money.prices import Price
from domain.sources.catalog import Sources
from settings import Settings
from state.money.ledger import Ledger
from state.money.usage_rows import UsageRows
from state.rate_limits import RateLimiter
from state.retention.deletion import Retention
from state.turns.responses import TurnStore
from state.turns.stored_completions import StoredCompletions

ANY_METHOD = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
CATCH_ALL = "{*path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRoute:
    """One HTTP function: `handler` takes `req` and, where `needs_client`, the durable client as `client`."""

    name: str
    template: str
    methods: tuple[str, ...]
    handler: Handler
    needs_client: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What the HTTP functions are made of."""

    settings: Settings
    clock: Clock
    store: DocumentStore
    turns: TurnStore
    ledger: Ledger
    limits: RateLimiter
    fleet: Fleet
    prices: Mapping[str, Price]
    authenticator: Authenticator
    open_orchestrations: OpenOrchestrations
    sources: Sources = field(default_factory=Sources)
    overheads: OverheadPrices = field(default_factory=OverheadPrices)


def routes(ports: Ports) -> tuple[HttpRoute, ...]:
    """Return every HTTP function, guarded. The host tries them in the order of their names: the catch-all is last."""
    kinds = (response_routes, reading_routes, conversation_routes, chat_routes, other_routes)
    known = with_document(ports, tuple(route for kind in kinds for route in kind(ports)))
    methods: dict[str, tuple[str, ...]] = {}
    for each in known:
        methods[each.template] = (*methods.get(each.template, ()), *each.methods)
    rest = HttpRoute(
        name="zz_unknown",
        template=CATCH_ALL,
        methods=ANY_METHOD,
        handler=with_error_responses(Fallback(methods).answer, name="zz_unknown", clock=ports.clock),
    )
    return (*known, rest)


def with_document(ports: Ports, known: tuple[HttpRoute, ...]) -> tuple[HttpRoute, ...]:
    """Add the function that describes all functions, itself too."""
    served = list(known)
    served.append(get(ports, "http_openapi", "openapi.json", OpenApi(served).retrieve))
    return tuple(served)


def response_routes(ports: Ports) -> tuple[HttpRoute, ...]:
    responses = Responses(gateway=gateway(ports), turns=ports.turns, retention=retention(ports))
    reports = RouteReports(authenticator=ports.authenticator, turns=ports.turns, ledger=ports.ledger)
    one = "v1/responses/{response_id}"
    return (
        post_starting(ports, "http_responses_create", "v1/responses", responses.create),
        post_starting(ports, "http_responses_cancel", f"{one}/cancel", responses.cancel),
        delete(ports, "http_responses_delete", one, responses.delete, needs_client=True),
        get(ports, "http_responses_items", f"{one}/input_items", responses.list_items),
        get(ports, "http_responses_retrieve", one, responses.retrieve),
        get(ports, "http_responses_route", f"{one}/route", reports.route),
    )


def reading_routes(ports: Ports) -> tuple[HttpRoute, ...]:
    """Return the functions that measure and shorten what a model is to read."""
    counting, compaction = InputTokens(gateway=gateway(ports)), Compaction(gateway=gateway(ports))
    return (
        post_starting(ports, "http_responses_compact", "v1/responses/compact", compaction.compact),
        post(ports, "http_responses_count", "v1/responses/input_tokens", counting.count),
    )


def conversation_routes(ports: Ports) -> tuple[HttpRoute, ...]:
    conversations = ConversationFunctions(
        authenticator=ports.authenticator,
        admission=admission(ports),
        conversations=ports.turns.conversations,
        retention=retention(ports),
        open_orchestrations=ports.open_orchestrations,
        body_limit=ports.settings.body_limit,
    )
    one = "v1/conversations/{conversation_id}"
    items, item = f"{one}/items", f"{one}/items/{{item_id}}"
    return (
        post(ports, "http_conversations_create", "v1/conversations", conversations.create),
        get(ports, "http_conversations_retrieve", one, conversations.retrieve),
        post(ports, "http_conversations_update", one, conversations.change),
        delete(ports, "http_conversations_delete", one, conversations.delete, needs_client=True),
        get(ports, "http_items_list", items, conversations.list_items),
        post(ports, "http_items_create", items, conversations.add_items),
        get(ports, "http_items_retrieve", item, conversations.retrieve_item),
        delete(ports, "http_items_delete", item, conversations.delete_item),
    )


def chat_routes(ports: Ports) -> tuple[HttpRoute, ...]:
    chat = ChatCompletions(gateway=gateway(ports), chats=StoredCompletions(ports.store, ports.turns))
    stored = StoredCompletionFunctions(
        authenticator=ports.authenticator,
        chats=StoredCompletions(ports.store, ports.turns),
        turns=ports.turns,
        retention=retention(ports),
        open_orchestrations=ports.open_orchestrations,
        body_limit=ports.settings.body_limit,
    )
    all_of_them = "v1/chat/completions"
    one = f"{all_of_them}/{{completion_id}}"
    return (
        post_starting(ports, "http_chat_create", all_of_them, chat.create),
        get(ports, "http_chat_list", all_of_them, stored.list),
        get(ports, "http_chat_retrieve", one, stored.retrieve),
        post(ports, "http_chat_update", one, stored.change),
        delete(ports, "http_chat_delete", one, stored.delete, needs_client=True),
        get(ports, "http_chat_messages", f"{one}/messages", stored.messages),
    )


def other_routes(ports: Ports) -> tuple[HttpRoute, ...]:
    models = Models(authenticator=ports.authenticator, fleet=ports.fleet)
    owners = OwnerFunctions(
        authenticator=ports.authenticator,
        erasure=retention(ports).erasure,
        open_orchestrations=ports.open_orchestrations,
    )
    usage = UsageReports(authenticator=ports.authenticator, rows=UsageRows(ports.store), clock=ports.clock)
    health = Health(store=ports.store, fleet=ports.fleet)
    return (
        get(ports, "http_models_list", "v1/models", models.list),
        get(ports, "http_models_retrieve", "v1/models/{model}", models.retrieve),
        delete(ports, "http_models_delete", "v1/models/{model}", models.delete),
        delete(ports, "http_owners_delete", "v1/owners/{owner_id}", owners.delete, needs_client=True),
        get(ports, "http_usage_list", "v1/usage", usage.list),
        get(ports, "http_healthz", "healthz", health.alive),
        get(ports, "http_readyz", "readyz", health.ready),
    )


def retention(ports: Ports) -> Retention:
    return Retention(ports.store, ports.turns, ports.clock)


def log_stream(ports: Ports, request_costs: RequestCosts) -> LogStream:
    """Return a stream that polls twice as often as a writer writes: more would cost and find nothing."""
    return LogStream(
        ports.turns,
        ports.clock,
        stream_s=ports.settings.stream_s,
        poll_s=ports.settings.flush_s / 2,
        request_costs=request_costs,
    )


def gateway(ports: Ports) -> TurnGateway:
    request_costs = RequestCosts(ledger=ports.ledger, prices=ports.overheads, clock=ports.clock)
    return TurnGateway(
        authenticator=ports.authenticator,
        admission=admission(ports),
        log_stream=log_stream(ports, request_costs),
        request_costs=request_costs,
        open_orchestrations=ports.open_orchestrations,
        body_limit=ports.settings.body_limit,
        sync_wait_s=ports.settings.sync_wait_s,
    )


def admission(ports: Ports) -> Admission:
    planner = Planner(
        fleet=ports.fleet,
        prices=ports.prices,
        default_output_tokens=ports.settings.default_output_tokens,
        sources=ports.sources,
        model_required=ports.settings.model_required,
    )
    return Admission(
        turns=ports.turns,
        ledger=ports.ledger,
        limits=ports.limits,
        planner=planner,
        clock=ports.clock,
        deadline_s=ports.settings.deadline_s,
    )


def get(ports: Ports, name: str, template: str, handler: Handler) -> HttpRoute:
    safe = with_error_responses(handler, name=name, clock=ports.clock)
    return HttpRoute(name=name, template=template, methods=("GET",), handler=safe)


def post_starting(ports: Ports, name: str, template: str, handler: Handler) -> HttpRoute:
    """Return a route whose function starts or wakes orchestrations."""
    safe = with_error_responses(handler, name=name, clock=ports.clock)
    return HttpRoute(name=name, template=template, methods=("POST",), handler=safe, needs_client=True)


def post(ports: Ports, name: str, template: str, handler: Handler) -> HttpRoute:
    """Return a route for what is sent without starting anything."""
    safe = with_error_responses(handler, name=name, clock=ports.clock)
    return HttpRoute(name=name, template=template, methods=("POST",), handler=safe)


def delete(ports: Ports, name: str, template: str, handler: Handler, *, needs_client: bool = False) -> HttpRoute:
    safe = with_error_responses(handler, name=name, clock=ports.clock)
    return HttpRoute(name=name, template=template, methods=("DELETE",), handler=safe, needs_client=needs_client)
