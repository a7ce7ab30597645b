"""What decides whether the fleet can serve a turn, and what admits it: a request's, a line's or one that waited?"""

from msgspec import Struct

from api.http.request_body import InputMemory
from api.turns.admission import Admission
from api.turns.admission_plan import AdmissionPlanner
from api.turns.caching.answer_keys import AnswerKeys
from api.turns.planner import Planner
from api.turns.token_counter import BackendCounts, TokenCounter
from api.turns.tool_planner import ToolPlanner
from api.uploads.inputs import FileInputs
from composition.parts import Configuration, Ports
from composition.state import State


def compose_planner(configuration: Configuration, ports: Ports, state: State) -> Planner:
    return Planner(
        fleet=configuration.fleet,
        default_output_tokens=configuration.settings.default_output_tokens,
        sources=configuration.sources,
        model_required=configuration.settings.model_required,
        attempt_limits=configuration.attempt_limits,
        counter=TokenCounter(tokenizers=ports.tokenizers),
        backend_counts=BackendCounts(
            fleet=configuration.fleet,
            counters=ports.prompt_counters,
            backend_states=state.backend_states,
            sessions=state.gpu_sessions,
            clock=ports.clock,
        ),
    )


def compose_plans(configuration: Configuration, ports: Ports, state: State) -> AdmissionPlanner:
    """Return what plans a turn, when it is admitted and when it has waited in line."""
    return AdmissionPlanner(
        turns=state.turns,
        planner=compose_planner(configuration, ports, state),
        tools=ToolPlanner(
            configuration.tools, configuration.sources, directory=state.tool_directory, grants=state.grants
        ),
    )


class Intake(Struct, frozen=True, kw_only=True):
    """What every turn passes that is new, of a request or of a line of a batch."""

    admission: Admission
    files: FileInputs
    memory: InputMemory


def compose_intake(configuration: Configuration, ports: Ports, state: State, plans: AdmissionPlanner) -> Intake:
    settings = configuration.settings
    return Intake(
        admission=Admission(
            turns=state.turns,
            ledger=state.ledger,
            limits=state.rate_limiter,
            plans=plans,
            keys=AnswerKeys(planner=plans.planner, reader=ports.source_reader, longest_s=settings.cache_s),
            answers=state.cached_answers,
            grants=state.grants,
            clock=ports.clock,
            deadline_s=settings.deadline_s,
        ),
        files=FileInputs(state.files, limit=settings.input_limit),
        memory=InputMemory(limit=settings.input_memory),
    )
