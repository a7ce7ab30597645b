"""What does a caller do: ask over HTTP, ask again after a failure or give up, follow the stream, cancel?

A request is repeated under its idempotency key, a broken stream is resumed after its last event.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from domain.identity.owners import Owner
from tests.fakes.clocks import LoopClock
from tests.simulation.identity import Issuer
from tests.simulation.web import ConnectionLostError, Exchange, WebRequest
from tests.simulation.worker import ProductWorker

RESPONSES = "/v1/responses"
MODES: tuple[dict[str, bool], ...] = ({"background": True}, {"background": True, "stream": True}, {"stream": True}, {})
PATIENCE_S = 400.0
"""Shorter than an idempotency key is remembered."""

TERMINAL = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")


@dataclass(slots=True, kw_only=True)
class Caller:
    """One owner's wish for one turn. `response` is its id once the caller knows it."""

    number: int
    owner: Owner
    issuer: Issuer
    worker: ProductWorker
    random: Random
    counts: Counter[str]
    clock: LoopClock = field(default_factory=LoopClock)
    response: str = ""
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    events: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    is_done: bool = False

    async def run(self) -> None:
        """Ask for the turn and follow it to its end."""
        try:
            await self.clock.sleep(self.random.uniform(0, 20))
            await self.ask()
        finally:
            self.answered.set()
        while self.response and not self.is_done:
            await self.follow()
            await self.clock.sleep(self.random.choice([0.2, 3.0, 8.0]))

    async def ask(self) -> None:
        """Post the request until it is answered. A caller may also lose patience, or give up after a failure."""
        body = {"model": "model", "input": "count", "metadata": {"request": str(self.number)}}
        body |= self.random.choice(MODES)
        patient, until = self.random.random() < 1 / 2, self.clock.now() + PATIENCE_S
        while not self.answered.is_set() and self.clock.now() < until:
            exchange = await self.post(body)
            if self.answered.is_set():
                return
            if not patient and self.random.random() < 1 / 2:
                self.counts["given up"] += 1
                return
            await self.clock.sleep(max(1.0, float(exchange.headers.get("retry-after", 0))))
        self.counts["given up"] += not self.answered.is_set()

    async def post(self, body: dict[str, Any]) -> Exchange:
        """Send the request, sometimes twice at once."""
        key = {"idempotency-key": f"request-{self.number}"}
        if self.random.random() < 0.1:
            self.counts["repeated requests"] += 1
            twin = self.exchange("POST", RESPONSES, body=body, headers=key)
            exchange, _ = await asyncio.gather(
                self.exchange("POST", RESPONSES, body=body, headers=key, see=self.learn), twin
            )
            return exchange
        return await self.exchange("POST", RESPONSES, body=body, headers=key, see=self.learn)

    def learn(self, exchange: Exchange) -> None:
        """Take the id of the response from the answer, or the verdict that there will be none."""
        if exchange.status == 200 and exchange.headers["content-type"].startswith("text/event-stream"):
            self.take(exchange)
            if self.events:
                self.know(self.events[0]["response"]["id"])
        elif exchange.status == 200 and exchange.body:
            self.know(exchange.json["id"])
        elif exchange.status == 429:
            assert exchange.json["error"]["code"] == "insufficient_quota", exchange.body
            self.counts["refused for a budget"] += 1
            self.answered.set()

    def know(self, response: str) -> None:
        self.response = response
        self.answered.set()

    async def follow(self) -> None:
        """Read the stream after the last event, up to its end, the next failure or a pause of the caller."""
        after = f"&starting_after={self.events[-1]['sequence_number']}" if self.events else ""
        path = f"{RESPONSES}/{self.response}"
        await self.exchange("GET", path, query=f"stream=true{after}", see=self.take, patience_s=self.patience())

    def patience(self) -> float:
        return self.random.choice([1.0, 5.0, PATIENCE_S])

    def take(self, exchange: Exchange) -> None:
        """Take the events of a stream. They continue where the last stream ended."""
        if exchange.status != 200:
            return
        self.events += exchange.events
        assert [event["sequence_number"] for event in self.events] == list(range(len(self.events)))
        self.is_done = exchange.is_whole
        assert not self.is_done or self.events[-1]["type"] in TERMINAL, self.events

    async def cancel(self) -> None:
        """Cancel the turn; its end may have come first."""
        await self.clock.sleep(self.random.uniform(0, 10))
        await self.exchange("POST", f"{RESPONSES}/{self.response}/cancel")
        self.counts["cancels"] += 1

    async def exchange(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        body: Any = None,
        headers: dict[str, str] | None = None,
        token: str = "",
        see: Callable[[Exchange], None] = lambda _: None,
        patience_s: float = PATIENCE_S,
    ) -> Exchange:
        """Send a request and let `see` look at what came of it. No failure is an answer of its own."""
        sent = {"authorization": f"Bearer {token or self.issuer.token(self.owner)}", **(headers or {})}
        data = json.dumps(body).encode() if body is not None else b""
        sent |= {"content-type": "application/json", "content-length": str(len(data))} if data else {}
        exchange = Exchange(WebRequest(method=method, path=path, query=query, headers=sent, body=data))
        serving = asyncio.ensure_future(self.worker.serve(exchange))
        await asyncio.wait({serving}, timeout=patience_s)
        exchange.hung_up.set()
        try:
            await serving
        except ConnectionLostError:
            self.counts["lost connections"] += 1
        assert exchange.status in (0, 200, 400, 401, 404, 429, 503), exchange
        see(exchange)
        return exchange
