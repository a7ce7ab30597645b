"""What is the whole application? Each object is built once."""

from dataclasses import dataclass

from activities.maintenance.sweep import GpuSessionCloser, Sweep, SweepDelays
from activities.start_deliveries import StartDeliveries
from api.routes import HttpFunctions
from clients.clock import Clock
from clients.orchestrations import Orchestrations
from composition.activities import Activities, compose_activities
from composition.http import compose_http
from composition.parts import Configuration, Ports
from composition.state import State, compose_state
from settings import Settings
from state.retention.deletion import Retention


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """What the timer runs once a minute."""

    sweep: Sweep
    session_closer: GpuSessionCloser
    retention: Retention

    async def run(self, orchestrations: Orchestrations) -> None:
        await self.sweep.sweep(orchestrations)
        await self.session_closer.close_sessions()
        await self.retention.clear_due()


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """The composed product. Nothing in it is opened or called before its first use."""

    configuration: Configuration
    ports: Ports
    state: State
    activities: Activities
    start_deliveries: StartDeliveries
    http: HttpFunctions
    maintenance: Maintenance


def compose(configuration: Configuration, ports: Ports) -> Application:
    """Build every object of the product, each once."""
    state = compose_state(configuration, ports)
    return Application(
        configuration=configuration,
        ports=ports,
        state=state,
        activities=compose_activities(configuration, ports, state),
        start_deliveries=StartDeliveries(state.turns, ports.open_orchestrations),
        http=compose_http(configuration, ports, state),
        maintenance=compose_maintenance(configuration.settings, ports.clock, state),
    )


def compose_maintenance(settings: Settings, clock: Clock, state: State) -> Maintenance:
    delays = SweepDelays(
        unbegun_s=settings.sweep_unbegun_s,
        silent_s=settings.sweep_silent_s,
        unsettled_s=settings.sweep_unsettled_s,
    )
    return Maintenance(
        sweep=Sweep(turns=state.turns, ledger=state.ledger, clock=clock, delays=delays),
        session_closer=GpuSessionCloser(state.gpu_session_billing),
        retention=state.retention,
    )
