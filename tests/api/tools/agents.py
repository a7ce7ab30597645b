"""How does a test set up an API whose model calls tools that the server runs?"""

import json
from collections.abc import AsyncIterator, Sequence
from copy import replace
from typing import Any

from clients.backends.chat_request import request_body
from clients.backends.port import AnswerEnd, TextPiece
from clients.tools.port import ToolConnector
from domain.content.capabilities import Capability
from domain.content.tools import FunctionCall
from domain.log.events import TokenUsage
from domain.tools.catalog import ToolServers
from tests.api.harness import Api, api
from tests.fakes.backends import Act, FakeBackend
from tests.fakes.tools import FakeTools, shop
from tests.fakes.worlds import backend

SHOP: Any = {"type": "mcp", "server_label": "shop", "require_approval": "never"}


def calls(*named: tuple[str, dict[str, Any]]) -> list[Act]:
    """Return an answer that calls functions, in one round."""
    made = tuple(
        FunctionCall(name=name, arguments=json.dumps(arguments), call_id=f"call_{index}")
        for index, (name, arguments) in enumerate(named)
    )
    return [AnswerEnd(reason="stop", usage=TokenUsage(input_tokens=11, output_tokens=5), calls=made)]


class InsistentModel(FakeBackend):
    """Makes another call as long as it may, and then answers."""

    def __init__(self, name: str = "shop__find_order", *, usage: TokenUsage | None = None) -> None:
        super().__init__(())
        self.name = name
        self.usage = usage or TokenUsage(input_tokens=11, output_tokens=5)

    async def play(self, script: Sequence[Act]) -> AsyncIterator[TextPiece | AnswerEnd]:
        call = self.calls[-1]
        if not call.tools.callable_functions:
            yield TextPiece(text="what I know")
            yield AnswerEnd(reason="stop", usage=self.usage)
            return
        number = json.dumps({"number": f"A-{len(self.calls)}"})
        wanted = FunctionCall(name=self.name, arguments=number, call_id=f"call_{len(self.calls)}")
        yield AnswerEnd(reason="stop", usage=self.usage, calls=(wanted,))


def agent(
    *scripts: Any,
    main: FakeBackend | None = None,
    tools: ToolConnector | None = None,
    servers: ToolServers | None = None,
    **options: Any,
) -> Api:
    """Return an API whose model plays these scripts and calls functions natively."""
    one = api(main or FakeBackend(*scripts), tool_servers=servers or shop(), tools=tools or FakeTools(), **options)
    model = one.world.fleet.models["model"]
    able = replace(model, capabilities=frozenset({Capability.TOOLS, Capability.JSON_SCHEMA}))
    one.world.fleet.models["model"] = able  # type: ignore[index]
    return one


def widened(one: Api, tokens: int = 32_768) -> Api:
    """Give the model a context window of so many tokens."""
    fleet: Any = one.world.fleet
    model, main = fleet.models["model"], fleet.backends["main"]
    fleet.models["model"] = replace(model, context_tokens=tokens)
    fleet.backends["main"] = replace(main, limits=replace(main.limits, context_tokens=tokens))
    return one


def sent(one: Api, number: int = -1) -> dict[str, Any]:
    """Return the body of a request to the model."""
    _, fake = one.world.backends["main"]
    assert isinstance(fake, FakeBackend)
    return request_body(backend("main"), fake.calls[number])
