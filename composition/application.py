"""What is the whole application? Each object is built once."""

from copy import replace

from msgspec import Struct

from activities.follow_ups import FollowUps
from activities.maintenance.approval_sweep import ApprovalSweep
from activities.maintenance.batch_sweep import BatchSweep
from activities.maintenance.instance_timer import InstanceTimer
from activities.maintenance.pipeline_sweep import PipelineSweep
from activities.maintenance.rule_replay import RuleReplay
from activities.maintenance.survey import TurnSurvey
from activities.maintenance.sweep import GpuSessionCloser, Sweep, SweepDelays, tolerate_failure
from activities.routing.start_observer import StartObserver
from api.routes import HttpFunctions
from clients.clock import Clock
from clients.orchestrations import Orchestrations
from composition.activities import Activities, compose_activities
from composition.batches import BatchSteps, compose_batches
from composition.http import compose_http
from composition.parts import Configuration, Ports
from composition.pipelines import PipelineSteps, compose_pipelines
from composition.planning import compose_intake, compose_plans
from composition.state import State, compose_state
from domain.turns.sink_endpoints import with_sinks
from state.fleet.place_wakes import PlaceWakes
from state.retention.deletion import Retention


class Maintenance(Struct, frozen=True, kw_only=True):
    """What the timer runs once a minute."""

    sweep: Sweep
    approval_sweep: ApprovalSweep
    survey: TurnSurvey
    batch_sweep: BatchSweep
    pipeline_sweep: PipelineSweep
    session_closer: GpuSessionCloser
    retention: Retention
    start_observer: StartObserver
    rule_replay: RuleReplay
    wakes: PlaceWakes

    async def run(self, orchestrations: Orchestrations) -> None:
        async with self.wakes.sent_by(orchestrations.signal_place):
            await self.start_observer.probe_unseen()
        await self.sweep.sweep(orchestrations)
        await self.approval_sweep.run(orchestrations)
        await tolerate_failure(self.survey.report(self.sweep.unfinished), "report the unfinished turns")
        await tolerate_failure(self.batch_sweep.run(orchestrations), "start and wake batches")
        await tolerate_failure(self.pipeline_sweep.run(orchestrations), "advance the events of pipelines")
        await self.session_closer.close_sessions()
        await self.retention.clear_due()
        await tolerate_failure(self.rule_replay.replay_due(), "choose rules")


class Application(Struct, frozen=True, kw_only=True):
    """The composed product. Nothing in it is opened or called before its first use."""

    configuration: Configuration
    ports: Ports
    state: State
    activities: Activities
    batches: BatchSteps
    pipelines: PipelineSteps
    follow_ups: FollowUps
    http: HttpFunctions
    maintenance: Maintenance
    instance_timer: InstanceTimer


def compose(configuration: Configuration, ports: Ports) -> Application:
    """Build every object of the product, each once."""
    endpoints = with_sinks(configuration.endpoints, configuration.pipelines)
    configuration = replace(configuration, endpoints=endpoints)
    state = compose_state(configuration, ports)
    plans = compose_plans(configuration, ports, state)
    activities = compose_activities(configuration, ports, state, plans)
    intake = compose_intake(configuration, ports, state, plans)
    batches = compose_batches(configuration, ports, state, activities, intake)
    pipelines = compose_pipelines(configuration, ports, state, intake)
    steps = (batches, pipelines)
    maintenance = compose_maintenance(configuration, ports.clock, state, activities.observer, steps)
    return Application(
        configuration=configuration,
        ports=ports,
        state=state,
        activities=activities,
        batches=batches,
        pipelines=pipelines,
        follow_ups=FollowUps(
            state.turns,
            state.webhook_outbox,
            ports.open_orchestrations,
            after_event=pipelines.turns.after_turn,
            wakes=state.backend_states.wakes,
            wake_batches=maintenance.batch_sweep.wake_where_warm,
        ),
        http=compose_http(configuration, ports, state, warmer=activities.warmer, intake=intake, steps=steps),
        maintenance=maintenance,
        instance_timer=InstanceTimer(activities.keeper, activities.warmer, ports.clock),
    )


def compose_maintenance(
    configuration: Configuration,
    clock: Clock,
    state: State,
    observer: StartObserver,
    steps: tuple[BatchSteps, PipelineSteps],
) -> Maintenance:
    settings, (batches, pipelines) = configuration.settings, steps
    delays = SweepDelays(
        unbegun_s=settings.sweep_unbegun_s,
        silent_s=settings.sweep_silent_s,
        unsettled_s=settings.sweep_unsettled_s,
    )
    return Maintenance(
        sweep=Sweep(turns=state.turns, outbox=state.webhook_outbox, ledger=state.ledger, clock=clock, delays=delays),
        approval_sweep=ApprovalSweep(
            turns=state.turns,
            waits=state.approval_waits,
            reservations=state.reservations_aside,
            clock=clock,
            undone_s=settings.sweep_unbegun_s,
            silent_s=settings.sweep_silent_s,
        ),
        survey=TurnSurvey(state.backend_states, configuration.fleet, clock),
        batch_sweep=BatchSweep(
            state.batches,
            batches.planner.decide,
            clock,
            unbegun_s=settings.sweep_unbegun_s,
            has_warmed=state.backend_states.take_opened,
        ),
        pipeline_sweep=PipelineSweep(
            pipelines.turns.runs, pipelines.turns.advance, clock, unbegun_s=settings.sweep_unbegun_s
        ),
        session_closer=GpuSessionCloser(state.gpu_session_billing),
        retention=state.retention,
        start_observer=observer,
        rule_replay=RuleReplay(
            demand_log=state.demand_log,
            rules=state.rental_rules,
            backend_states=state.backend_states,
            fleet=configuration.fleet,
            clock=clock,
        ),
        wakes=state.backend_states.wakes,
    )
