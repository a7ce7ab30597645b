"""Does a conversation stay at the backend that has its prefix cached, until that backend fails?"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from copy import replace
from dataclasses import dataclass, field
from decimal import Decimal

from clients.backends.port import AnswerEnd, BackendCall, BackendError, TextPiece
from domain.fleet.failure_classes import Failure, FailureKind
from domain.log.events import TokenUsage
from tests.api.harness import Api, api
from tests.fakes.worlds import PRICE, backend

TURNS = 20
QUESTION = "And what is to be said about the next one of these many things? " * 4
CACHED_AT_A_TENTH = replace(PRICE, cached_input=PRICE.input / 10)
CHEAPER = replace(PRICE, name="cheaper", input=PRICE.input * Decimal("0.9"), output=PRICE.output * Decimal("0.9"))


@dataclass(slots=True)
class CachingBackend:
    """Has all prompts in its cache that it has read; its calls fail while it `is_down`."""

    is_down: bool = False
    calls: list[int] = field(default_factory=list[int])

    async def authenticate(self) -> None:
        await asyncio.sleep(0)

    async def probe(self) -> None:
        await asyncio.sleep(0)

    @asynccontextmanager
    async def stream(self, call: BackendCall) -> AsyncGenerator[AsyncIterator[TextPiece | AnswerEnd]]:
        if self.is_down:
            raise BackendError(Failure(kind=FailureKind.STATUS, status=503))
        await asyncio.sleep(0)
        yield self.speak(sum(len(item.text) for item in call.items) // 4)

    async def speak(self, tokens: int) -> AsyncIterator[TextPiece | AnswerEnd]:
        cached = min(tokens, self.calls[-1] if self.calls else 0)
        self.calls.append(tokens)
        yield TextPiece(text="This is said about it.")
        yield AnswerEnd(reason="stop", usage=TokenUsage(input_tokens=tokens, output_tokens=6, cached_tokens=cached))


async def turn(one: Api, previous: str | None) -> tuple[str, str, int]:
    """Return the id of a turn, the backend that answered it, and how much of its prompt was cached."""
    body = {"model": "model", "input": QUESTION, **({"previous_response_id": previous} if previous else {})}
    answer = (await one.http.post("/v1/responses", json=body)).json()
    assert answer["status"] == "completed", answer
    route = (await one.http.get(f"/v1/responses/{answer['id']}/route")).json()
    cached = answer["usage"]["input_tokens_details"]["cached_tokens"]
    assert route["attempts"][-1]["cached_tokens"] == cached
    return answer["id"], route["routes"][-1]["backend"], cached


async def test_twenty_turns_stay_where_their_prefix_is_until_that_backend_fails() -> None:
    first, second = CachingBackend(), CachingBackend(is_down=True)
    deployed = {
        "first": replace(backend("first"), price=CACHED_AT_A_TENTH),
        "second": replace(backend("second"), price=CHEAPER),
    }
    one = api(first, second, deployed=deployed)
    previous, backends, cached = None, list[str](), list[int]()
    for number in range(TURNS):
        second.is_down, first.is_down = number < 3, number == TURNS - 2
        one.world.clock.advance(30)
        previous, name, tokens = await turn(one, previous)
        backends.append(name)
        cached.append(tokens)
        if number == TURNS // 2:
            assert (await turn(one, None))[1] == "second", "others go where it costs less"
    assert backends == ["first"] * (TURNS - 2) + ["second"] * 2
    assert min(cached[1 : TURNS - 2]) > 0
    assert cached[TURNS - 3] > 0.9 * first.calls[-2]
