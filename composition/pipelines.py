"""Which objects run the operator's pipelines?"""

from msgspec import Struct

from api.pipelines.pipeline_turns import PipelineTurns
from api.pipelines.queues import Queues
from api.pipelines.schedules import Schedules
from composition.parts import Configuration, Ports
from composition.planning import Intake
from composition.state import State
from state.pipelines.conversation_sink import ConversationSink
from state.pipelines.event_runs import EventRuns


class PipelineSteps(Struct, frozen=True, kw_only=True):
    """What begins the turns of pipelines and brings their answers to the sinks."""

    turns: PipelineTurns
    schedules: Schedules
    queues: Queues


def compose_pipelines(configuration: Configuration, ports: Ports, state: State, intake: Intake) -> PipelineSteps:
    turns = PipelineTurns(
        pipelines=configuration.pipelines,
        runs=EventRuns(ports.store, ports.clock),
        admission=intake.admission,
        outbox=state.webhook_outbox,
        conversations=ConversationSink(state.turns.conversations),
    )
    queues = Queues(turns=turns, clock=ports.clock, most_tries=configuration.queue_tries)
    return PipelineSteps(turns=turns, schedules=Schedules(turns=turns, clock=ports.clock), queues=queues)
