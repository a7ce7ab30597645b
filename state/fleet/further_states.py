"""How do many turns start and end the further instances of a backend without doing it twice?"""

from clients.clock import Clock
from domain.fleet.backend_state import BackendState
from domain.fleet.catalog import Backend
from domain.fleet.instances.further import GrowthReason
from domain.fleet.instances.lease import CountLease
from domain.fleet.instances.several import (
    after_claim,
    after_count,
    after_giving_up,
    after_last_end,
    after_refusal,
)
from state.fleet.backend_state import BackendStates


class FurtherStates:
    """Changes which further instances the state of a backend has."""

    def __init__(self, states: BackendStates, clock: Clock) -> None:
        self.states = states
        self.clock = clock

    async def claim(
        self, backend: Backend, by: str, more: int = 1, *, why: GrowthReason | None = None
    ) -> BackendState | None:
        """Reserve the start of `more` instances for `by`, or of as many as may run; None where none may start now."""
        now = self.clock.now()
        return await self.states.update(
            backend, lambda state: after_claim(state, backend, by=by, now=now, more=more, why=why)
        )

    async def record_count(self, backend: Backend, by: str) -> BackendState | None:
        """Record that the count was set that includes the instance of `by`; None where that could not be written."""
        now = self.clock.now()
        return await self.states.update(backend, lambda state: after_count(state, by=by, now=now))

    async def give_up(self, backend: Backend, by: str, *, kept: int = 0) -> None:
        """Record that the instances that `by` has claimed were not started, but for the first `kept` of them."""
        await self.states.update(backend, lambda state: after_giving_up(state, by=by, kept=kept))

    async def record_refusal(self, backend: Backend, by: str) -> None:
        """Record that the API has refused what `by` has claimed; others ask again after a pause."""
        now = self.clock.now()
        await self.states.update(backend, lambda state: after_refusal(after_giving_up(state, by=by), now=now))

    async def record_end(self, backend: Backend, lease: CountLease) -> BackendState | None:
        """Record that the product ends the last further instance; None where it is needed again."""
        now = self.clock.now()
        return await self.states.update(backend, lambda state: after_last_end(state, lease, backend, now=now))
