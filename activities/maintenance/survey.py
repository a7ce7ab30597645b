"""How many turns are unfinished now, how many of them wait for a backend, and how old is the oldest that does not?"""

from collections.abc import Mapping, Sequence

from clients.clock import Clock
from domain.fleet.catalog import Fleet
from domain.log.events import ResponseStatus
from domain.turns.response import Response
from state.fleet.backend_state import BackendStates
from telemetry.turn_metrics import report_unfinished


class TurnSurvey:
    """Reports once a minute what the sweeper has read anyway, and the queues of the backends."""

    def __init__(self, backend_states: BackendStates, fleet: Fleet, clock: Clock) -> None:
        self.backend_states = backend_states
        self.fleet = fleet
        self.clock = clock

    async def report(self, unfinished: Mapping[ResponseStatus, Sequence[Response]]) -> None:
        """Report the unfinished turns; a turn holds a place in a queue as long as it waits for a start or for room.

        A turn that waits for an approval is not among them, and the time that it waited is no part of its age. A sweep
        that could not read them all reports nothing.
        """
        if not unfinished.keys() >= {ResponseStatus.QUEUED, ResponseStatus.IN_PROGRESS}:
            return
        queued, running = unfinished[ResponseStatus.QUEUED], unfinished[ResponseStatus.IN_PROGRESS]
        now = self.clock.now()
        states = await self.backend_states.read(self.fleet.backends)
        places = {name: place.until for state in states.values() for name, place in state.load.queue_places.items()}
        waiting = {name for name, until in places.items() if until > now}
        active = [each.created_at + each.progress.waited_s for each in (*queued, *running) if each.id not in waiting]
        report_unfinished(
            running=len(running), queued=len(queued), waiting=len(waiting), oldest_s=now - min(active, default=now)
        )
