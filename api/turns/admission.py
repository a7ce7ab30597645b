"""How does a request become a turn, once, whatever breaks on the way?

Idempotency record beside the limits, reservation, response with slot 0 of its log, start: each step is safe to repeat,
and a repeated request goes on with the response of the first. Ids of items follow from the response's, so that a repeat
writes the same ones.
"""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from azurefunctions.extensions.http.fastapi import Request

from api.parsing.input_items import InputItem, ItemReference
from api.parsing.responses_request import TurnRequest
from api.turns.history import HistoryLoader, previous_not_found
from api.turns.planner import Planner
from clients.clock import Clock
from clients.orchestrations import Orchestrations
from domain.content.items import Item
from domain.errors import Invalid, NotFound, RateLimited, Retryable, Terminal
from domain.identity.owners import Owner
from domain.ids import is_response, member_id, own_token, thread_of
from domain.log.events import EventKind, LogEvent, ResponseStatus
from domain.turns.conversations import PREFIXES
from domain.turns.response import Response
from state.money.ledger import Ledger
from state.rate_limits import RateLimiter
from state.turns.responses import TurnStore
from telemetry import current_traceparent

KEY_LIMIT = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDelivery:
    """One delivery of a request: `repeat` says that the caller may have sent it before, under this `key`."""

    key: str
    body_hash: str
    repeat: bool


def read_delivery(request: Request, body: Mapping[str, Any]) -> RequestDelivery:
    """Tell whether a request is a repeated one: by its Idempotency-Key, else by the SDKs' count of retries."""
    body_hash = digest(json.dumps(body, sort_keys=True))
    key = request.headers.get("idempotency-key")
    if key is None:
        count = request.headers.get("x-stainless-retry-count", "")
        return RequestDelivery(
            key=f"body:{body_hash}", body_hash=body_hash, repeat=count.isdecimal() and int(count[:9]) > 0
        )
    if not 1 <= len(key) <= KEY_LIMIT:
        raise Invalid(f"The header Idempotency-Key has 1 to {KEY_LIMIT} characters.", code="invalid_value")
    return RequestDelivery(key=f"key:{digest(key)}", body_hash=body_hash, repeat=True)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


