"""How does a stream show the answer of another turn while that is made?

The reader of a turn that waits for another one's answer copies it into the turn's own log, slot after slot. So the log
has an answer of its own, with own ids and numbers, whatever becomes of the other turn. A slot is created once: of
several readers one copies it, and no copy follows the first slot of the turn's own orchestration. A reader that dies
leaves a log that the next reader, or the turn itself, goes on with. Where nobody reads, nothing is copied.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager

from api.turns.request_costs import RequestUse
from clients.clock import Clock
from domain.errors import GanglionError, NotFound, Retryable
from domain.fleet.catalog import AUTO
from domain.log.copied_answers import copied_pieces, live_events
from domain.log.events import ResponseStatus, Slot
from domain.log.transcript import Transcript, after_slot
from domain.log.writers import COPIER, is_copy
from domain.turns.cached_answers import can_be_followed
from domain.turns.response import Response
from state.turns.cached_answers import CachedAnswers

logger = logging.getLogger("ganglion.api")

RECHECK_S = 5.0
"""A copier looks again which turn makes the answer, where that has shown nothing new for so long."""

RETRY_S = 0.5
"""How often a copier looks for the turn that makes the answer, where there is none now."""

type ReadLogs = Callable[[Response, RequestUse], AsyncGenerator[Transcript]]
"""Yields the log of a response again and again while it grows, to its end; raises NotFound where it was deleted."""


class LiveCopies:
    """Copies the answers that turns wait for, while somebody reads these turns."""

    def __init__(self, answers: CachedAnswers, clock: Clock) -> None:
        self.answers = answers
        self.turns = answers.turns
        self.clock = clock

    @asynccontextmanager
    async def while_read(self, response: Response, use: RequestUse, logs: ReadLogs) -> AsyncGenerator[None]:
        """Copy until the context is left; what that costs is added to `use`."""
        if response.options.cache is None or response.status is not ResponseStatus.QUEUED:
            yield
            return
        task = asyncio.create_task(self.copy(response, use, logs))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait((task,))

    async def copy(self, response: Response, use: RequestUse, logs: ReadLogs) -> None:
        """Copy until the turn has its answer, asks a model itself or is deleted. The turn does not depend on it."""
        delay_s: float | None = 0.0
        while delay_s is not None:
            await self.clock.sleep(delay_s)
            try:
                delay_s = await self.copy_on(response, use, logs)
            except Retryable:
                delay_s = RETRY_S
            except GanglionError as error:
                logger.warning("%s no longer follows the running answer of an equal request: %s", response.id, error)
                return

    async def copy_on(self, response: Response, use: RequestUse, logs: ReadLogs) -> float | None:
        """Copy from the turn that makes the answer now; return the delay after which to look again which that is."""
        with use.metered():
            log = await self.turns.transcript(response.owner, response.id)
            first = await self.source(response, log)
        if first is None or first.id == response.id:
            return RETRY_S if first is None else None
        try:
            return await self.copy_from(first, response, log, use, logs)
        except NotFound:
            return RETRY_S

    async def source(self, response: Response, log: Transcript) -> Response | None:
        """Return the turn to copy from, or the turn itself where it needs none; None while there is none.

        An answer that is complete is taken over at once. One that tools may become part of is not shown before, nor one
        that a better model may replace, where the turn's stream can't replace text.
        """
        use = response.options.cache
        if use is None or not is_copy(log.writer):
            return response
        found = await self.answers.find(response, use)
        if found is None:
            return None
        if found.log:
            return await self.answers.take_over(response, found.turn, found.log)
        is_hidden = found.is_private or response.options.tool_config.servers or may_be_replaced(found.turn, response)
        return response if is_hidden else found.turn

    async def copy_from(
        self, first: Response, response: Response, log: Transcript, use: RequestUse, logs: ReadLogs
    ) -> float | None:
        """Copy the answer of a turn as it is made, until it ends or does not grow; return as `copy_on`."""
        grown_at = self.clock.now()
        async with aclosing(logs(first, use)) as updates:
            async for made in updates:
                if made.ending:
                    return 0.0
                with use.metered():
                    before, log = log, await self.copy_slot(response, log, made)
                if not is_copy(log.writer):
                    return None
                grown_at = grown_at if log is before else self.clock.now()
                if self.clock.now() - grown_at > RECHECK_S:
                    break
        return 0.0

    async def copy_slot(self, response: Response, log: Transcript, made: Transcript) -> Transcript:
        """Write what the log lacks of an answer as its next slot; return the log, which another writer may have."""
        new_token = self.clock.token
        events = live_events(made, log, thread=response.thread, new_token=new_token) if can_be_followed(made) else ()
        if not events:
            return log
        slot = Slot(
            number=log.next_slot,
            writer=f"{COPIER}{new_token()}",
            first=log.next_sequence,
            at=self.clock.now(),
            events=events,
            pieces=copied_pieces(made, log, events),
        )
        if await self.turns.append(response.owner, response.id, slot):
            return after_slot(log, slot)
        return await self.turns.transcript(response.owner, response.id, log)


def may_be_replaced(first: Response, response: Response) -> bool:
    """Tell whether a turn of `auto` may replace a text, for a better model's, that another one's stream has to keep."""
    return first.options.model == AUTO and response.options.keeps_text and not first.options.keeps_text
