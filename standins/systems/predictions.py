"""How does Replicate keep the predictions of a language model, and how are they read and cancelled?"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from standins.clock import now
from standins.json_values import Json
from standins.systems.chat import choice_of, chunks_of, lines_of
from standins.systems.identities import Bearer

ROOT = "/v1/systems/replicate/v1"


@dataclass(slots=True)
class Prediction:
    """One prediction; it is written whether somebody reads it or not."""

    id: str
    input: Json
    status: str = "starting"
    output: list[str] | None = None
    error: str | None = None
    metrics: Json = field(default_factory=dict[str, Any])
    task: asyncio.Task[None] | None = None

    def to_json(self, origin: str) -> Json:
        place = f"{origin}{ROOT}/predictions/{self.id}"
        return {
            "id": self.id,
            "model": "owner/name",
            "version": "hidden",
            "status": self.status,
            "input": self.input,
            "output": self.output,
            "logs": "",
            "error": self.error,
            "metrics": self.metrics,
            "created_at": "2026-11-29T00:00:00Z",
            "urls": {"get": place, "cancel": f"{place}/cancel", "stream": f"{place}/stream"},
        }


class Predictions:
    """The predictions of one account."""

    def __init__(self, client: Callable[[], aiohttp.ClientSession]) -> None:
        self.client = client
        self.identity = Bearer()
        self.known: dict[str, Prediction] = {}

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_post(f"{ROOT}/models/{{owner}}/{{name}}/predictions", self.create)
        router.add_get(f"{ROOT}/models/{{owner}}/{{name}}/versions", self.versions)
        router.add_get(f"{ROOT}/predictions/{{id}}", self.get)
        router.add_post(f"{ROOT}/predictions/{{id}}/cancel", self.cancel)
        router.add_get("/admin/predictions", self.listing)

    async def create(self, request: web.Request) -> web.Response:
        if refused := self.identity.refusal(request, b""):
            return refused
        prediction = Prediction(id=f"p{len(self.known)}", input=json.loads(await request.read())["input"])
        if "FAIL 429" in prediction.input["prompt"]:
            return web.json_response({"detail": "throttled"}, status=429, headers={"Retry-After": "1"})
        self.known[prediction.id] = prediction
        origin = f"http://{request.host}"
        prediction.task = asyncio.create_task(self.write(prediction, origin))
        return web.json_response(prediction.to_json(origin), status=201)

    async def write(self, prediction: Prediction, origin: str) -> None:
        system = prediction.input.get("system_prompt", "")
        messages = [{"role": "system", "content": system}, {"role": "user", "content": prediction.input["prompt"]}]
        chat = {
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": prediction.input.get("max_tokens"),
        }
        try:
            async with self.client().post(f"{origin}/v1/chat/completions", json=chat) as answer:
                answer.raise_for_status()
                prediction.status, prediction.output = "processing", []
                began = now()
                async for chunk in chunks_of(lines_of(answer)):
                    delta: Json = choice_of(chunk).get("delta") or {}
                    if text := delta.get("content"):
                        prediction.output.append(text)
                    if usage := chunk.get("usage"):
                        prediction.metrics["input_token_count"] = usage["prompt_tokens"]
                        prediction.metrics["output_token_count"] = usage["completion_tokens"]
            prediction.metrics["predict_time"] = round(now() - began, 6)
            prediction.status = "succeeded"
        except aiohttp.ClientError as problem:
            prediction.status, prediction.error = "failed", f"Prediction failed: {problem}"
        except asyncio.CancelledError:
            prediction.status = "canceled"

    async def get(self, request: web.Request) -> web.Response:
        found = self.known.get(request.match_info["id"])
        if refused := self.identity.refusal(request, b""):
            return refused
        if found is None:
            return not_found()
        return web.json_response(found.to_json(f"http://{request.host}"))

    async def cancel(self, request: web.Request) -> web.Response:
        found = self.known.get(request.match_info["id"])
        if refused := self.identity.refusal(request, b""):
            return refused
        if found is None:
            return not_found()
        if found.task:
            found.task.cancel()
            await asyncio.gather(found.task, return_exceptions=True)
        return web.json_response(found.to_json(f"http://{request.host}"))

    async def versions(self, request: web.Request) -> web.Response:
        return self.identity.refusal(request, b"") or web.json_response({"results": []})

    async def listing(self, request: web.Request) -> web.Response:
        found = [each.to_json(f"http://{request.host}") for each in self.known.values()]
        return web.json_response({"predictions": found})


def not_found() -> web.Response:
    return web.json_response({"detail": "The requested resource could not be found."}, status=404)