class Admission:
    """Lets turns in."""

    def __init__(
        self,
        *,
        turns: TurnStore,
        ledger: Ledger,
        limits: RateLimiter,
        planner: Planner,
        clock: Clock,
        deadline_s: float,
    ) -> None:
        self.turns = turns
        self.pasts = HistoryLoader(turns, turns.conversations)
        self.ledger = ledger
        self.limits = limits
        self.planner = planner
        self.clock = clock
        self.deadline_s = deadline_s

    async def admit(
        self, owner: Owner, asked: TurnRequest, sent: RequestDelivery, orchestrations: Orchestrations
    ) -> Response:
        """Record the turn and start it; return its response, which may have begun or ended if it is a repeat."""
        self.planner.check_model_choice(asked)
        fresh = self.fresh_id(asked)
        response_id, response = await self.let_in(owner, sent, fresh, new_thread=begins_thread(asked))
        if response is None:
            response = await self.recorded(owner, asked, sent, response_id)
        if response.status is ResponseStatus.QUEUED:
            await orchestrations.start(response)
        return response

    async def let_in(
        self, owner: Owner, sent: RequestDelivery, fresh: str, *, new_thread: bool
    ) -> tuple[str, Response | None]:
        """Claim the request and count its turn; return the response's id, and the response that a repeat has.

        What has a response already counts already. Raises TooMany.
        """
        claimed, standing = fresh, None
        if not sent.repeat:
            self.limits.check(owner)
        try:
            if not sent.repeat:
                await both(self.claim(owner, sent, fresh, new_thread=new_thread), self.limits.enter(owner, fresh))
                return fresh, None
            claimed, standing = await self.held(owner, sent, fresh, new_thread=new_thread)
            if standing is None:
                await self.limits.enter(owner, claimed)
        except RateLimited:
            await self.withdraw(owner, sent, claimed, new_thread=new_thread)
            raise
        return claimed, standing

    async def held(
        self, owner: Owner, sent: RequestDelivery, fresh: str, *, new_thread: bool
    ) -> tuple[str, Response | None]:
        """Claim a request that may be a repeat, or go on with its claim."""
        while True:
            claimed = await self.claim(owner, sent, fresh, new_thread=new_thread)
            standing = None if claimed == fresh else await self.existing_response(owner, claimed)
            if claimed == fresh or standing:
                return claimed, standing
            if await self.turns.claims.hold(owner, key=sent.key, response_id=claimed):
                return claimed, None

    async def claim(self, owner: Owner, sent: RequestDelivery, fresh: str, *, new_thread: bool) -> str:
        return await self.turns.claim(
            owner,
            key=sent.key,
            body_hash=sent.body_hash,
            response_id=fresh,
            repeat=sent.repeat,
            new_thread=new_thread,
        )

    async def recorded(self, owner: Owner, asked: TurnRequest, sent: RequestDelivery, response_id: str) -> Response:
        """Record the turn; where another delivery of the request was quicker, its response is the answer.

        What is refused leaves nothing behind.
        """
        try:
            return await self.record(owner, asked, response_id)
        except Terminal:
            winner = await self.existing_response(owner, response_id)
            if winner:
                return winner
            self.limits.leave(owner, response_id)
            await self.withdraw(owner, sent, response_id, new_thread=begins_thread(asked))
            raise

    async def withdraw(self, owner: Owner, sent: RequestDelivery, response_id: str, *, new_thread: bool) -> None:
        """Take back the claim of a refused request; where the store fails, it goes by itself in ten minutes."""
        with contextlib.suppress(Retryable):
            await self.turns.claims.withdraw(owner, key=sent.key, response_id=response_id, new_thread=new_thread)

    def fresh_id(self, asked: TurnRequest) -> str:
        if asked.previous and not is_response(asked.previous):
            raise previous_not_found(asked.previous)
        thread = thread_of(asked.previous or asked.conversation or "") or self.clock.token()
        return member_id("resp", thread=thread, token=self.clock.token())

    async def existing_response(self, owner: Owner, response_id: str) -> Response | None:
        try:
            return await self.turns.read(owner, response_id)
        except NotFound:
            return None

    async def record(self, owner: Owner, asked: TurnRequest, response_id: str) -> Response:
        """Reserve the worst case, then write the response, its input and slot 0."""
        sources = self.planner.sources_of(owner, asked)
        room = self.planner.room(asked, sources)
        items = await self.items(owner, asked.input_items, response_id)
        past = await self.pasts.of(owner, asked, items, room=room)
        seen = sum(len(item.images) for item in past.read_with(items, left_out=0))
        asked = replace(asked, tool_config=replace(asked.tool_config, images=seen))
        left_out = past.left_out(asked, items, room=room)
        if left_out and not asked.truncates:
            message = (
                "The conversation has no room in any window; with truncation 'auto' its oldest turns are left out."
            )
            raise Invalid(message, field="truncation", code="context_length_exceeded")
        cost = self.planner.worst_cost(asked, past.read_with(items, left_out=left_out), sources)
        warning = await self.ledger.reserve(owner, response_id, cost)
        response = replace(
            self.response(owner, asked, response_id, items),
            reads_before=past.reads_before,
            left_out=left_out,
            history_index=past.track_with(items),
            warning=warning,
            sources=sources,
        )
        return await self.turns.admit(response, items, opening_events(response))

    async def items(self, owner: Owner, given: Sequence[InputItem], response_id: str) -> tuple[Item, ...]:
        """Give the input its ids; an item that is referred to is copied."""
        found = [await self.resolved(owner, each) for each in given]
        return tuple(replace(item, id=item_id(item, response_id, index)) for index, item in enumerate(found))

    async def resolved(self, owner: Owner, given: InputItem) -> Item:
        if isinstance(given, Item):
            return given
        return await self.referred(owner, given)

    async def referred(self, owner: Owner, reference: ItemReference) -> Item:
        try:
            return (await self.turns.items(owner, (reference.id,)))[0]
        except NotFound as error:
            raise Invalid(str(error), field=f"input[{reference.index}].id", code="item_not_found") from None

    def response(self, owner: Owner, asked: TurnRequest, response_id: str, items: Sequence[Item]) -> Response:
        now = self.clock.now()
        return Response(
            id=response_id,
            owner=owner,
            model=asked.model,
            created_at=now,
            deadline_at=now + (asked.deadline_s or self.deadline_s),
            background=asked.background,
            store=asked.store,
            previous=asked.previous,
            conversation=asked.conversation,
            instructions=asked.instructions,
            sampling=asked.sampling,
            tool_config=asked.tool_config,
            truncates=asked.truncates,
            metadata=asked.metadata,
            input_items=tuple(item.id for item in items),
            traceparent=current_traceparent(),
        )


def begins_thread(asked: TurnRequest) -> bool:
    return not (asked.previous or asked.conversation)


async def both(*steps: Awaitable[object]) -> None:
    """Do steps side by side, each to its end; raises what the first of them raised."""
    for outcome in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


def item_id(item: Item, response_id: str, index: int) -> str:
    """Return an id that follows from the response's, and lies beside others of its time."""
    at, other = token_of(response_id)[:12], digest(f"{response_id}:{index}")[:12]
    return member_id(PREFIXES[item.kind], thread=thread_of(response_id) or "", token=at + other)


def token_of(response_id: str) -> str:
    """Return the response's own token; of no response (what is only counted is not kept), none of anybody's."""
    return own_token(response_id) if response_id else "0" * 24


def opening_events(response: Response) -> tuple[LogEvent, ...]:
    """Return slot 0: a background response waits in a queue that callers see."""
    created = LogEvent(kind=EventKind.CREATED)
    return (created, LogEvent(kind=EventKind.QUEUED)) if response.background else (created,)
