"""Which other turn answers what a turn asks, and how does the turn take its answer over?

The owner's index has one document for each key: the turn that answers it, and the ids of everything that it read. The
answer itself stays with that turn. So an answer is gone when its turn is, or anything that the turn has read. Where the
turn fails before it has answered, or no process works on it any more, one of those that wait for it takes its place.
"""

from copy import replace
from enum import Enum, auto
from typing import Final

from msgspec import Struct

from clients.clock import Clock
from clients.storage.compare_and_swap import commit_if_unchanged, compare_and_swap
from clients.storage.damage import parsed
from clients.storage.keys import answer_id, owner_index_key, response_key, slot_prefix
from clients.storage.port import Body, Create, Document, Replace
from domain.errors import NotFound
from domain.log.copied_answers import after_events, copied_events
from domain.log.events import EMPTIED_BY, Ending, ResponseStatus, TokenUsage
from domain.log.transcript import Transcript, read_log
from domain.log.writers import is_at_work
from domain.sources.prompt_context import source_metadata
from domain.turns.cache_use import LEASE_S, CacheUse
from domain.turns.cached_answers import can_be_copied, can_be_followed
from domain.turns.response import Response
from domain.turns.tool_lists import opening_events
from state.turns.conversation_lock import MOST_FOLLOWERS
from state.turns.responses import TurnStore

EXECUTION: Final = "cache"
"""Takes the place of the execution of an orchestration that has answered a turn."""

TRIES: Final = 8


class Reuse(Enum):
    """What a turn does that may take an answer over: it asks the model, took the answer, or waits for it."""

    ASKS = auto()
    TOOK = auto()
    WAITS = auto()


class FirstAnswer(Struct, frozen=True, kw_only=True):
    """The turn that answers a key, and what is known of its answer: the log where it can be taken over now.

    `is_private`: no other turn can take the answer over, or wait for it.
    """

    turn: Response
    log: Transcript | None = None
    is_private: bool = False


