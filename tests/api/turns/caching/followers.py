"""How do tests run turns of one key at the same time, and read their streams as they grow?"""

import asyncio
import json
from collections.abc import Mapping
from contextlib import aclosing
from functools import partial
from typing import Any

from api.rendering.sse_events import DONE, frames
from api.turns.caching.live_copies import LiveCopies
from api.turns.log_stream import LogStream
from api.turns.request_costs import RequestCosts
from domain.log.writers import COPIER
from domain.money.overheads import OverheadPrices
from domain.turns.response import Response
from state.turns.cached_answers import CachedAnswers
from tests.api.harness import Api, api
from tests.fakes.backends import FakeBackend
from tests.fakes.clocks import LoopClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER, World

BODY: dict[str, Any] = {
    "model": "model",
    "input": "sing",
    "temperature": 0,
    "background": True,
    "metadata": {"cache_s": "60"},
}


def caching(model: FakeBackend, **more: Any) -> Api:
    """Return an API that keeps answers, in the time of the event loop."""
    return api(model, clock=LoopClock(), cache_s=3600.0, **more)


def log_stream(world: World[Any]) -> LogStream:
    """Return a log stream as a process of its own has it."""
    turns, clock = world.turns, world.clock
    costs = RequestCosts(ledger=world.ledger, prices=OverheadPrices(), clock=clock)
    copies = LiveCopies(CachedAnswers(turns, clock), clock)
    return LogStream(turns, clock, stream_s=1e9, poll_s=0.025, request_costs=costs, copies=copies)


class Reader:
    """Reads the stream of a turn to its end, or until it is stopped. `parts` is what came."""

    def __init__(self, world: World[Any], response: Response, *, after: int = -1) -> None:
        self.parts = b""
        self.grown = asyncio.Event()
        self.task = asyncio.create_task(self.read(world, response, after))

    async def read(self, world: World[Any], response: Response, after: int) -> None:
        async with aclosing(log_stream(world).parts(response, partial(frames, after=after))) as parts:
            async for part in parts:
                self.parts += part
                self.grown.set()

    async def shows(self, text: str) -> None:
        """Return when the deltas make up a text."""
        while self.text != text:
            await self.grows()

    async def grows(self) -> None:
        """Return after the next part. The reader must not have ended."""
        assert not self.task.done(), self.parts
        self.grown.clear()
        grown = asyncio.ensure_future(self.grown.wait())
        await asyncio.wait((self.task, grown), return_when=asyncio.FIRST_COMPLETED)
        grown.cancel()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait((self.task,))

    async def events(self) -> list[dict[str, Any]]:
        """Return all events when the stream has ended."""
        await self.task
        assert self.parts.endswith(DONE)
        return self.seen

    @property
    def seen(self) -> list[dict[str, Any]]:
        lines = self.parts.decode().split("\n")
        return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]

    @property
    def text(self) -> str:
        return "".join(each["delta"] for each in self.seen if each["type"] == "response.output_text.delta")


class Turns:
    """Turns that ask the same: the first of them calls the model."""

    body = BODY

    def __init__(self, one: Api) -> None:
        self.one = one

    async def ask(self, **changes: Any) -> Response:
        """Begin a turn whose orchestration runs."""
        answer = await self.one.create({**BODY, **changes})
        assert answer.status_code == 200, answer.text
        return await self.one.world.turns.read(OWNER, answer.json()["id"])

    def read(self, response: Response, *, after: int = -1) -> Reader:
        return Reader(self.one.world, response, after=after)

    async def shown(self, text: str) -> tuple[Response, Response, Reader]:
        """Begin two turns; return them when the second one's stream shows a text, with what reads it."""
        first, second = await self.ask(), await self.ask()
        reader = self.read(second)
        await reader.shows(text)
        return first, second, reader

    async def answer(self, response: Response) -> dict[str, Any]:
        """Return a turn that has ended and is settled."""
        await self.one.orchestrations.ended()
        return (await self.one.http.get(f"/v1/responses/{response.id}")).json()

    async def redelivered(self, response: Response) -> None:
        """Run the orchestration of a turn again, as a host does whose worker has died."""
        await self.one.world.run(response, execution=1 + self.one.orchestrations.started.index(response.id))

    def is_copied(self) -> bool:
        """Tell whether a copy of an answer that is being made is stored."""
        return f'"writer":"{COPIER}' in self.everything()

    def everything(self) -> str:
        """Return all that is stored, as text."""
        store = self.one.world.store
        assert isinstance(store, MemoryStore)
        return "\n".join(row.data.decode() for rows in store.partitions.values() for row in rows.values())

    async def account(self, response: Response) -> Mapping[str, Any]:
        return (await self.one.http.get(f"/v1/responses/{response.id}/route")).json()


async def killed(one: Api, response: Response) -> None:
    """End the orchestration of a turn in the middle of a step, as the death of its process does."""
    (task,) = (each for each in one.orchestrations.tasks if each.get_name() == response.id)
    one.orchestrations.tasks.discard(task)
    task.cancel()
    await asyncio.wait((task,))


def text_of(answer: Mapping[str, Any]) -> str:
    """Return the text of the last message of an answer."""
    return answer["output"][-1]["content"][0]["text"]
