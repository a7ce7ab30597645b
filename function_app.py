"""Where does everything come together? Settings become clients, clients become steps, steps become functions."""

import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import httpx

import telemetry
from activities.anticipate import Anticipate
from activities.begin import Begin
from activities.deliver_webhook import DeliverWebhook
from activities.finish import Finish
from activities.guard import as_activity
from activities.infer import Infer
from activities.inference.attempt_billing import AttemptBilling
from activities.inference.attempt_runner import AttemptRunner, StreamPace
from activities.maintenance.close_sessions import SessionCloser
from activities.maintenance.sweep import Sweep, SweepDelays
from activities.recall import Recall
from activities.retrieve import Retrieve
from activities.route import RouteTurn
from activities.routing.decision import RouteDecider
from activities.routing.warm_up import BackendWarmer
from activities.settle import Settle
from activities.start_deliveries import StartDeliveries
from api.builtin_pages import remove_builtin_pages
from api.routes import HttpRoute, Ports, routes
from clients.backends.openai_backend import OpenAIBackend
from clients.backends.port import BackendClient
from clients.clock import Clock, SystemClock
from clients.identity.authenticator import TokenAuthenticator
from clients.identity.backend_credentials import BackendCredentials, credential_problems, warm_up
from clients.identity.discovery import IssuerDiscovery
from clients.identity.jwks_cache import JwksCache
from clients.identity.signing_keys import KeyFile, SigningKeys
from clients.orchestrations import DurableOrchestrations
from clients.sources.factory import build_reader
from clients.storage.cosmos.settings import account_from
from clients.storage.port import DocumentStore
from clients.storage.sqlite.store import SqliteStore
from clients.webhooks.sender import build_sender
from domain import wire
from domain.config.budgets_toml import budgets_from_toml
from domain.config.fleet_toml import fleet_from_toml
from domain.config.prices_toml import overheads_from_toml, prices_from_toml
from domain.config.sources_toml import sources_from_toml
from domain.config.webhooks_toml import endpoints_from_toml
from domain.errors import ConfigurationError
from domain.fleet.catalog import Fleet
from domain.identity.access_tokens import AcceptedTokens
from domain.money.budgets import Budgets
from orchestrators.deliver_webhook import deliver_webhook
from orchestrators.respond import respond
from settings import Settings, read_settings
from state.fleet.backend_state import BackendStates
from state.fleet.rental_spend import RentalSpend
from state.money.gpu_session_billing import GpuSessionBilling
from state.money.gpu_sessions import GpuSessions
from state.money.ledger import Ledger
from state.rate_limits import RateLimiter
from state.retention.deletion import Retention
from state.turns.responses import TurnStore
from state.webhook_outbox import WebhookOutbox


def build(settings: Settings) -> df.DFApp:
    """Compose the application; nothing is opened or called before its first use, and slow imports go beside."""
    telemetry.set_up(settings.telemetry)
    remove_builtin_pages()
    ports = ports_of(settings, SystemClock())
    app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    add_orchestration(app, wire.RESPOND, respond)
    add_orchestration(app, wire.DELIVERY_ORCHESTRATION, deliver_webhook)
    for name, step in steps(ports).items():
        add_step(app, ports, name, as_activity(name, step, ports.clock))
    for route in routes(ports):
        add_route(app, route)
    add_sweeper(app, ports)
    warm_up(ports.fleet)
    return app


def ports_of(settings: Settings, clock: Clock) -> Ports:
    """Read the fleet and the prices, and make the clients that all steps and functions share."""
    fleet = fleet_from_toml(settings.fleet.read_text(encoding="utf-8"), settings.variables)
    price_file = settings.prices.read_text(encoding="utf-8")
    prices = prices_from_toml(price_file)
    problems = (
        *fleet.missing_prices(prices),
        *credential_problems(fleet, settings.federation, settings.variables),
    )
    if problems:
        raise ConfigurationError(problems)
    sources = sources_from_toml(
        settings.sources.read_text(encoding="utf-8"), settings.variables, on_azure=settings.on_azure
    )
    endpoints = endpoints_from_toml(
        settings.webhooks.read_text(encoding="utf-8"), settings.variables, loopback=settings.webhooks_loopback
    )
    store = open_store(settings, clock)
    turns = TurnStore(store, clock, endpoints)
    return Ports(
        settings=settings,
        clock=clock,
        store=store,
        turns=turns,
        ledger=Ledger(store, clock, budgets_of(settings)),
        limits=RateLimiter(store=store, turns=turns, clock=clock, limits=settings.limits),
        fleet=fleet,
        prices=prices,
        overheads=overheads_from_toml(price_file),
        sources=sources,
        authenticator=TokenAuthenticator(
            keys=signing_keys(settings, clock),
            expected=AcceptedTokens(audience=settings.token_audience, tenants=settings.token_tenants),
            clock=clock,
            behind_platform=settings.behind_platform,
        ),
        open_orchestrations=DurableOrchestrations,
    )


def budgets_of(settings: Settings) -> Budgets:
    """Return the budgets of all tenants; those of single ones stand in a file."""
    if settings.budget_file is None:
        return settings.budgets
    return budgets_from_toml(settings.budget_file.read_text(encoding="utf-8"), settings.budgets)


def signing_keys(settings: Settings, clock: Clock) -> SigningKeys:
    if settings.token_keys:
        return KeyFile(settings.token_keys)
    return JwksCache(IssuerDiscovery(settings.token_authority).keys, clock)


