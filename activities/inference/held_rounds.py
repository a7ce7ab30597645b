"""How does an instance that the product ends stay up while the server runs the calls of a round?"""

from domain.fleet.catalog import Backend
from domain.fleet.instances.lease import ROUND_S
from domain.fleet.instances.scaling import Scaling
from domain.log.events import CALLS, AttemptOutcome
from state.fleet.backend_state import BackendStates


async def keep_for_next_round(states: BackendStates, backend: Backend, outcome: AttemptOutcome, now: float) -> None:
    """Keep it where the turn goes on after its calls; call this before the attempt counts as ended.

    The end of an attempt wakes the watch of the instance, which would end one without an idle period at once.
    """
    if outcome.result == CALLS and not outcome.hands_back and backend.scaling is not Scaling.PROVIDER:
        await states.record_kept_until(backend, now + ROUND_S)
