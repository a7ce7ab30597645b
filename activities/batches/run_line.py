"""How does one line of a batch get its answer, as a turn of its owner?"""

import logging
import traceback
from contextlib import suppress
from typing import Any, Final

from activities.batches.batch_input import BatchInput
from activities.batches.inline_turn import InlineTurns, new_run
from activities.batches.ports import BatchRequests, LineAnswer
from activities.batches.rows import GONE, OK, custom_id_of, row_of
from clients.clock import Clock
from clients.storage.keys import response_key, slot_prefix
from clients.storage.sparing.store import SparingStore
from domain import wire
from domain.batches.batch import Batch
from domain.batches.batch_wire import LineRanWire, LineWire
from domain.batches.line_ids import chunk_of, chunk_thread
from domain.batches.totals import BatchTotals
from domain.errors import BudgetSpent, Exhausted, GanglionError, Invalid, Locked, NotFound, Retryable
from domain.identity.owners import Owner
from domain.ids import own_token
from domain.log.events import ResponseStatus
from domain.money.budgets import OWN_BUDGET
from domain.turns.response import Response
from state.batches.line_store import LineStore
from state.batches.pauses import BatchPauses
from state.turns.responses import TurnStore

log = logging.getLogger(__name__)

STOPPED: Final[LineRanWire] = {"delay_s": 0.0, "stopped": 1}
ENDED: Final[LineRanWire] = {"delay_s": 0.0, "stopped": 0}
LOCKED_S: Final = 5.0
"""When a line asks again whether its conversation is free."""

MOST_OF_A_PROCESS: Final = 64
"""More lines of all batches together would take the places of activities that turns need."""

BUSY_S: Final = 5.0
"""When a line asks again for a place."""

HELD_S: Final = 15.0
"""When a line asks again for a budget that other turns hold."""

FULL_S: Final = 60.0
"""When a line asks again for a budget that is spent."""

MOST_TRIES: Final = 6
"""A line that fails outside of its turn ends after so many tries of a process, five minutes after the first."""

SERVER_ERROR: Final = "server_error"

ANSWERED: Final = frozenset({ResponseStatus.COMPLETED, ResponseStatus.INCOMPLETE})


class LinePutOff(Exception):
    """A line has no turn: it is tried again after `delay_s`; 0.0 where its endpoint refuses it."""

    def __init__(self, delay_s: float) -> None:
        super().__init__(delay_s)
        self.delay_s = delay_s