def open_store(settings: Settings, clock: Clock) -> DocumentStore:
    if settings.store == "cosmos":
        from clients.storage.cosmos.store import CosmosStore  # noqa: PLC0415 - its SDK takes half a second to import

        return CosmosStore(account_from(settings.variables), clock)
    return SqliteStore(settings.data / "app.db", clock)


def steps(ports: Ports) -> Mapping[str, Callable[[Any], Awaitable[Any]]]:
    """Return every activity under its name."""
    settings, beliefs = ports.settings, BackendStates(ports.store, ports.clock)
    clients = backend_clients(ports.fleet, settings, ports.clock)
    sessions = GpuSessions(store=ports.store, ledger=ports.ledger, prices=ports.prices, clock=ports.clock)
    answering = AttemptRunner(
        turns=ports.turns,
        beliefs=beliefs,
        clients=clients,
        clock=ports.clock,
        pace=StreamPace(flush_s=settings.flush_s, handover_s=settings.handover_s),
    )
    infer = Infer(
        turns=ports.turns,
        charging=AttemptBilling(ports.ledger, sessions),
        answering=answering,
        fleet=ports.fleet,
        prices=ports.prices,
        clock=ports.clock,
    )
    reading = build_reader(ports.sources, ports.clock, loopback=settings.sources_loopback, identity=settings.identity)
    recall = Recall(ports.turns, Retrieve(ports.turns, reading))
    deciding = RouteDecider(
        beliefs=beliefs,
        rent=RentalSpend(ports.store, ports.clock),
        fleet=ports.fleet,
        prices=ports.prices,
        clock=ports.clock,
        default_output_tokens=settings.default_output_tokens,
    )
    waking = BackendWarmer(beliefs=beliefs, sessions=sessions, clients=clients, clock=ports.clock)
    route = RouteTurn(turns=ports.turns, beliefs=beliefs, deciding=deciding, waking=waking, hold_s=settings.hold_s)
    return {
        wire.BEGIN: Begin(ports.turns).begin,
        wire.RECALL: recall.recall,
        wire.TRY_RECALL: recall.recall,
        wire.ANTICIPATE: Anticipate(turns=ports.turns, deciding=deciding, waking=waking).anticipate,
        wire.ROUTE: route.route,
        wire.INFER: infer.infer,
        wire.FINISH: Finish(ports.turns).finish,
        wire.SETTLE: Settle(ports.ledger, ports.overheads).settle,
        wire.DELIVER_WEBHOOK: notify_of(ports).notify,
    }


def notify_of(ports: Ports) -> DeliverWebhook:
    endpoints = ports.turns.endpoints
    return DeliverWebhook(
        announcements=WebhookOutbox(ports.store, ports.clock),
        endpoints=endpoints,
        sender=build_sender(ports.clock, loopback=endpoints.loopback),
        clock=ports.clock,
    )


def backend_clients(fleet: Fleet, settings: Settings, clock: Clock) -> Mapping[str, BackendClient]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    http = httpx.AsyncClient(limits=limits, trust_env=False)
    credentials = BackendCredentials(
        federation=settings.federation, variables=settings.variables, clock=clock, client_id=settings.identity
    )
    return {
        name: OpenAIBackend(backend, http, silence_s=settings.silence_s, credentials=credentials)
        for name, backend in fleet.backends.items()
    }


def add_orchestration(app: df.DFApp, name: str, orchestrator: Callable[..., Any]) -> None:
    """Register an orchestrator under its durable name, which running instances keep."""
    app.function_name(name)(app.orchestration_trigger(context_name="context", orchestration=name)(orchestrator))


def add_step(app: df.DFApp, ports: Ports, name: str, step: Callable[[Any], Awaitable[Any]]) -> None:
    """Register a step; where somebody is to be told of the ends of turns, the one that ends them is given a client."""
    bound: Any = step
    if name == wire.FINISH and ports.turns.endpoints.known:
        announcing = StartDeliveries(ports.turns, ports.open_orchestrations)
        bound = app.durable_client_input(client_name="client")(announcing.behind(step))
    app.function_name(name)(app.activity_trigger(input_name="given", activity=name)(bound))


def add_route(app: df.DFApp, route: HttpRoute) -> None:
    handler = app.durable_client_input(client_name="client")(route.handler) if route.needs_client else route.handler
    app.function_name(route.name)(app.route(route.template, methods=route.methods)(handler))


def add_sweeper(app: df.DFApp, ports: Ports) -> None:
    """Register the sweep, once a minute."""
    patience = SweepDelays(
        unbegun_s=ports.settings.sweep_unbegun_s,
        silent_s=ports.settings.sweep_silent_s,
        unsettled_s=ports.settings.sweep_unsettled_s,
    )
    sweep = Sweep(turns=ports.turns, ledger=ports.ledger, clock=ports.clock, patience=patience)

    bills = GpuSessionBilling(
        store=ports.store, ledger=ports.ledger, fleet=ports.fleet, prices=ports.prices, clock=ports.clock
    )
    closing = SessionCloser(bills)
    retention = Retention(ports.store, ports.turns, ports.clock)

    async def sweeper(timer: func.TimerRequest, client: Any) -> None:  # noqa: ARG001 - the trigger's own argument
        await sweep.sweep(DurableOrchestrations(client))
        await closing.close_sessions()
        await retention.clear_due()

    timed = app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
    app.function_name("sweeper")(timed(app.durable_client_input(client_name="client")(sweeper)))


app = build(read_settings(os.environ))
