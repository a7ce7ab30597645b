"""Which response does a delivered request belong to, when clients send requests again?

A request is claimed by its Idempotency-Key or its body: a repeated request gets the response of the first. The claim
is written in parallel with the count of the rate limits.
"""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Awaitable, Iterator, Mapping
from copy import replace
from typing import Any, cast

from azurefunctions.extensions.http.fastapi import Request
from msgspec import Struct

from clients.json_text import is_plain
from domain.errors import Invalid, NotFound, RateLimited, Retryable
from domain.identity.owners import Owner
from domain.turns.response import Response
from state.rate_limits import RateLimiter
from state.turns.responses import TurnStore

KEY_LIMIT = 256
RETRY_COUNT = "x-stainless-retry-count"
"""The SDKs send with each request how often they have sent it before."""

LONG = 100_000
"""A longer string is hashed in pieces of this length."""


class RequestDelivery(Struct, frozen=True, kw_only=True):
    """One delivery of a request; `repeat` is true where the caller may have sent it before under this `key`.

    `counted`: the caller counts its tries, so it sends the request again by itself where it is rejected for now.
    """

    key: str
    body_hash: str
    repeat: bool
    counted: bool = False


class ClaimedRequest(Struct, frozen=True, kw_only=True):
    """A delivery and the response that it belongs to; `response` is None until that response is recorded."""

    owner: Owner
    delivery: RequestDelivery
    response_id: str
    new_thread: bool
    response: Response | None = None


def read_delivery(request: Request, body_hash: str) -> RequestDelivery:
    """Return how a request was delivered: a repeat has an Idempotency-Key or the SDKs' count of retries."""
    key = request.headers.get("idempotency-key")
    if key is None:
        counted = RETRY_COUNT in request.headers
        return RequestDelivery(
            key=f"body:{body_hash}", body_hash=body_hash, repeat=may_be_repeat(request), counted=counted
        )
    if not 1 <= len(key) <= KEY_LIMIT:
        message = f"Invalid header 'Idempotency-Key': expected 1 to {KEY_LIMIT} characters."
        raise Invalid(message, code="invalid_value")
    return RequestDelivery(key=f"key:{digest(key)}", body_hash=body_hash, repeat=True)


def may_be_repeat(request: Request) -> bool:
    """Return whether the caller may have sent the request before."""
    count = request.headers.get(RETRY_COUNT, "")
    return "idempotency-key" in request.headers or (count.isdecimal() and int(count[:9]) > 0)


def hash_of(body: Mapping[str, Any]) -> str:
    """Return a hash by which two bodies with the same content are the same.

    It is that of the body's JSON with sorted names, which is written in pieces, because a body may be large.
    """
    hashed = hashlib.sha256()
    for piece in pieces_of(body):
        hashed.update(piece.encode(errors="surrogatepass"))
    return hashed.hexdigest()


def pieces_of(value: Any) -> Iterator[str]:
    """Yield the pieces of JSON that together are what `json.dumps` with sorted names writes."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        for index, name in enumerate(sorted(members)):
            yield f"{', ' if index else '{'}{json.dumps(name)}: "
            yield from pieces_of(members[name])
        yield "}" if members else "{}"
    elif isinstance(value, list):
        elements = cast("list[Any]", value)
        for index, element in enumerate(elements):
            yield ", " if index else "["
            yield from pieces_of(element)
        yield "]" if elements else "[]"
    elif isinstance(value, str) and len(value) > LONG:
        yield '"'
        for start in range(0, len(value), LONG):
            piece = value[start : start + LONG]
            yield piece if piece.isascii() and is_plain(piece) else json.dumps(piece)[1:-1]
        yield '"'
    else:
        yield json.dumps(value)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


class RequestClaims:
    """Claims requests and counts their turns against the rate limits."""

    def __init__(self, *, turns: TurnStore, limits: RateLimiter) -> None:
        self.turns = turns
        self.limits = limits

    async def claim(self, new: ClaimedRequest) -> ClaimedRequest:
        """Claim a request for a new response, or return the claim of an earlier delivery; raises RateLimited.

        A turn that has a response was counted when it was admitted.
        """
        return await (self.claim_repeat(new) if new.delivery.repeat else self.claim_first(new))

    async def claim_first(self, new: ClaimedRequest) -> ClaimedRequest:
        try:
            self.limits.check(new.owner)
        except RateLimited:
            await self.disown(new)
            raise
        try:
            await both(self.write(new), self.limits.enter(new.owner, new.response_id))
        except RateLimited:
            await self.withdraw(new)
            raise
        return new

    async def disown(self, new: ClaimedRequest) -> None:
        """Let the next try of a rejected request be a turn of its own, and not that of an equal request before it."""
        if new.delivery.counted:
            with contextlib.suppress(Retryable):
                await self.turns.idempotency.forget(new.owner, new.delivery.key)

    async def claim_repeat(self, new: ClaimedRequest) -> ClaimedRequest:
        claimed = await self.join(new)
        if claimed.response is None:
            try:
                await self.limits.enter(claimed.owner, claimed.response_id)
            except RateLimited:
                await self.withdraw(claimed)
                raise
        return claimed

    async def join(self, new: ClaimedRequest) -> ClaimedRequest:
        """Return the claim of a request that may be a repeat: its own, or that of an earlier delivery."""
        while True:
            claimed = replace(new, response_id=await self.write(new))
            if claimed.response_id == new.response_id:
                return claimed
            claimed = replace(claimed, response=await self.response_of(claimed))
            if claimed.response:
                return claimed
            if await self.turns.idempotency.add_holder(
                new.owner, key=new.delivery.key, response_id=claimed.response_id
            ):
                return claimed

    async def write(self, new: ClaimedRequest) -> str:
        """Write the idempotency record; return the id of the response that the request belongs to."""
        return await self.turns.record_request(
            new.owner,
            key=new.delivery.key,
            body_hash=new.delivery.body_hash,
            response_id=new.response_id,
            repeat=new.delivery.repeat,
            new_thread=new.new_thread,
        )

    async def response_of(self, claimed: ClaimedRequest) -> Response | None:
        """Return the claimed response where a delivery of the request has recorded it."""
        try:
            return await self.turns.read(claimed.owner, claimed.response_id)
        except NotFound:
            return None

    async def release(self, claimed: ClaimedRequest) -> None:
        """Release the claim and the rate limits of a turn that was rejected."""
        self.limits.leave(claimed.owner, claimed.response_id)
        await self.withdraw(claimed)

    async def withdraw(self, claimed: ClaimedRequest) -> None:
        """Delete the claim of a rejected request; where the store fails, the claim expires in ten minutes."""
        with contextlib.suppress(Retryable):
            await self.turns.idempotency.remove_holder(
                claimed.owner,
                key=claimed.delivery.key,
                response_id=claimed.response_id,
                new_thread=claimed.new_thread,
            )


async def both(*steps: Awaitable[object]) -> None:
    """Run steps in parallel, each to its end; raises the first error among them."""
    for outcome in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
