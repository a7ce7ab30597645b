"""Which objects are the steps of a turn?"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct

from activities.anticipate import Anticipate
from activities.approvals.ask import AskApprovals
from activities.begin import Begin
from activities.call_tool import CallTool
from activities.call_tools import CallTools
from activities.enter import Enter
from activities.finish import Finish
from activities.infer import Infer
from activities.inference.attempt_billing import AttemptBilling
from activities.inference.attempt_run import StreamPace
from activities.recall import Recall
from activities.retrieve import Retrieve
from activities.route import RouteTurn
from activities.routing.decision import RouteDecider
from activities.routing.gpu_pause import GpuPauses
from activities.routing.instance_keeper import InstanceKeeper
from activities.routing.start_observer import StartObserver
from activities.routing.warm_up import BackendWarmer
from activities.settle import Settle
from activities.tools.call_billing import CallBilling
from activities.tools.call_log import CallLog
from activities.tools.call_sender import CallSender
from activities.tools.result_cache import ResultCache
from activities.tools.result_pages import ResultPages
from activities.webhooks.budget_watch import BudgetWatch
from activities.webhooks.deliver_webhook import DeliverWebhook
from api.turns.admission_plan import AdmissionPlanner
from api.turns.waiting_turns import WaitingTurnPlanner
from clients.tools.source_tool import WithSources
from composition.parts import Configuration, Ports
from composition.state import State
from domain import wire
from domain.approval_wire import ASK
from state.pipelines.answer_sinks import AnswerSinks


class Activities(Struct, frozen=True, kw_only=True):
    """The steps of a turn."""

    enter: Enter
    begin: Begin
    recall: Recall
    anticipate: Anticipate
    route: RouteTurn
    infer: Infer
    call_tool: CallTool
    pauses: GpuPauses
    ask: AskApprovals
    finish: Finish
    settle: Settle
    deliver_webhook: DeliverWebhook
    watch: BudgetWatch
    warmer: BackendWarmer
    observer: StartObserver
    keeper: InstanceKeeper

    def by_name(self) -> Mapping[str, Callable[[Any], Awaitable[Any]]]:
        """Return each step under the durable name that orchestrations call it by."""
        tools = CallTools(self.call_tool.call, self.pauses)
        return {
            wire.ENTER: self.enter.enter,
            wire.BEGIN: self.begin.begin,
            wire.RECALL: self.recall.recall,
            wire.TRY_RECALL: self.recall.recall,
            wire.ANTICIPATE: self.anticipate.anticipate,
            wire.ROUTE: self.route.route,
            wire.INFER: self.infer.infer,
            wire.CALL_TOOL: tools.call_one,
            wire.TRY_CALL_TOOL: tools.call_one,
            wire.TRY_CALL_TOOLS: tools.call,
            ASK: self.ask.ask,
            wire.FINISH: self.finish.finish,
            wire.SETTLE: self.settle.settle,
            wire.DELIVER_WEBHOOK: self.deliver_webhook.deliver,
        }


def compose_activities(configuration: Configuration, ports: Ports, state: State, plans: AdmissionPlanner) -> Activities:
    turns, states = state.turns, state.backend_states
    observer, deliver = compose_observer(configuration, ports, state), compose_delivery(configuration, ports, state)
    watch = BudgetWatch(
        status=state.budget_status,
        usage=state.usage_rows,
        outbox=state.webhook_outbox,
        endpoints=configuration.endpoints,
        deliver=deliver.deliver,
        clock=ports.clock,
    )
    keeper = compose_keeper(configuration, ports, state)
    warmer = BackendWarmer(
        backend_states=states,
        sessions=state.gpu_sessions,
        clients=ports.backends,
        clock=ports.clock,
        observer=observer,
        keeper=keeper,
    )
    decider = compose_decider(configuration, ports, state)
    return Activities(
        enter=Enter(
            turns=turns,
            answers=state.cached_answers,
            plan=WaitingTurnPlanner(turns=turns, plans=plans).plan,
            clock=ports.clock,
        ),
        begin=Begin(turns),
        recall=Recall(turns, Retrieve(turns, ports.source_reader)),
        anticipate=Anticipate(turns=turns, decider=decider, warmer=warmer),
        route=RouteTurn(turns=turns, backend_states=states, decider=decider, warmer=warmer),
        infer=compose_infer(configuration, ports, state, watch),
        call_tool=compose_call_tool(configuration, ports, state),
        pauses=compose_pauses(state, decider, keeper, warmer),
        ask=AskApprovals(waits=state.approval_waits, reservations=state.reservations_aside, limits=state.rate_limiter),
        finish=Finish(turns, states, configuration.fleet, state.grants),
        settle=Settle(state.ledger, configuration.overheads, watch.notice),
        deliver_webhook=deliver,
        watch=watch,
        warmer=warmer,
        observer=observer,
        keeper=keeper,
    )


def compose_pauses(state: State, decider: RouteDecider, keeper: InstanceKeeper, warmer: BackendWarmer) -> GpuPauses:
    return GpuPauses(
        turns=state.turns,
        records=state.gpu_pauses,
        durations=state.tool_durations,
        sharers=state.fleet_status.sharers,
        decider=decider,
        keeper=keeper,
        warmer=warmer,
        clock=decider.clock,
    )


def compose_call_tool(configuration: Configuration, ports: Ports, state: State) -> CallTool:
    return CallTool(
        turns=state.turns,
        servers=configuration.tools,
        directory=state.tool_directory,
        sender=CallSender(
            calls=state.tool_calls,
            results=state.whole_results,
            connector=WithSources(ports.tool_connector, ports.source_reader),
            billing=CallBilling(ledger=state.ledger, clock=ports.clock),
            cache=ResultCache(ports.clock),
            durations=state.tool_durations,
            clock=ports.clock,
        ),
        grants=state.grants,
        pages=ResultPages(state.whole_results, configuration.tools),
        log=CallLog(state.turns, ports.clock),
    )


def compose_delivery(configuration: Configuration, ports: Ports, state: State) -> DeliverWebhook:
    return DeliverWebhook(
        outbox=state.webhook_outbox,
        endpoints=configuration.endpoints,
        sender=AnswerSinks(ports.webhook_sender, ports.answer_storage, state.turns),
        clock=ports.clock,
    )


def compose_observer(configuration: Configuration, ports: Ports, state: State) -> StartObserver:
    return StartObserver(
        backend_states=state.backend_states,
        sessions=state.gpu_sessions,
        clients=ports.backends,
        fleet=configuration.fleet,
        clock=ports.clock,
    )


def compose_keeper(configuration: Configuration, ports: Ports, state: State) -> InstanceKeeper:
    return InstanceKeeper(
        backend_states=state.backend_states,
        sessions=state.gpu_sessions,
        leases=state.count_leases,
        counter=ports.instance_counter,
        clients=ports.backends,
        fleet=configuration.fleet,
        clock=ports.clock,
    )


def compose_decider(configuration: Configuration, ports: Ports, state: State) -> RouteDecider:
    return RouteDecider(
        backend_states=state.backend_states,
        rental_spend=state.rental_spend,
        rental_rules=state.rental_rules,
        demand_log=state.demand_log,
        answer_lengths=state.answer_lengths,
        fleet=configuration.fleet,
        clock=ports.clock,
        default_output_tokens=configuration.settings.default_output_tokens,
        attempt_limits=configuration.attempt_limits,
    )


def compose_infer(configuration: Configuration, ports: Ports, state: State, watch: BudgetWatch) -> Infer:
    settings = configuration.settings
    return Infer(
        turns=state.turns,
        billing=AttemptBilling(state.ledger, state.gpu_sessions, watch.notice),
        backend_states=state.backend_states,
        answer_lengths=state.answer_lengths,
        clients=ports.backends,
        fleet=configuration.fleet,
        clock=ports.clock,
        pace=StreamPace(flush_s=settings.flush_s, handover_s=settings.handover_s),
        tools=configuration.tools,
        waits=state.approval_waits,
        default_output_tokens=settings.default_output_tokens,
    )