class CachedAnswers:
    """Finds the answer of an earlier turn with the same key, for the same owner."""

    def __init__(self, turns: TurnStore, clock: Clock) -> None:
        self.turns = turns
        self.store = turns.store
        self.clock = clock

    async def reuse(self, response: Response) -> tuple[Reuse, Response]:
        """Take over the answer that a turn's key has, or make the turn the one that answers it. Safe to repeat.

        Returns the turn as stored, and where it waits, with the turn that it follows.
        """
        use = response.options.cache
        if use is None or response.status is not ResponseStatus.QUEUED or not await self.has_read_rows(response):
            return Reuse.ASKS, response
        for _ in range(TRIES):
            found = await self.store.read(owner_index_key(response.owner), answer_id(use.key))
            first = await self.first(response, use, found) if found else None
            if first and (first.turn.id == response.id or first.is_private):
                return Reuse.ASKS, response
            if first and first.log:
                return Reuse.TOOK, await self.take_over(response, first.turn, first.log)
            if first and await self.follow(response, first.turn):
                return Reuse.WAITS, following(response, use, first.turn)
            if first is None and await self.enter(response, use, found):
                return Reuse.ASKS, response
        return Reuse.ASKS, response

    async def has_read_rows(self, response: Response) -> bool:
        """Tell whether the private data that a turn's key covers is the one that its model will read."""
        return not response.options.sources or await self.turns.retrieved_context.text(response) is not None

    async def find(self, response: Response, use: CacheUse) -> FirstAnswer | None:
        """Return the turn that answers the key of a turn, which may be the turn itself; None as `first`."""
        found = await self.store.read(owner_index_key(response.owner), answer_id(use.key))
        return await self.first(response, use, found) if found else None

    async def first(self, response: Response, use: CacheUse, found: Document) -> FirstAnswer | None:
        """Return the turn that answers a key; None where it can't: it failed, is lost, too old or erased."""
        try:
            turn = await self.turns.read(response.owner, found.body["response"])
            if turn.id == response.id:
                return FirstAnswer(turn=turn)
            if not turn.status.is_terminal:
                return await self.running(turn, since=turn.progress.begun_at or found.body["at"])
            is_old = self.clock.now() - (turn.progress.ended_at or 0.0) > use.max_age_s
            if is_old or turn.status is not ResponseStatus.COMPLETED:
                return None
            read, log = found.body["read"], await self.turns.transcript(response.owner, turn.id)
        except NotFound:
            return None
        if not can_be_copied(log):
            return FirstAnswer(turn=turn, is_private=True)
        existing = await self.turns.history_reader.existing_items(response.owner, read)
        return FirstAnswer(turn=turn, log=log) if len(existing) == len(read) else None

    async def running(self, turn: Response, *, since: float) -> FirstAnswer | None:
        """Return a turn that has not ended; None where no process has worked on it for too long.

        `since` is when it began, or was to begin. A turn that waits for an approval may wait for days: nobody follows
        it. The log of a turn that has begun shows whether it runs, and whether others may still take its answer over.
        """
        if turn.progress.wait:
            return FirstAnswer(turn=turn, is_private=True)
        is_late = self.clock.now() - since > LEASE_S
        if turn.status is ResponseStatus.QUEUED or not (is_late or turn.options.tool_config.servers):
            return None if is_late else FirstAnswer(turn=turn)
        slots = await self.turns.slots(turn.owner, turn.id)
        is_emptied = any(slot.writer == EMPTIED_BY for slot in slots)
        if is_emptied or (is_at_work(slots[-1]) and self.clock.now() - slots[-1].at > LEASE_S):
            return None
        return FirstAnswer(turn=turn, is_private=not can_be_followed(parsed(slot_prefix(turn.id), read_log, slots)))

    async def enter(self, response: Response, use: CacheUse, found: Document | None) -> bool:
        """Make a turn the one that answers its key; False where another one was faster."""
        read = sorted({item.id for item in await self.turns.history(response)})
        body: Body = {"kind": "cached_answer", "v": 1, "at": self.clock.now(), "response": response.id, "read": read}
        identifier, expires_at = answer_id(use.key), response.deadline_at + use.max_age_s
        write = (
            Replace(id=identifier, body=body, etag=found.etag, expires_at=expires_at)
            if found
            else Create(id=identifier, body=body, expires_at=expires_at)
        )
        return await commit_if_unchanged(self.store, owner_index_key(response.owner), (write,))

    async def follow(self, response: Response, first: Response) -> bool:
        """Let the end of the first turn wake another one; False where it has ended meanwhile."""

        async def step() -> bool:
            found = await self.turns.document(first.owner, first.id)
            stored = found.read_with_id(Response.from_document)
            followers = stored.progress.followers
            if stored.status.is_terminal:
                return False
            if response.id not in followers and len(followers) < MOST_FOLLOWERS:
                write = Replace(id=found.id, body=stored.with_follower(response.id).to_document(), etag=found.etag)
                await self.store.commit(response_key(first.owner, first.id), (write,))
            return True

        try:
            return await compare_and_swap(self.clock, step)
        except NotFound:
            return False

    async def take_over(self, response: Response, first: Response, answer: Transcript) -> Response:
        """End a turn with the answer of another one, in one commit; return it as stored."""

        async def step() -> Response:
            found = await self.turns.document(response.owner, response.id)
            stored = found.read_with_id(Response.from_document)
            if stored.status is not ResponseStatus.QUEUED or stored.options.cache is None:
                return stored
            now, log = self.clock.now(), await self.turns.transcript(response.owner, response.id)
            start = opening_events(stored, log, (), self.clock.token)
            copied = copied_events(answer, after_events(log, start), thread=stored.thread, new_token=self.clock.token)
            ending = Ending(
                status=ResponseStatus.COMPLETED, at=now, usage=all_cached(answer), notes=await self.notes(stored)
            )
            options = replace(stored.options, cache=replace(stored.options.cache, first=first.id))
            begun = replace(stored, options=options).begun(execution=EXECUTION, at=now)
            return await self.turns.commit_ending(found, begun, log, ending, (*start, *copied))

        return await compare_and_swap(self.clock, step)

    async def notes(self, response: Response) -> dict[str, str]:
        if not response.options.sources:
            return {}
        reports = await self.turns.retrieved_context.source_reports(response.owner, response.id)
        return source_metadata(reports or ())


def following(response: Response, use: CacheUse, first: Response) -> Response:
    return replace(response, options=replace(response.options, cache=replace(use, follows=first.id)))


def all_cached(answer: Transcript) -> TokenUsage | None:
    """Return the tokens of the first answer: all of its input was read from the cache."""
    usage = answer.ending.usage if answer.ending else None
    return replace(usage, cached_tokens=usage.input_tokens) if usage else None
