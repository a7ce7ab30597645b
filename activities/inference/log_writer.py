"""How does one run of an attempt write to a log that another run may take over at any time?"""

import math
from copy import replace

from clients.clock import Clock
from domain.errors import UnknownOutcome
from domain.identity.owners import Owner
from domain.log.events import AttemptOutcome, LogEvent, Slot
from domain.log.transcript import Transcript, after_slot
from domain.log.writers import RUN
from state.turns.responses import TurnStore


class Superseded(Exception):
    """Another writer has written the next slot."""


class LogWriter:
    """One writer of one log for the attempt number `attempt`. `log` is what it has read and written so far.

    `is_last_write_known` is False after a write whose result is unknown: this writer must not write again, because
    only another writer can find out what the next slot holds. A writer that writes no text shows every `sign_of_life_s`
    seconds that it works.
    """

    def __init__(
        self,
        turns: TurnStore,
        clock: Clock,
        *,
        owner: Owner,
        response_id: str,
        log: Transcript,
        attempt: int,
        sign_of_life_s: float = math.inf,
    ) -> None:
        self.turns = turns
        self.clock = clock
        self.owner = owner
        self.response_id = response_id
        self.writer = f"{RUN}{clock.token()}"
        self.log = log
        self.attempt = attempt
        self.sign_of_life_s = sign_of_life_s
        self.is_last_write_known = True
        self.pieces_written = 0
        self.largest_slot = 0

    async def take_over(self) -> None:
        """Write a fence, which stops every earlier writer. Raises Superseded where the response or attempt has ended.

        Another run of the attempt may have written its outcome since the log was read.
        """
        while not self.is_attempt_over:
            if await self.append(self.slot(())):
                return
            self.log = await self.turns.transcript(self.owner, self.response_id, self.log)
        raise Superseded

    @property
    def is_attempt_over(self) -> bool:
        outcome = self.log.outcome
        has_outcome = outcome is not None and outcome.attempt >= self.attempt
        return has_outcome or self.log.ending is not None

    async def write(
        self,
        events: tuple[LogEvent, ...],
        *,
        pieces: int = 0,
        outcome: AttemptOutcome | None = None,
        prediction: str = "",
    ) -> None:
        """Append a slot.

        Raises Superseded where another writer has written it, and UnknownOutcome after a write that failed.
        """
        if not await self.append(replace(self.slot(events, pieces=pieces, outcome=outcome), prediction=prediction)):
            raise Superseded

    async def append(self, slot: Slot) -> bool:
        if not self.is_last_write_known:
            raise UnknownOutcome("an earlier write to the log failed, and its result is unknown")
        self.is_last_write_known = False
        is_written = await self.turns.append(self.owner, self.response_id, slot)
        self.is_last_write_known = True
        if is_written:
            self.log = after_slot(self.log, slot)
            self.pieces_written += slot.pieces
            self.largest_slot = max(self.largest_slot, slot.pieces)
        return is_written

    async def check_not_superseded(self) -> None:
        """Raise Superseded where another writer has written since."""
        if self.clock.now() - self.log.last_at > self.sign_of_life_s:
            await self.write(())
        elif await self.turns.next_slot(self.owner, self.response_id, after=self.log.next_slot - 1):
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
