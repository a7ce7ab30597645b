"""Which functions does the Functions host find? The application is composed, and each of its parts registered."""

import gc

gc.disable()  # nothing that a start makes is garbage: looking for it would take a tenth of the start

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import azure.durable_functions as df
import azure.functions as func

from activities.guard import as_activity
from activities.maintenance.sweep import SCHEDULE
from activities.routing.instance_keeper import SCHEDULE as INSTANCE_SCHEDULE
from api.builtin_pages import remove_builtin_pages
from api.routes import HttpRoute, routes
from clients.clock import SystemClock, cpu_seconds
from clients.identity.backend_credentials import warm_up
from composition.application import Application, compose
from composition.misconfigured import misconfigured_routes
from composition.production import open_ports, read_configuration
from domain import wire
from domain.approval_wire import ASK
from domain.batches import batch_wire
from domain.errors import ConfigurationError
from domain.pipelines.pipeline import Pipeline, TriggerKind
from domain.pipelines.queue_trigger import QueueMessage, QueueTrigger
from orchestrators.deliver_webhook import deliver_webhook
from orchestrators.respond import respond
from orchestrators.run_batch import run_batch
from orchestrators.run_lines import run_lines
from settings import Settings, read_settings
from telemetry.metrics import measure_import
from telemetry.providers import set_up
from telemetry.turn_metrics import named_tenants

WAKING = (wire.ROUTE,)
"""The steps after which another turn may have a place at a backend."""


def load(environment: Mapping[str, str]) -> df.DFApp:
    """Return the application, or the one that explains wrong settings in its log and serves no turn.

    The latter has no durable function and no timer: the turns that wait stay in the task hub.
    """
    try:
        return build(read_settings(environment))
    except ConfigurationError as error:
        return build_misconfigured(error.problems)


def build_misconfigured(problems: Sequence[str]) -> df.DFApp:
    remove_builtin_pages()
    app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    for route in misconfigured_routes(problems, SystemClock()):
        add_route(app, route)
    return app


def build(settings: Settings) -> df.DFApp:
    """Compose the application and register its functions; SDKs and exporters are imported in the background."""
    remove_builtin_pages()
    configuration = read_configuration(settings)
    application = compose(configuration, open_ports(configuration, SystemClock()))
    app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    add_orchestration(app, wire.RESPOND, respond)
    add_orchestration(app, wire.DELIVERY_ORCHESTRATION, deliver_webhook)
    add_orchestration(app, batch_wire.RUN_BATCH, run_batch)
    add_orchestration(app, batch_wire.RUN_LINES, run_lines)
    for name, step in {**application.activities.by_name(), **application.batches.by_name()}.items():
        add_activity(app, application, name, as_activity(name, step, application.ports.clock))
    for route in routes(application.http):
        add_route(app, route)
    add_sweeper(app, application)
    for pipeline in configuration.pipelines.known.values():
        if pipeline.trigger is TriggerKind.SCHEDULE:
            add_schedule(app, application, pipeline)
        if pipeline.trigger is TriggerKind.QUEUE and pipeline.queue:
            add_queue(app, application, pipeline, pipeline.queue)
    add_instance_timer(app, application)
    warm_up(configuration.fleet)
    set_up(settings.telemetry, settings.variables)
    named_tenants.allow(settings.telemetry_tenants)
    measure_import(cpu_seconds())
    return app


def add_orchestration(app: df.DFApp, name: str, orchestrator: Callable[..., Any]) -> None:
    """Register an orchestrator under its durable name, which running instances keep."""
    app.function_name(name)(app.orchestration_trigger(context_name="context", orchestration=name)(orchestrator))


def add_activity(app: df.DFApp, application: Application, name: str, step: Callable[[Any], Awaitable[Any]]) -> None:
    """Register an activity. Those that end turns and batches get a durable client: other orchestrations may follow.

    So do those that give up places at backends: turns wait for them.
    """
    bound: Any = step
    if name in WAKING:
        bound = app.durable_client_input(client_name="client")(application.follow_ups.waking(step))
    if name == wire.INFER:
        bound = app.durable_client_input(client_name="client")(application.follow_ups.after_inferring(step))
    if name == wire.FINISH:
        bound = app.durable_client_input(client_name="client")(application.follow_ups.after(step))
    if name == ASK:
        bound = app.durable_client_input(client_name="client")(application.follow_ups.after_asking(step))
    if name == batch_wire.FINISH_BATCH:
        bound = app.durable_client_input(client_name="client")(application.follow_ups.after_batch(step))
    app.function_name(name)(app.activity_trigger(input_name="request", activity=name)(bound))


def add_route(app: df.DFApp, route: HttpRoute) -> None:
    handler = app.durable_client_input(client_name="client")(route.handler) if route.needs_client else route.handler
    app.function_name(route.name)(app.route(route.template, methods=route.methods)(handler))


def add_instance_timer(app: df.DFApp, application: Application) -> None:
    """Register the timer that ends instances; a fleet whose providers end them all has none, and pays for none."""

    async def instance_timer(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the trigger's own argument
        await application.instance_timer.run()

    if application.instance_timer.has_work:
        timed = app.timer_trigger(arg_name="timer", schedule=INSTANCE_SCHEDULE)
        app.function_name("instance_timer")(timed(instance_timer))


def add_sweeper(app: df.DFApp, application: Application) -> None:
    async def sweeper(timer: func.TimerRequest, client: Any) -> None:  # noqa: ARG001 - the trigger's own argument
        await application.maintenance.run(application.ports.open_orchestrations(client))

    timed = app.timer_trigger(arg_name="timer", schedule=SCHEDULE)
    app.function_name("sweeper")(timed(app.durable_client_input(client_name="client")(sweeper)))


def add_schedule(app: df.DFApp, application: Application, pipeline: Pipeline) -> None:
    """Register the timer of a pipeline; the host computes when it is due."""

    async def schedule(timer: func.TimerRequest, client: Any) -> None:
        orchestrations = application.ports.open_orchestrations(client)
        await application.pipelines.schedules.fire(pipeline, status_of(timer), orchestrations)

    timed = app.timer_trigger(arg_name="timer", schedule=pipeline.schedule)
    app.function_name(f"pipeline_{pipeline.name}")(timed(app.durable_client_input(client_name="client")(schedule)))


def add_queue(app: df.DFApp, application: Application, pipeline: Pipeline, queue: QueueTrigger) -> None:
    """Register the queue of a pipeline; the host finds its account by the settings of the connection."""

    async def queued(message: func.QueueMessage, client: Any) -> None:
        orchestrations = application.ports.open_orchestrations(client)
        await application.pipelines.queues.receive(pipeline, message_of(message), orchestrations)

    triggers: Any = app  # the SDK annotates a part of this decorator only
    triggered = triggers.queue_trigger(arg_name="message", queue_name=queue.name, connection=queue.connection)
    named = app.function_name(f"pipeline_{pipeline.name}")
    named(triggered(app.durable_client_input(client_name="client")(queued)))


def message_of(message: func.QueueMessage) -> QueueMessage:
    return QueueMessage(id=message.id or "", content=message.get_body(), tries=message.dequeue_count or 1)


def status_of(timer: Any) -> Mapping[str, Any]:
    """Return the host's account of a schedule, which the SDK's own type of the argument lacks; empty: there is none."""
    return timer.schedule_status or {}


app = load(os.environ)
gc.freeze()  # what has been made lasts as long as the process: later collections pass over it
gc.enable()
