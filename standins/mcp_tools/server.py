"""How does a shop serve its tools over MCP? It is a server of the official SDK, with a count of its effects.

GET /__effects (all effects and requests) · PUT /__faults (see standins.mcp_tools.faults) · POST /mcp
"""

import json
from typing import Any

import anyio
from mcp.server.mcpserver import Context, Image, MCPServer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse

from standins.json_values import Json
from standins.mcp_tools.faults import FaultyApp, McpFaults
from standins.mcp_tools.pictures import DOT

STEP_S = 0.05


class McpShop:
    """The shop. `effects` are the refunds and notes that it made, in their order; `changes` are new descriptions."""

    def __init__(self, *, is_old: bool = False) -> None:
        self.effects: list[Json] = []
        self.refunds: dict[str, Json] = {}
        self.faults = McpFaults(is_old=is_old)
        self.server = MCPServer("shop", log_level="ERROR")
        self.add_tools()

    def add_tools(self, find: str = "Finds an order by its number.") -> None:
        add = self.server.add_tool
        add(self.find_order, description=find)
        add(self.refund_order, description="Refunds an order, once for each key.")
        add(self.send_note, description="Sends a note, which cannot be taken back.")
        add(self.wait, description="Takes its time, and says so.")
        add(self.picture, description="Shows a picture.")
        add(self.fail, description="Fails.")

    def change(self, description: str) -> None:
        """Describe a tool in other words, as a server may do at any time."""
        self.server.remove_tool("find_order")
        self.server.add_tool(self.find_order, description=description)

    async def find_order(self, number: str) -> dict[str, str]:
        await anyio.lowlevel.checkpoint()
        return {"number": number, "status": "on its way"}

    async def refund_order(self, number: str, key: str) -> dict[str, Any]:
        if key not in self.refunds:
            self.effects.append({"kind": "refund", "number": number, "key": key})
            self.refunds[key] = {"refund": f"R-{len(self.effects)}"}
        await anyio.sleep(self.faults.delay_s)
        return self.refunds[key]

    async def send_note(self, text: str) -> dict[str, int]:
        self.effects.append({"kind": "note", "text": text})
        await anyio.sleep(self.faults.delay_s)
        return {"note": len(self.effects)}

    async def wait(self, steps: int, context: Context[Any]) -> str:
        for step in range(steps):
            await anyio.sleep(STEP_S)
            await context.report_progress(step, steps)
        return f"waited {steps} steps"

    async def picture(self) -> Image:
        await anyio.lowlevel.checkpoint()
        return Image(data=DOT, format="png")

    async def fail(self) -> str:
        await anyio.lowlevel.checkpoint()
        raise ValueError("there is nothing left")

    def application(self) -> FaultyApp:
        app: Starlette = self.server.streamable_http_app()
        app.add_route("/__effects", self.list_effects, methods=["GET"])
        app.add_route("/__faults", self.set_fault, methods=["PUT"])
        return FaultyApp(app, self.faults)

    async def list_effects(self, _request: Request) -> JSONResponse:
        await anyio.lowlevel.checkpoint()
        return JSONResponse({"effects": self.effects, "requests": self.faults.requests})

    async def set_fault(self, request: Request) -> JSONResponse:
        body = json.loads(await request.body())
        self.faults.set(body)
        if "description" in body:
            self.change(str(body["description"]))
        return JSONResponse(body)
