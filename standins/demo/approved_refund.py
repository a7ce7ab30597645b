"""How does the demo show an approval: a call that waits for it, a crash while the call runs, and one effect?"""

import asyncio
import json
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from openai import AsyncOpenAI
from openai.types.responses import ResponseOutputItemDoneEvent
from openai.types.responses.response_output_item import McpApprovalRequest, McpApprovalResponse, McpCall

from standins.cluster.local_cluster import LocalCluster
from standins.demo.terminal import TerminalScreen
from standins.demo.turn_stream import DemoError, TurnReader, check, events_of, resumed
from standins.json_values import Json
from standins.paths import ROOT
from standins.tools.server import ORDERS

SHOP: Final[Any] = {
    "type": "mcp",
    "server_label": "shop",
    "allowed_tools": ["find_order", "refund_order"],
    "require_approval": {"always": {"read_only": False}},
}
LOOKUP: Final = ["shop__find_order", {"number": "A-1001"}]
PAY_BACK: Final = ["shop__refund_order", {"number": "A-1001", "amount": 5}]
REFUNDS: Final = "/v1/refunds"
HOLD_S: Final = 30
"""The shop keeps the first refund's answer back for so long: the crash comes in between."""

WAIT_S: Final = "86400"
LOOK_S: Final = 0.02
OPEN_S: Final = 60.0
TOKENS: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user asks for; a small model has to be told which tool to call."""

    text: str
    tool_choice: Any = "auto"
    calls: int = 1


REFUND: Final[Any] = {"type": "mcp", "server_label": "shop", "name": "refund_order"}
WISHES: Mapping[str, Wish] = {
    "real": Wish(text="Please refund 5 dollars of the order A-1001.", tool_choice=REFUND),
    "scripted": Wish(text=f"PLAN {json.dumps([[LOOKUP], [PAY_BACK]])} THEN The order is refunded.", calls=2),
}


REFUND_TABLE: Final = "[servers.shop.tools.refund_order]"
ANY_NUMBER: Final = 'arguments.number = { schema = { type = "string", maxLength = 40 } }'


def tools_in(folder: Path) -> Mapping[str, str]:
    """Writes tools whose refund takes the shop's own order numbers alone; gives the variable that names them.

    A small model writes any text where the schema allows it.
    """
    before, table, after = (ROOT / "tools.toml").read_text(encoding="utf-8").partition(REFUND_TABLE)
    known = f'arguments.number = {{ schema = {{ type = "string", enum = {json.dumps(sorted(ORDERS))} }} }}'
    file = folder / "tools.toml"
    file.write_text(before + table + after.replace(ANY_NUMBER, known, 1), encoding="utf-8")
    return {"GANGLION_TOOLS": str(file)}


class ApprovedRefund:
    """One turn that asks, waits in place, and goes on."""

    def __init__(self, *, cluster: LocalCluster, client: AsyncOpenAI, screen: TerminalScreen, shop: str) -> None:
        self.cluster = cluster
        self.client = client
        self.screen = screen
        self.shop = shop

    async def ask(self, wish: Wish) -> tuple[TurnReader, str]:
        """Asks for a refund; gives what was read of the turn, which waits in place, and the id of its request."""
        self.screen.field("you", wish.text, "you")
        stream = await self.client.responses.create(
            model="auto",
            input=wish.text,
            tools=[SHOP],
            tool_choice=wish.tool_choice,
            parallel_tool_calls=False,
            max_tool_calls=wish.calls,
            background=True,
            metadata={"approval_wait_s": WAIT_S},
            stream=True,
            temperature=0,
            max_output_tokens=TOKENS,
        )
        reader, request = TurnReader(), None
        async with aclosing(events_of(stream)) as events:
            async for event in events:
                reader.read(event)
                item = event.item if isinstance(event, ResponseOutputItemDoneEvent) else None
                if isinstance(item, McpCall):
                    self.screen.field("tool", f"{item.name} {item.arguments}: {item.status}")
                if isinstance(item, McpApprovalRequest):
                    request = item
                    break
        if request is None:
            raise DemoError("the turn does not ask for an approval")
        check("nothing is refunded before the approval", holds=not await self.refunds())
        waits = "The turn waits for an answer for up to a day, while nothing runs"
        self.screen.field("asks", f"{request.name} {request.arguments}? {waits}")
        return reader, request.id

    async def approve(self, reader: TurnReader, request_id: str) -> TurnReader:
        """Approves the call, kills the worker while the shop works on it, and reads the answer to its end."""
        async with httpx.AsyncClient() as http:
            fault = {"path": REFUNDS, "fault": {"delay_s": HOLD_S, "times": 1}}
            (await http.put(f"{self.shop}/__faults", json=fault)).raise_for_status()
        place, body = f"/responses/{reader.response_id}/approvals", {"approval_request_id": request_id, "approve": True}
        await self.client.post(place, body=body, cast_to=McpApprovalResponse)
        self.screen.field("you", "approved", "you")
        await self.kill_in_mid_call()
        async for piece in resumed(self.client, reader):
            self.screen.write("model", piece)
        if "refund" not in reader.checked_response().output_text.casefold():
            self.screen.field("note", "the call has run; a model of this size may not say so")
        await self.check_effect(request_id)
        return reader

    async def kill_in_mid_call(self) -> None:
        """Kills the worker as soon as the shop has refunded, and before it answers."""
        async with asyncio.timeout(OPEN_S):
            while not await self.refunds():  # noqa: ASYNC110 - another process has the effect
                await asyncio.sleep(LOOK_S)
        killed = self.cluster.kill_worker()
        self.screen.field("crash", f"worker process {killed} killed (kill -9) while the shop worked on it", "crash")

    async def check_effect(self, request_id: str) -> None:
        """Checks that the call was sent again under the same key, and had one effect."""
        requests = [each for each in (await self.counted())["requests"] if each["path"] == REFUNDS]
        check("the call is sent again after the crash", holds=len(requests) > 1)
        check("each request has the key of the approval", holds={each["key"] for each in requests} == {request_id})
        check("there is one refund", holds=len(await self.refunds()) == 1)
        self.screen.field("effect", f"1 refund from {len(requests)} requests: each had the same key")

    async def refunds(self) -> list[Json]:
        return [effect for effect in (await self.counted())["effects"] if effect["kind"] == "refund"]

    async def counted(self) -> Json:
        async with httpx.AsyncClient() as http:
            return (await http.get(f"{self.shop}/__effects")).json()
