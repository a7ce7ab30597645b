"""How does the shop serve its tools?

GET /v1/orders/{number} · POST /v1/refunds (recognizes a repeated Idempotency-Key) · POST /v1/notes (recognizes none) ·
GET /__effects (all effects and requests) · PUT /__faults ({"path", "fault"}; see standins.tools.faults)
"""

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from standins.clock import now
from standins.json_values import Json, body_object, json_object
from standins.tools.faults import Faults, answer

ORDERS: dict[str, Json] = {
    "A-1001": {"number": "A-1001", "article": "a telescope with a brass tube", "status": "on its way"},
    "A-1002": {"number": "A-1002", "article": "a chart of the southern sky", "status": "delivered"},
}
KEY = "Idempotency-Key"
ADMINISTRATION = "/__"


class Shop:
    """The shop. `effects` are the refunds and notes that it made, `requests` is every request that arrived.

    A request is `open` until it is answered; a delayed one also ends when its caller hangs up. `started` and `ended`
    are seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float] = now) -> None:
        self.clock = clock
        self.effects: list[Json] = []
        self.requests: list[Json] = []
        self.refunds: dict[str, Json] = {}
        self.faults = Faults()

    def application(self) -> web.Application:
        application = web.Application(middlewares=[self.with_faults])
        application.router.add_get("/v1/orders/{number}", self.order)
        application.router.add_post("/v1/refunds", self.refund)
        application.router.add_post("/v1/notes", self.note)
        application.router.add_get("/__effects", self.list_effects)
        application.router.add_put("/__faults", self.set_fault)
        return application

    @web.middleware
    async def with_faults(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path.startswith(ADMINISTRATION):
            return await handler(request)
        key, headers = request.headers.get(KEY, ""), dict(request.headers)
        entry: Json = {"path": request.path, "key": key, "headers": headers, "open": True, "started": self.clock()}
        self.requests.append(entry)
        try:
            return await answer(request, self.faults.of(request.path), lambda: handler(request))
        finally:
            entry |= {"open": False, "ended": self.clock()}

    async def order(self, request: web.Request) -> web.Response:
        found = ORDERS.get(request.match_info["number"])
        return web.json_response(found or {"error": "order not found"}, status=200 if found else 404)

    async def refund(self, request: web.Request) -> web.Response:
        """Refund once for each key; a request without a key is refunded each time."""
        body = await read_body(request)
        key = request.headers.get(KEY, "")
        if key and key in self.refunds:
            return web.json_response(self.refunds[key])
        made = {"refund": f"R-{len(self.effects) + 1}", "number": body.get("number"), "amount": body.get("amount")}
        self.effects.append({"kind": "refund", "key": key, "body": body})
        self.refunds[key] = made
        return web.json_response(made)

    async def note(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        self.effects.append({"kind": "note", "key": "", "body": body})
        return web.json_response({"note": len(self.effects)})

    async def list_effects(self, _request: web.Request) -> web.Response:
        return web.json_response({"effects": self.effects, "requests": self.requests})

    async def set_fault(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        self.faults.set(str(body.get("path", "/v1")), json_object(body.get("fault")) or {})
        return web.json_response(body)


async def read_body(request: web.Request) -> Json:
    """Return the JSON object of a request; one without it is answered 400."""
    try:
        return body_object(await request.read())
    except ValueError as problem:
        text = json.dumps({"error": str(problem)})
        raise web.HTTPBadRequest(text=text, content_type="application/json") from None
