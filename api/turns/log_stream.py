"""How does a caller follow a turn that is under way?

Every reader follows the log, so it makes no difference which instance writes it, when the reader came or how often it
was cut off.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from api.rendering.sse_events import DONE, KEEP_ALIVE
from api.turns.request_costs import RequestCosts, RequestUse
from clients.clock import Clock
from domain.errors import Retryable, Unavailable
from domain.log.events import EMPTIED_BY, Slot
from domain.log.transcript import Transcript, after_slot
from domain.turns.response import Response
from state.turns.responses import TurnStore, no_response

HEARTBEAT_S = 15.0
SHORTEST_WAIT_S = 0.025
LONGEST_WAIT_S = 0.25
GROWTH = 1.5
NOTIFIED_WAIT_S = 1.0
"""How often the store is looked at where this process writes the log: its slots are told as they are written."""

LATE_S = 1.0
"""A reader that finds a slot so old is behind: it reads all that follows at once."""


type Show = Callable[[Response, Transcript, Slot], Iterable[bytes]]
"""Gives the bytes of a slot's events as a caller is to see them; the transcript is the log up to the slot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogUpdate:
    """Slots that have come since the last look, maybe none, each with the log up to it; `log` is the log with them."""

    slots: Sequence[tuple[Transcript, Slot]]
    log: Transcript


class LogStream:
    """Follows logs. A stream that lasts longer than `stream_s` seconds is broken off, never closed cleanly.

    `look_s` is how soon after a slot the next is looked for, unless its writer tells; every look costs.
    """

    def __init__(
        self,
        turns: TurnStore,
        clock: Clock,
        *,
        stream_s: float,
        look_s: float = SHORTEST_WAIT_S,
        accounting: RequestCosts | None = None,
    ) -> None:
        self.accounting = accounting
        self.turns = turns
        self.clock = clock
        self.stream_s = stream_s
        self.look_s = look_s

    async def stream(self, response: Response, show: Show) -> AsyncIterator[bytes]:
        """Give the log as server-sent events, to the end of the turn.

        Raises Unavailable after `stream_s` seconds: a clean end would look like the turn's.
        """
        started = said_at = self.clock.now()
        yield KEEP_ALIVE
        async with aclosing(self.follow(response)) as news:
            async for each in news:
                for part in shown(response, each, show):
                    said_at = self.clock.now()
                    yield part
                now = self.clock.now()
                if now - started > self.stream_s:
                    raise Unavailable("The stream has lasted its time; go on with starting_after.")
                if now - said_at >= HEARTBEAT_S:
                    said_at = now
                    yield KEEP_ALIVE
        yield DONE

    async def ended(self, response: Response, *, within_s: float) -> Transcript:
        """Return the log when the turn has ended, or as it is after `within_s` seconds."""
        until = self.clock.now() + within_s
        log = Transcript()
        async with aclosing(self.follow(response)) as news:
            async for each in news:
                log = each.log
                if self.clock.now() >= until:
                    break
        return log

    async def follow(self, response: Response) -> AsyncGenerator[LogUpdate]:
        """Give the log as it grows, to its end, on the turn's bill."""
        visit = self.accounting.visit(response.id) if self.accounting else RequestUse(began=self.clock.now())
        try:
            async with aclosing(self.growing(response, visit)) as news:
                async for each in news:
                    yield each
        finally:
            if self.accounting:
                self.accounting.ended(response, visit)

    async def growing(self, response: Response, visit: RequestUse) -> AsyncGenerator[LogUpdate]:
        """Look rarely while nothing happens, and at once when told."""
        log, wait_s, late = Transcript(), self.look_s, False
        with self.turns.following(response.id) as told:
            while True:
                given = told.take(log.next_slot)
                slots = given or await self.fresh(response, log, visit, late=late)
                news = news_of(slots, log)
                yield news
                log = news.log
                if log.ending:
                    return
                late = bool(slots) and self.clock.now() - slots[-1].at > LATE_S
                wait_s = self.next_wait_s(wait_s, told=bool(given), found=bool(slots))
                if not late:
                    await told.wait(within_s=wait_s)

    def next_wait_s(self, last_s: float, *, told: bool, found: bool) -> float:
        """Return how long the next look may wait for a word of the writer."""
        if told or (last_s == NOTIFIED_WAIT_S and not found):
            return NOTIFIED_WAIT_S
        return self.look_s if found else min(last_s * GROWTH, LONGEST_WAIT_S)

    async def fresh(self, response: Response, log: Transcript, visit: RequestUse, *, late: bool) -> Sequence[Slot]:
        """Return the slots after the log, or the next one alone; a store that does not answer is asked again later.

        Raises NoResponse where the response was deleted while its log was read.
        """
        look = self.turns.slots if late or not log.next_slot else self.turns.next_slot
        try:
            with visit.metered():
                slots = await look(response.owner, response.id, after=log.next_slot - 1)
        except Retryable:
            return ()
        if any(slot.writer == EMPTIED_BY for slot in slots):
            raise no_response(response.id)
        return slots


def news_of(slots: Iterable[Slot], log: Transcript) -> LogUpdate:
    found: list[tuple[Transcript, Slot]] = []
    for slot in slots:
        found.append((log, slot))
        log = after_slot(log, slot)
    return LogUpdate(slots=found, log=log)


def shown(response: Response, news: LogUpdate, show: Show) -> Iterator[bytes]:
    """Give the bytes of each slot that has events to show."""
    for log, slot in news.slots:
        if part := b"".join(show(response, log, slot)):
            yield part
