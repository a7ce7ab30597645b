"""Which HTTP endpoints signal, read and list entities?"""

import json
from typing import Any

from aiohttp import web

from devhost.engine.entities import EntityScheduler
from devhost.engine.model.work_items import Entity
from devhost.protocol_v1.actions import entity_id
from devhost.protocol_v1.history import json_or_text
from devhost.protocol_v1.rest_errors import Handler, RequestRejectedError, json_body
from devhost.protocol_v1.times import status_time


def entity_of(request: web.Request) -> str:
    key = request.match_info["key"]
    return entity_id(request.match_info["name"], "" if key == "$" else key)


def entity_to_wire(entity: Entity) -> dict[str, Any]:
    _, name, key = entity.id.split("@", 2)
    return {
        "entityId": {"name": name, "key": key},
        "lastOperationTime": status_time(entity.updated),
        "state": json_or_text(entity.state),
    }


async def operation_input(request: web.Request) -> str | None:
    """Returns the input as JSON text; a body of another content type becomes a JSON string."""
    if request.content_type == "application/json" or not request.body_exists:
        return await json_body(request)
    return json.dumps(await request.text())


class EntityApi:
    def __init__(self, *, entities: EntityScheduler) -> None:
        self.entities = entities

    def routes(self, prefix: str) -> list[tuple[str, str, Handler]]:
        all_, one = f"{prefix}/entities", f"{prefix}/entities/{{name}}/{{key}}"
        return [
            ("GET", all_, self.find),
            ("GET", f"{all_}/", self.find),
            ("GET", f"{all_}/{{name}}", self.find),
            ("GET", one, self.state),
            ("POST", one, self.signal),
            ("DELETE", one, self.delete),
        ]

    async def find(self, request: web.Request) -> web.Response:
        name = request.match_info.get("name")
        found = await self.entities.find(entity_id(name, "") if name else "")
        return web.json_response([entity_to_wire(one) for one in found])

    async def state(self, request: web.Request) -> web.Response:
        state = await self.entities.state(entity_of(request))
        if state is None:
            raise RequestRejectedError(404, "No entity with this name and key exists.")
        return web.Response(text=state, content_type="application/json")

    async def signal(self, request: web.Request) -> web.Response:
        await self.entities.signal(entity_of(request), request.query.get("op", ""), await operation_input(request))
        return web.Response(status=202)

    async def delete(self, request: web.Request) -> web.Response:
        await self.entities.signal(entity_of(request), "delete", None)
        return web.Response(status=202)
