"""Which objects are the steps of a turn?"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from activities.anticipate import Anticipate
from activities.begin import Begin
from activities.deliver_webhook import DeliverWebhook
from activities.finish import Finish
from activities.infer import Infer
from activities.inference.attempt_billing import AttemptBilling
from activities.inference.attempt_run import StreamPace
from activities.recall import Recall
from activities.retrieve import Retrieve
from activities.route import RouteTurn
from activities.routing.decision import RouteDecider
from activities.routing.warm_up import BackendWarmer
from activities.settle import Settle
from composition.parts import Configuration, Ports
from composition.state import State
from domain import wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Activities:
    """The steps of a turn."""

    begin: Begin
    recall: Recall
    anticipate: Anticipate
    route: RouteTurn
    infer: Infer
    finish: Finish
    settle: Settle
    deliver_webhook: DeliverWebhook
    warmer: BackendWarmer

    def by_name(self) -> Mapping[str, Callable[[Any], Awaitable[Any]]]:
        """Return each step under the durable name that orchestrations call it by."""
        return {
            wire.BEGIN: self.begin.begin,
            wire.RECALL: self.recall.recall,
            wire.TRY_RECALL: self.recall.recall,
            wire.ANTICIPATE: self.anticipate.anticipate,
            wire.ROUTE: self.route.route,
            wire.INFER: self.infer.infer,
            wire.FINISH: self.finish.finish,
            wire.SETTLE: self.settle.settle,
            wire.DELIVER_WEBHOOK: self.deliver_webhook.deliver,
        }


def compose_activities(configuration: Configuration, ports: Ports, state: State) -> Activities:
    settings, turns, states = configuration.settings, state.turns, state.backend_states
    warmer = BackendWarmer(
        backend_states=states, sessions=state.gpu_sessions, clients=ports.backends, clock=ports.clock
    )
    decider = RouteDecider(
        backend_states=states,
        rental_spend=state.rental_spend,
        fleet=configuration.fleet,
        clock=ports.clock,
        default_output_tokens=settings.default_output_tokens,
        attempt_limits=configuration.attempt_limits,
    )
    return Activities(
        begin=Begin(turns),
        recall=Recall(turns, Retrieve(turns, ports.source_reader)),
        anticipate=Anticipate(turns=turns, decider=decider, warmer=warmer),
        route=RouteTurn(turns=turns, backend_states=states, decider=decider, warmer=warmer),
        infer=compose_infer(configuration, ports, state),
        finish=Finish(turns),
        settle=Settle(state.ledger, configuration.overheads),
        deliver_webhook=DeliverWebhook(
            outbox=state.webhook_outbox,
            endpoints=configuration.endpoints,
            sender=ports.webhook_sender,
            clock=ports.clock,
        ),
        warmer=warmer,
    )


def compose_infer(configuration: Configuration, ports: Ports, state: State) -> Infer:
    settings = configuration.settings
    return Infer(
        turns=state.turns,
        billing=AttemptBilling(state.ledger, state.gpu_sessions),
        backend_states=state.backend_states,
        clients=ports.backends,
        fleet=configuration.fleet,
        clock=ports.clock,
        pace=StreamPace(flush_s=settings.flush_s, handover_s=settings.handover_s),
    )
