"""How does one attempt write into a log that another may take over at any moment?"""

from clients.clock import Clock
from domain.errors import UnknownOutcome
from domain.identity.owners import Owner
from domain.log.events import AttemptOutcome, LogEvent, Slot
from domain.log.transcript import Transcript, after_slot
from state.turns.responses import TurnStore


class Superseded(Exception):
    """The next slot is another writer's."""


class LogWriter:
    """One writer of one log; `log` is what it has read and written so far, `attempt` the attempt that it writes for.

    `sure` until a write ended without an answer: what then stands in the next slot only another writer can tell.
    """

    def __init__(
        self,
        turns: TurnStore,
        clock: Clock,
        *,
        owner: Owner,
        response_id: str,
        log: Transcript,
        attempt: int | None = None,
    ) -> None:
        self.turns = turns
        self.clock = clock
        self.owner = owner
        self.response_id = response_id
        self.writer = f"infer:{clock.token()}"
        self.log = log
        self.attempt = attempt
        self.sure = True

    async def take_over(self) -> None:
        """Fence off whoever wrote before. Raises Superseded where the response or the attempt has ended.

        The attempt's outcome may have come to stand since the log was read: another run of it was at its last word.
        """
        while not self.done:
            if await self.append(self.slot(())):
                return
            self.log = await self.turns.transcript(self.owner, self.response_id, self.log)
        raise Superseded

    @property
    def done(self) -> bool:
        outcome = self.log.outcome
        told = outcome is not None and self.attempt is not None and outcome.attempt >= self.attempt
        return told or self.log.ending is not None

    async def write(
        self, events: tuple[LogEvent, ...], *, pieces: int = 0, outcome: AttemptOutcome | None = None
    ) -> None:
        """Append a slot. Raises Superseded where it is taken, and UnknownOutcome where a write before it failed."""
        if not await self.append(self.slot(events, pieces=pieces, outcome=outcome)):
            raise Superseded

    async def append(self, slot: Slot) -> bool:
        if not self.sure:
            raise UnknownOutcome("a write before this one may stand or not")
        self.sure = False
        ours = await self.turns.append(self.owner, self.response_id, slot)
        self.sure = True
        if ours:
            self.log = after_slot(self.log, slot)
        return ours

    async def check(self) -> None:
        """Raise Superseded where another has written since."""
        if await self.turns.next_slot(self.owner, self.response_id, after=self.log.next_slot - 1):
            raise Superseded

    def slot(self, events: tuple[LogEvent, ...], *, pieces: int = 0, outcome: AttemptOutcome | None = None) -> Slot:
        return Slot(
            number=self.log.next_slot,
            writer=self.writer,
            first=self.log.next_sequence,
            at=self.clock.now(),
            events=events,
            pieces=pieces,
            outcome=outcome,
        )
