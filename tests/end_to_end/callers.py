"""How does a caller reach the product over HTTP, follow a turn through any break, and look into it from outside?"""

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from openai import AsyncOpenAI

from standins.cluster.local_cluster import LocalCluster
from tests.end_to_end.waiting import GUARD_S, eventually

type Json = dict[str, Any]

TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed"})
PINNED = "scripted@scripted"
AFRESH = "scripted@scripted-afresh"
GATEWAY = frozenset({502, 503})
DURABLE = "/runtime/webhooks/durabletask"
BREAK_S = 0.05


def asking(text: str, model: str = PINNED, **more: Any) -> Json:
    """Return a body that no other request has, so that the model's record of it is found by its instructions."""
    return {"model": model, "input": text, "instructions": f"turn {secrets.token_hex(8)}", **more}


def counted(number: int) -> str:
    """Return what the scripted model says to `COUNT number`."""
    return " ".join(map(str, range(1, number + 1)))


@dataclass(slots=True, kw_only=True)
class Reading:
    """What a reader of one stream has seen, `raw` as it came; `breaks` counts how often it was cut off, `clean` how
    often silently.
    """

    body: Json
    events: list[Json] = field(default_factory=list[Json])
    raw: list[str] = field(default_factory=list[str])
    done: bool = False
    breaks: int = 0
    clean: int = 0
    tries: int = 0

    @property
    def id(self) -> str:
        """The response's id, which the first event names."""
        return self.events[0]["response"]["id"]

    @property
    def response(self) -> Json:
        """The object that the last event of a whole stream carries."""
        return self.events[-1]["response"]

    @property
    def numbers(self) -> list[int]:
        return [event["sequence_number"] for event in self.events]

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def text(self) -> str:
        return "".join(event["delta"] for event in self.events if event["type"] == "response.output_text.delta")

    def take(self, data: str) -> None:
        if data == "[DONE]":
            self.done = True
        else:
            self.events.append(json.loads(data))
            self.raw.append(data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """One person or application in front of one cluster."""

    cluster: LocalCluster
    token: str
    http: httpx.AsyncClient

    async def create(self, body: Json, **headers: str) -> httpx.Response:
        return await self.http.post("/v1/responses", json=body, headers=headers)

    async def replay(self, response_id: str, *, after: int | None = None) -> Reading:
        """Read a response's stream once, from its beginning or behind an event."""
        reading = Reading(body={})
        point = {} if after is None else {"starting_after": str(after)}
        async with self.http.stream(
            "GET", f"/v1/responses/{response_id}", params={"stream": "true", **point}
        ) as answer:
            await read_into(reading, answer)
        return reading

    async def get(self, response_id: str, **query: str) -> httpx.Response:
        return await self.http.get(f"/v1/responses/{response_id}", params=query)

    async def poll(self, response_id: str) -> Json:
        answer = await self.get(response_id)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def cancel(self, response_id: str) -> httpx.Response:
        return await self.http.post(f"/v1/responses/{response_id}/cancel")

    async def report(self, response_id: str) -> Json:
        answer = await self.http.get(f"/v1/responses/{response_id}/route")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def follow(self, body: Json) -> Reading:
        """Ask with a stream and read it to its end, as often as it breaks."""
        reading = Reading(body={**body, "stream": True})
        await self.follow_on(reading)
        return reading

    async def follow_on(self, reading: Reading, *, until: int | None = None) -> None:
        """Read to the end, or until as many events as `until` are read."""
        while not reading.done and (until is None or len(reading.events) < until):
            try:
                await self.read_once(reading, until)
            except httpx.TransportError:
                reading.breaks += 1
                await asyncio.sleep(BREAK_S)

    async def read_once(self, reading: Reading, until: int | None) -> None:
        async with self.open_stream(reading) as answer:
            if answer.status_code in GATEWAY:
                reading.breaks += 1
                await asyncio.sleep(BREAK_S)
                return
            await read_into(reading, answer, until)

    @asynccontextmanager
    async def open_stream(self, reading: Reading) -> AsyncGenerator[httpx.Response]:
        """Repeat the request, as the SDKs do, until its first event names the response; then go on behind the last."""
        if not reading.events:
            headers = {"x-stainless-retry-count": str(reading.tries)}
            reading.tries += 1
            opened = self.http.stream("POST", "/v1/responses", json=reading.body, headers=headers)
        else:
            query = {"stream": "true", "starting_after": str(reading.numbers[-1])}
            opened = self.http.stream("GET", f"/v1/responses/{reading.id}", params=query)
        async with opened as answer:
            yield answer

    async def sweep(self) -> None:
        """Run a sweep to its end; one that dies with its worker is run again."""

        async def swept() -> bool | None:
            answer = await self.http.post("/admin/functions/sweeper", params={"wait": "true"})
            assert answer.status_code == 200 or "The worker ended" in answer.text, answer.text
            return True if answer.status_code == 200 else None

        await eventually(swept, what="a sweep")

    async def start_orchestration(self, instance: str, given: Json) -> int:
        """Start a turn's orchestration past the product; return the host's status."""
        answer = await self.http.post(f"{DURABLE}/orchestrators/respond/{instance}", json=given)
        return answer.status_code

    async def orchestration(self, instance: str) -> Json | None:
        answer = await self.http.get(f"{DURABLE}/instances/{instance}")
        return None if answer.status_code == 404 else answer.json()

    async def orchestration_ended(self, instance: str, *, within_s: float = GUARD_S) -> Json:
        """Wait for an orchestration's end and return its status."""

        async def look() -> Json | None:
            found = await self.orchestration(instance)
            return found if found and found["runtimeStatus"] in {"Completed", "Failed", "Terminated"} else None

        return await eventually(look, within_s=within_s, what=f"the end of the orchestration {instance}")

    async def model_calls(self, body: Json, model: str = "scripted") -> list[Json]:
        """Return what a scripted model recorded of the calls for one turn."""
        answer = await self.http.get(f"{self.cluster.model_url(model)}/admin/requests")
        given = body["messages"][:1] if "messages" in body else [{"role": "system", "content": body["instructions"]}]
        return [entry for entry in answer.json()["requests"] if entry["messages"][:1] == given]

    def sdk(self, **options: Any) -> AsyncOpenAI:
        return AsyncOpenAI(base_url=f"{self.cluster.base_url}/v1", api_key=self.token, **options)


async def read_into(reading: Reading, answer: httpx.Response, until: int | None = None) -> None:
    """Read a stream to its end, or until so many events are read in all."""
    assert answer.status_code == 200, (await answer.aread()).decode()
    async for line in answer.aiter_lines():
        if line.startswith("data: "):
            reading.take(line.removeprefix("data: "))
        if until is not None and len(reading.events) >= until:
            return
    reading.clean += not reading.done


@asynccontextmanager
async def calling(cluster: LocalCluster, token: str | None = None) -> AsyncGenerator[Caller]:
    given = token or cluster.token()
    headers = {"authorization": f"Bearer {given}"}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(
        base_url=cluster.base_url, headers=headers, timeout=60, trust_env=False, limits=limits
    ) as http:
        yield Caller(cluster=cluster, token=given, http=http)
