"""How does a company's private data answer? Orders like a service of its own, documents like Azure AI Search.

GET /v1/orders?tenant=…&account=… · POST /indexes/documents/docs/search?api-version=2024-07-01 ·
GET /__requests (all recorded requests) · PUT /__faults ({"delay_s", "status", "redirect"}: the fault from now on)
"""

import asyncio
import re
from typing import Any

from aiohttp import web

from standins.issuer.entra_tokens import guid_of
from standins.json_values import Json, json_object
from standins.private_data.accounts import documents, orders_of
from standins.private_data.odata_filter import FilterError, conditions_in

VERSION = "2024-07-01"
WORD = re.compile(r"\w+")
ADMINISTRATION = "/__"


class PrivateData:
    """Both services on one port, with a record of their requests."""

    def __init__(self) -> None:
        self.requests: list[Json] = []
        self.faults: Json = {}

    def application(self) -> web.Application:
        application = web.Application(middlewares=[self.record_request])
        application.router.add_get("/v1/orders", self.orders)
        application.router.add_post("/indexes/{index}/docs/search", self.search)
        application.router.add_get("/__requests", self.list_requests)
        application.router.add_put("/__faults", self.set_faults)
        return application

    @web.middleware
    async def record_request(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path.startswith(ADMINISTRATION):
            return await handler(request)
        body = await request.text()
        self.requests.append({"path": request.path_qs, "body": body, "headers": dict(request.headers)})
        await asyncio.sleep(self.faults.get("delay_s", 0))
        if "redirect" in self.faults:
            raise web.HTTPFound(str(self.faults["redirect"]))
        if "status" in self.faults:
            return web.json_response({"error": "as planned"}, status=int(self.faults["status"]))
        return await handler(request)

    async def orders(self, request: web.Request) -> web.Response:
        tenant, account = request.query.get("tenant"), request.query.get("account")
        if not tenant or not account:
            return web.json_response({"error": "tenant and account are required"}, status=400)
        return web.json_response({"orders": orders_of(tenant, account)})

    async def search(self, request: web.Request) -> web.Response:
        body = json_object(await request.json()) or {}
        if request.query.get("api-version") != VERSION:
            return web.json_response(
                {"error": {"code": "", "message": f"the api-version must be {VERSION}"}}, status=400
            )
        if request.match_info["index"] != "documents":
            return web.json_response({"error": {"code": "", "message": "index not found"}}, status=404)
        try:
            conditions = conditions_in(str(body.get("filter", "")))
        except FilterError as error:
            return web.json_response({"error": {"code": "InvalidFilter", "message": str(error)}}, status=400)
        return web.json_response({"value": search_results(body, conditions)})

    async def list_requests(self, _request: web.Request) -> web.Response:
        return web.json_response({"requests": self.requests})

    async def set_faults(self, request: web.Request) -> web.Response:
        self.faults = json_object(await request.json()) or {}
        return web.json_response(self.faults)


def search_results(body: Json, conditions: dict[str, str]) -> list[Json]:
    """Gives the documents that pass the filter and contain a word of the search, most matches first."""
    words = {word.casefold() for word in WORD.findall(str(body.get("search", "*")))}
    selected = [name for name in str(body.get("select", "")).split(",") if name]
    scored: list[tuple[int, Json]] = []
    for account, each in documents():
        owner = {
            "tenant": guid_of("tenant", account.tenant),
            "account": guid_of("user", f"{account.tenant}/{account.user}"),
        }
        whole = {**each, **owner}
        score = len(words & {word.casefold() for word in WORD.findall(f"{each['title']} {each['text']}")})
        if all(whole.get(name) == value for name, value in conditions.items()) and (score or not words):
            shown = {name: whole[name] for name in selected if name in whole} if selected else whole
            scored.append((score, {"@search.score": float(score), **shown}))
    scored.sort(key=lambda pair: -pair[0])
    return [document for _, document in scored[: int(body.get("top", 50))]]
