"""Which functions does the Functions host find? The application is composed, and each of its parts registered."""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import azure.durable_functions as df
import azure.functions as func

import telemetry
from activities.guard import as_activity
from api.builtin_pages import remove_builtin_pages
from api.routes import HttpRoute, routes
from clients.clock import SystemClock
from clients.identity.backend_credentials import warm_up
from composition.application import Application, compose
from composition.production import open_ports, read_configuration
from domain import wire
from orchestrators.deliver_webhook import deliver_webhook
from orchestrators.respond import respond
from settings import Settings, read_settings

SWEEP_SCHEDULE = "0 * * * * *"
"""NCRONTAB: once a minute."""


def build(settings: Settings) -> df.DFApp:
    """Compose the application and register its functions; the SDKs of credentials are imported in the background."""
    telemetry.set_up(settings.telemetry)
    remove_builtin_pages()
    configuration = read_configuration(settings)
    application = compose(configuration, open_ports(configuration, SystemClock()))
    app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    add_orchestration(app, wire.RESPOND, respond)
    add_orchestration(app, wire.DELIVERY_ORCHESTRATION, deliver_webhook)
    for name, step in application.activities.by_name().items():
        add_activity(app, application, name, as_activity(name, step, application.ports.clock))
    for route in routes(application.http):
        add_route(app, route)
    add_sweeper(app, application)
    warm_up(configuration.fleet)
    return app


def add_orchestration(app: df.DFApp, name: str, orchestrator: Callable[..., Any]) -> None:
    """Register an orchestrator under its durable name, which running instances keep."""
    app.function_name(name)(app.orchestration_trigger(context_name="context", orchestration=name)(orchestrator))


def add_activity(app: df.DFApp, application: Application, name: str, step: Callable[[Any], Awaitable[Any]]) -> None:
    """Register an activity. Where webhooks are registered, the one that ends turns gets a durable client."""
    bound: Any = step
    if name == wire.FINISH and application.configuration.endpoints.known:
        bound = app.durable_client_input(client_name="client")(application.start_deliveries.after(step))
    app.function_name(name)(app.activity_trigger(input_name="request", activity=name)(bound))


def add_route(app: df.DFApp, route: HttpRoute) -> None:
    handler = app.durable_client_input(client_name="client")(route.handler) if route.needs_client else route.handler
    app.function_name(route.name)(app.route(route.template, methods=route.methods)(handler))


def add_sweeper(app: df.DFApp, application: Application) -> None:
    async def sweeper(timer: func.TimerRequest, client: Any) -> None:  # noqa: ARG001 - the trigger's own argument
        await application.maintenance.run(application.ports.open_orchestrations(client))

    timed = app.timer_trigger(arg_name="timer", schedule=SWEEP_SCHEDULE)
    app.function_name("sweeper")(timed(app.durable_client_input(client_name="client")(sweeper)))


app = build(read_settings(os.environ))
