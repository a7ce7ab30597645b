"""How does the odd backend serve its answers? The model of a request names the answer, unless an option does."""

from aiohttp import web

from standins.json_values import json_object
from standins.odd.answers import ANSWERS, OddAnswer


class OddBackend:
    """Gives one of `ANSWERS` to every request; `requests` are the bodies of those that came."""

    def __init__(self, *, answer: str | None = None) -> None:
        self.answer = answer
        self.requests: list[dict[str, object]] = []

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.chat)
        app.router.add_get("/v1/models", self.models)
        return app

    async def models(self, _request: web.Request) -> web.Response:
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "standins"} for name in ANSWERS]
        return web.json_response({"object": "list", "data": data})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = json_object(await request.json()) or {}
        self.requests.append(body)
        name = self.answer or str(body.get("model"))
        if name not in ANSWERS:
            return web.json_response({"error": {"message": f"The model `{name}` does not exist."}}, status=404)
        return await self.send(request, ANSWERS[name])

    async def send(self, request: web.Request, answer: OddAnswer) -> web.StreamResponse:
        response = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
        await response.prepare(request)
        for chunk in answer.chunks:
            await response.write(chunk)
        return response
