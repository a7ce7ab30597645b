"""How does a caller follow a running turn?

Every reader follows the log: its stream does not depend on which instance writes the log, on when the reader connected
or on how often it was disconnected.
"""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext

from msgspec import Struct

from api.rendering.sse_events import DONE, KEEP_ALIVE, error_event
from api.turns.caching.live_copies import LiveCopies
from api.turns.request_costs import RequestCosts, RequestUse
from clients.clock import Clock
from clients.storage.damage import parsed
from clients.storage.keys import slot_prefix
from domain.errors import DamagedRecord, Retryable, Unavailable
from domain.log.events import EMPTIED_BY, Slot
from domain.log.transcript import Transcript, after_slot
from domain.tools.approval_waits import unanswered_requests
from domain.turns.response import Response
from state.turns.responses import TurnStore, no_response

logger = logging.getLogger("ganglion.api")

HEARTBEAT_S = 15.0
LONGEST_WAIT_S = 0.25
WAIT_GROWTH = 1.5
NOTIFIED_WAIT_S = 1.0
"""The polling interval where this process writes the log and notifies its readers of each slot."""

APPROVAL_WAIT_S = 2.0
"""The polling interval while a turn waits for somebody's approval, which takes minutes or days."""

LATE_S = 1.0
"""A reader whose last slot is older than this has fallen behind: it reads all following slots at once."""

STREAM_EXPIRED = "The stream has reached its maximum duration. Resume it with starting_after."

type RenderSlot = Callable[[Response, Transcript, Slot], Iterable[bytes]]
"""Renders a slot's events for a caller; the transcript is the log before the slot."""


class LogUpdate(Struct, frozen=True, kw_only=True):
    """The slots found by one poll, maybe none, each with the log before it; `log` is the log after them."""

    slots: Sequence[tuple[Transcript, Slot]]
    log: Transcript


class LogStream:
    """Follows logs. A stream that lasts longer than `stream_s` seconds is aborted, never closed cleanly.

    `poll_s` is the interval at which a growing log is polled, unless its writer notifies; every poll costs.
    """

    def __init__(
        self,
        turns: TurnStore,
        clock: Clock,
        *,
        stream_s: float,
        poll_s: float,
        request_costs: RequestCosts,
        copies: LiveCopies,
    ) -> None:
        self.turns = turns
        self.clock = clock
        self.stream_s = stream_s
        self.poll_s = poll_s
        self.request_costs = request_costs
        self.copies = copies

    async def stream(self, response: Response, render: RenderSlot) -> AsyncIterator[bytes]:
        """Yield the log as server-sent events, to the end of the turn.

        A damaged record ends the stream with an error. Raises Unavailable after `stream_s` seconds: a clean end would
        look like the end of the turn.
        """
        try:
            async with aclosing(self.parts(response, render)) as parts:
                async for part in parts:
                    yield part
        except DamagedRecord as damage:
            logger.error("the stream of %s failed: %s", response.id, damage)  # noqa: TRY400 - the message says it all
            yield error_event(str(damage), code="damaged_record")

    async def parts(self, response: Response, render: RenderSlot) -> AsyncGenerator[bytes]:
        started = last_sent = self.clock.now()
        yield KEEP_ALIVE
        async with aclosing(self.follow(response, copies=True)) as updates:
            async for update in updates:
                for part in rendered(response, update, render):
                    last_sent = self.clock.now()
                    yield part
                now = self.clock.now()
                if now - started > self.stream_s:
                    raise Unavailable(STREAM_EXPIRED)
                if now - last_sent >= HEARTBEAT_S:
                    last_sent = now
                    yield KEEP_ALIVE
        yield DONE

    async def wait_until_ended(self, response: Response, *, within_s: float) -> Transcript:
        """Return the log when the turn has ended, or the log so far after `within_s` seconds."""
        until = self.clock.now() + within_s
        log = Transcript()
        async with aclosing(self.follow(response)) as updates:
            async for update in updates:
                log = update.log
                if self.clock.now() >= until:
                    break
        return log

    async def follow(self, response: Response, *, copies: bool = False) -> AsyncGenerator[LogUpdate]:
        """Yield the log as it grows, to its end; what this costs is added to the turn's bill.

        `copies`: the answer that the turn waits for is copied into its log while that is made.
        """
        use = self.request_costs.resume(response.id)
        try:
            async with self.copying(response, use, copies=copies), aclosing(self.poll(response, use)) as updates:
                async for update in updates:
                    yield update
        finally:
            self.request_costs.record(response, use)

    def copying(self, response: Response, use: RequestUse, *, copies: bool) -> AbstractAsyncContextManager[None]:
        return self.copies.while_read(response, use, self.logs) if copies else nullcontext()

    async def logs(self, response: Response, use: RequestUse) -> AsyncGenerator[Transcript]:
        """Yield the log after each poll, to its end."""
        async with aclosing(self.poll(response, use)) as updates:
            async for update in updates:
                yield update.log

    async def poll(self, response: Response, use: RequestUse) -> AsyncGenerator[LogUpdate]:
        """Poll the log: rarely while nothing happens, and at once after a notification."""
        log, wait_s, is_late = Transcript(), self.poll_s, False
        with self.turns.subscribe(response.id) as subscription:
            while True:
                notified = subscription.take(log.next_slot)
                slots = notified or await self.read_next(response, log, use, is_late=is_late)
                update = parsed(slot_prefix(response.id), update_with, slots, log)
                yield update
                log = update.log
                if log.ending:
                    return
                is_late = bool(slots) and self.clock.now() - slots[-1].at > LATE_S
                wait_s = self.next_wait_s(wait_s, notified=bool(notified), found=bool(slots))
                if not is_late:
                    waits = response.options.approval_wait_s and unanswered_requests(log)
                    await subscription.wait(within_s=APPROVAL_WAIT_S if waits else wait_s)

    def next_wait_s(self, last_s: float, *, notified: bool, found: bool) -> float:
        """Return how long the next poll may wait for a notification."""
        if notified or (last_s == NOTIFIED_WAIT_S and not found):
            return NOTIFIED_WAIT_S
        return self.poll_s if found else min(last_s * WAIT_GROWTH, LONGEST_WAIT_S)

    async def read_next(self, response: Response, log: Transcript, use: RequestUse, *, is_late: bool) -> Sequence[Slot]:
        """Return the next slot, or all following slots where the reader is late; none where the store fails.

        Raises NoResponse where the response was deleted while its log was read.
        """
        read = self.turns.slots if is_late or not log.next_slot else self.turns.next_slot
        try:
            with use.metered():
                slots = await read(response.owner, response.id, after=log.next_slot - 1)
        except Retryable:
            return ()
        if any(slot.writer == EMPTIED_BY for slot in slots):
            raise no_response(response.id)
        return slots


def update_with(slots: Iterable[Slot], log: Transcript) -> LogUpdate:
    """Return the update of a log by the slots that follow it."""
    found: list[tuple[Transcript, Slot]] = []
    for slot in slots:
        found.append((log, slot))
        log = after_slot(log, slot)
    return LogUpdate(slots=found, log=log)


def rendered(response: Response, update: LogUpdate, render: RenderSlot) -> Iterator[bytes]:
    """Yield the bytes of each slot that has events for the caller."""
    for log, slot in update.slots:
        if part := b"".join(render(response, log, slot)):
            yield part