class RunLine:
    """Runs lines. A step that is repeated finds the same turn, and goes on with it."""

    def __init__(
        self,
        *,
        source: BatchInput,
        requests: BatchRequests,
        turns: TurnStore,
        store: SparingStore,
        inline: InlineTurns,
        pauses: BatchPauses,
        clock: Clock,
    ) -> None:
        self.source = source
        self.requests = requests
        self.turns = turns
        self.store = store
        self.inline = inline
        self.pauses = pauses
        self.clock = clock
        self.running = 0
        self.failures: dict[tuple[str, int], int] = {}

    @property
    def lines(self) -> LineStore:
        return self.source.lines

    async def run(self, request: LineWire) -> LineRanWire:
        """Run a line until it has an answer or has to wait."""
        batch = await self.open_batch(wire.owner_from_wire(request), request["response"])
        if batch is None:
            return STOPPED
        if self.running >= MOST_OF_A_PROCESS:
            return waits(BUSY_S)
        self.running += 1
        try:
            ran = await self.run_one(batch, request["line"])
        except Retryable:
            raise
        except Exception as error:  # noqa: BLE001 - a line that always fails must not run until its batch expires
            return await self.after_failure(batch, request["line"], error)
        finally:
            self.running -= 1
        self.failures.pop((batch.id, request["line"]), None)
        return ran

    async def after_failure(self, batch: Batch, line: int, error: Exception) -> LineRanWire:
        """Try a line again that failed outside of its turn, later each time; after some tries end it."""
        tries = self.failures[batch.id, line] = self.failures.get((batch.id, line), 0) + 1
        kind = type(error).__name__
        frames = "".join(traceback.format_tb(error.__traceback__))
        log.error("line %d of %s failed outside of its turn (try %d): %s\n%s", line, batch.id, tries, kind, frames)
        if tries < MOST_TRIES:
            return waits(LOCKED_S * 2**tries)
        content = await self.source.known_line(batch, line)
        message = f"The line failed {tries} times outside of its turn: {kind}."
        if content is not None:
            response_id = self.requests.response_id(batch, line, content)
            with suppress(GanglionError):
                await self.turns.finish(
                    batch.owner, response_id, status=ResponseStatus.FAILED, code=SERVER_ERROR, message=message
                )
        await self.end(batch, line, content, error={"code": SERVER_ERROR, "message": message})
        self.failures.pop((batch.id, line), None)
        return ENDED

    async def open_batch(self, owner: Owner, identifier: str, *, fresh: bool = False) -> Batch | None:
        """Return a batch whose lines may run; None where it was deleted or stopped, or has expired.

        A cancel that this does not show finds each turn that is recorded by then.
        """
        try:
            batch = await (self.source.fresh_batch if fresh else self.source.batch)(owner, identifier)
        except NotFound:
            return None
        return batch if batch.status.runs_lines and self.clock.now() < batch.expires_at else None

    async def run_one(self, batch: Batch, line: int) -> LineRanWire:
        content = await self.source.line_or_none(batch, line)
        if content is None:
            return waits(LOCKED_S)
        response_id = self.requests.response_id(batch, line, content)
        with self.store.sparing(own_token(response_id)) as memory:
            stored = await self.stored_run(batch, line) if await self.source.may_have_run(batch, line) else None
            if stored is None:
                try:
                    is_new = await self.admit(batch, line, content)
                except LinePutOff as put_off:
                    return waits(put_off.delay_s)
                if await self.open_batch(batch.owner, batch.id, fresh=True) is None:
                    return STOPPED
                if is_new:
                    memory.know_all(response_key(batch.owner, response_id), slot_prefix(response_id))
                else:
                    stored = await self.stored_run(batch, line)
            return await self.answer(batch, line, content, stored)

    async def stored_run(self, batch: Batch, line: int) -> Any:
        found = await self.lines.run(batch, line)
        return found.body if found else None

    async def admit(self, batch: Batch, line: int, content: bytes) -> bool:
        """Record the turn of a line; return whether no earlier run has. Raises LinePutOff where there is no turn."""
        try:
            admitted = await self.requests.admit(batch, line, content)
        except (Exhausted, Locked, Invalid, NotFound) as error:
            if await self.has_turn(batch, line, content):
                return False
            raise LinePutOff(await self.put_off(batch, line, content, error)) from error
        turn = admitted.turn
        if admitted.is_new and turn.thread != chunk_thread(batch.id, chunk_of(line)):
            await self.source.save_run(batch, line, new_run(turn_of(batch, turn.id), at=self.clock.now()))
        return admitted.is_new

    async def has_turn(self, batch: Batch, line: int, content: bytes) -> bool:
        """Return whether an earlier run, which died, has recorded the turn: what it asked for may be gone by now."""
        try:
            await self.turns.read(batch.owner, self.requests.response_id(batch, line, content))
        except NotFound:
            return False
        return True

    async def put_off(self, batch: Batch, line: int, content: bytes, error: GanglionError) -> float:
        """Return when to try a line again that has no turn; 0.0 where its endpoint refuses it."""
        if isinstance(error, Locked):
            return LOCKED_S
        if not isinstance(error, Exhausted) or error.identifier == OWN_BUDGET:
            return await self.refuse(batch, line, content, error)
        delay_s = HELD_S if error.may_return else FULL_S
        await self.pauses.note(batch, str(error), delay_s)
        return delay_s

    async def refuse(self, batch: Batch, line: int, content: bytes, error: GanglionError) -> float:
        """Record that the endpoint refuses the request of a line."""
        answer = self.requests.refusal(error)
        await self.end(batch, line, content, answer=answer, error=error_of(answer))
        return 0.0

    async def answer(self, batch: Batch, line: int, content: bytes, stored: Any) -> LineRanWire:
        """Run the turn of a line on, and record its answer when it has ended."""
        response_id = self.requests.response_id(batch, line, content)
        turn = turn_of(batch, response_id)
        try:
            delay_s = await self.inline.run(
                turn,
                stored,
                lambda body: self.source.save_run(batch, line, body),
                prefers=await self.source.started(batch),
            )
        except BudgetSpent as error:
            await self.pauses.note(batch, str(error), delay_s := FULL_S)
        if delay_s:
            return waits(delay_s)
        try:
            ended = await self.turns.read(batch.owner, response_id)
        except NotFound:
            await self.end(batch, line, content, error=GONE)
            return ENDED
        if not ended.status.is_terminal:
            return waits(LOCKED_S)
        await self.record(batch, line, content, ended)
        return ENDED

    async def record(self, batch: Batch, line: int, content: bytes, ended: Response) -> None:
        """Record what the endpoint answers for the turn."""
        transcript = await self.turns.transcript(ended.owner, ended.id)
        answer, ending = self.requests.answer(batch, ended, transcript), transcript.ending
        is_answer = ended.status in ANSWERED and answer.status == OK
        problem = error_of_turn(ended.status, ending.code, ending.message) if ending else None
        totals = BatchTotals.of_line(ending.usage if ending else None, completed=is_answer)
        row = row_of(
            batch,
            line,
            custom_id_of(content),
            answer=answer,
            request_id=ended.id,
            error=None if is_answer else problem,
        )
        await self.lines.end_line(batch, line, row, totals)

    async def end(
        self,
        batch: Batch,
        line: int,
        content: bytes | None,
        *,
        answer: LineAnswer | None = None,
        error: dict[str, str] | None = None,
    ) -> None:
        """Record that a line ended without a turn."""
        row = row_of(batch, line, custom_id_of(content), answer=answer, error=error)
        await self.lines.end_line(batch, line, row, BatchTotals(failed=1))


def turn_of(batch: Batch, response_id: str) -> wire.RespondWire:
    """Return the request of a line's turn: all of its runs are one execution."""
    return {
        "tenant": batch.owner.tenant,
        "subject": batch.owner.subject,
        "response": response_id,
        "traceparent": batch.traceparent,
        "start": response_id,
    }


def waits(delay_s: float) -> LineRanWire:
    return {"delay_s": round(delay_s, 3), "stopped": 0}


def error_of_turn(status: ResponseStatus, code: str, message: str) -> dict[str, str]:
    """Return the error of a turn that gave no answer; the end of a cancelled one has no code and no message."""
    return {"code": code or status.value, "message": message or f"The turn of the line was {status.value}."}


def error_of(answer: LineAnswer) -> dict[str, str]:
    """Return the error of a request that its endpoint refuses."""
    error: dict[str, Any] = answer.body.get("error", {})
    return {"code": str(error.get("code") or "invalid_request"), "message": str(error.get("message", ""))}
