"""What decides whether the fleet can serve a turn, for its admission and for a turn in line?"""

from api.turns.planner import Planner
from api.turns.token_counter import BackendCounts, TokenCounter
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
