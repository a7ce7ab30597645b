"""Where are the lengths of answers stored?

An owner's are in the owner's index, so that an erasure deletes them. A tenant's are beside its budgets and name no
owner.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial, reduce

from clients.clock import Clock
from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.damage import read_or_none
from clients.storage.group_commit import GroupCommit
from clients.storage.keys import owner_index_key
from clients.storage.port import Container, Create, Document, DocumentKey, DocumentStore, Replace
from domain.errors import Conflict, Retryable
from domain.fleet.catalog import Backend
from domain.identity.owners import Owner
from domain.log.events import TokenUsage
from domain.routing.answer_lengths import ENOUGH_OF_OWNER, AnswerLengths, TurnForecast, forecast

ANSWERS = "answers"
TRIES = 2
"""A length that is lost costs accuracy, and no answer."""

TENANT_S = 5.0
"""A process writes the lengths of a tenant at most this often, as soon as it has enough of them."""


MOST_AT_ONCE = 100

type LengthChange = Callable[[AnswerLengths], AnswerLengths]
type LengthChanges = GroupCommit[LengthChange, AnswerLengths]


class LearnedAnswerLengths:
    """Learns how long the answers of each owner and tenant are."""

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.changes: dict[DocumentKey, LengthChanges] = {}
        self.unwritten: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
        self.written_at: dict[str, float] = {}
        self.writing: set[str] = set()

    async def forecast(self, owner: Owner, thread: str) -> TurnForecast:
        """Return what is expected of the next turn in a thread."""
        keys = owner_index_key(owner), tenant_key(owner)
        found = await asyncio.gather(*(self.store.read(key, ANSWERS) for key in keys))
        of_owner, of_tenant = (lengths_from(each) for each in found)
        last = of_owner.calls.get(thread)
        return TurnForecast(forecast(of_owner, of_tenant, thread), last.cached(self.clock.now()) if last else None)

    async def record(self, owner: Owner, thread: str, backend: Backend, usage: TokenUsage) -> None:
        """Learn from the answer of a backend how long it was, and what of its input was cached."""
        model, tokens, now = backend.model, usage.output_tokens, self.clock.now()
        read = usage.input_tokens + tokens
        with suppress(Retryable):
            after = await self.change(
                owner_index_key(owner),
                lambda known: known.with_answer(model, tokens, thread=thread).with_call(
                    thread, backend=backend.name, tokens=read, cached=usage.cached_tokens, at=now
                ),
            )
            if len(after.models[model]) <= ENOUGH_OF_OWNER:
                await self.record_of_tenant(owner, model, tokens)

    async def record_of_tenant(self, owner: Owner, model: str, tokens: int) -> None:
        """Add a length to those of the tenant, now or with a later one: the owners of a tenant are many."""
        waiting = self.unwritten[owner.tenant]
        waiting.append((model, tokens))
        if owner.tenant in self.writing or 0 <= self.clock.now() - self.written_at.get(owner.tenant, 0.0) < TENANT_S:
            return
        self.writing.add(owner.tenant)
        try:
            await self.write_of_tenant(owner, waiting)
        finally:
            self.writing.discard(owner.tenant)

    async def write_of_tenant(self, owner: Owner, waiting: list[tuple[str, int]]) -> None:
        """Write the lengths that wait; soon again while too few are known of one of their models."""
        answers = waiting.copy()
        after = await self.change(tenant_key(owner), lambda known: reduce(with_answer, answers, known))
        if min(len(after.models[model]) for model, _ in answers) > ENOUGH_OF_OWNER:
            self.written_at[owner.tenant] = self.clock.now()
        del waiting[: len(answers)]

    async def change(self, key: DocumentKey, decide: LengthChange) -> AnswerLengths:
        """Change stored lengths; changes that come at once are written at once."""
        group = self.changes.get(key)
        if group is None:
            group = self.changes[key] = GroupCommit(partial(self.write, key), most=MOST_AT_ONCE)
        try:
            return await group.submit(decide)
        finally:
            if group.is_idle:
                self.changes.pop(key, None)

    async def write(self, key: DocumentKey, changes: Sequence[LengthChange]) -> Sequence[AnswerLengths]:
        async def step() -> Sequence[AnswerLengths]:
            found = await self.store.read(key, ANSWERS)
            after = [lengths_from(found)]
            for decide in changes:
                after.append(decide(after[-1]))
            body = {"kind": "answers", "v": 1, "at": self.clock.now(), **after[-1].to_document()}
            write = Replace(id=ANSWERS, body=body, etag=found.etag) if found else Create(id=ANSWERS, body=body)
            await self.store.commit(key, (write,))
            return after[1:]

        return await compare_and_swap(self.clock, step, tries=TRIES, retry_on=(Conflict, Retryable))


def with_answer(known: AnswerLengths, answer: tuple[str, int]) -> AnswerLengths:
    return known.with_answer(*answer)


def tenant_key(owner: Owner) -> DocumentKey:
    return DocumentKey(container=Container.MONEY, parts=(owner.tenant,))


def lengths_from(found: Document | None) -> AnswerLengths:
    return read_or_none(found, lambda document: document.read_as(AnswerLengths.from_document)) or AnswerLengths()
