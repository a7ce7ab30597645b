"""Is a pipeline that can never run refused at start, with every reason?"""

from copy import replace
from decimal import Decimal
from typing import Any

from composition.parts import Configuration
from composition.pipeline_checks import pipeline_problems
from domain.fleet.catalog import Fleet, Model
from domain.identity.owners import Owner
from domain.pipelines.pipeline import Pipeline, Pipelines, Sink, SinkKind, TriggerKind
from domain.tools.catalog import ServerTool, ToolApproval, ToolEffect, ToolServer, ToolServers
from domain.turns.webhook_events import WebhookEndpoint, WebhookEndpoints
from tests.fakes.worlds import SETTINGS, backend

TOOLS = {
    "find": ServerTool(name="find"),
    "ask": ServerTool(name="ask", approval=ToolApproval.ALWAYS),
    "note": ServerTool(name="note", effect=ToolEffect.WRITE),
}
SHOP = ToolServer(label="shop", address="https://shop", tools=TOOLS, trusted=True)
HOOK = WebhookEndpoint(name="main", url="https://hook", secrets=(b"x" * 24,))


def problems(sink: Sink | None = None, *, trusted: bool = False, tenant: str = "t", **body: Any) -> list[str]:
    pipeline = Pipeline(
        name="p",
        owner=Owner(tenant=tenant, subject="app:a"),
        trigger=TriggerKind.CLOUD_EVENTS,
        body={"model": "auto", "metadata": {}, "tools": [], **body},
        sink=sink or Sink(),
        trusted=trusted,
        response_budget=Decimal(1),
    )
    configuration = Configuration(
        settings=replace(SETTINGS, token_tenants=frozenset({"t"})),
        fleet=Fleet(
            models={"model": Model(name="model", context_tokens=4096, tier=1)}, backends={"main": backend("main")}
        ),
        prices={},
        tools=ToolServers(known={"shop": SHOP}),
        endpoints=WebhookEndpoints(
            known={"main": HOOK, "told": replace(HOOK, pipeline_events=frozenset({"pipeline.completed"}))}
        ),
        pipelines=Pipelines(known={"p": pipeline}),
    )
    return list(pipeline_problems(configuration))


def shop(*names: str) -> list[dict[str, Any]]:
    return [{"type": "mcp", "server_label": "shop", "allowed_tools": list(names)}]


def test_a_right_pipeline_has_no_problem() -> None:
    assert problems(Sink(kind=SinkKind.WEBHOOK, target="told"), tools=shop("find")) == []
    assert problems(trusted=True, tools=shop("find", "note")) == []
    assert problems(Sink(kind=SinkKind.CONVERSATION, target=f"conv_{'0' * 24}")) == []


def test_every_problem_names_its_field() -> None:
    found = problems(
        Sink(kind=SinkKind.WEBHOOK, target="nobody"),
        tenant="other",
        model="unknown",
        metadata={"sources": "secret"},
        temperature=9,
        tools=[*shop("ask", "note", "none"), {"type": "mcp", "server_label": "mall", "allowed_tools": []}],
    )
    assert [each.split(":")[0].removeprefix("pipelines.p.") for each in found] == [
        "owner.tenant",
        "model",
        "temperature",
        "sources",
        "tools.shop",
        "tools.shop",
        "tools.shop",
        "tools.mall",
        "sink.webhook",
    ]


def test_a_webhook_has_to_name_the_event_and_a_conversation_has_to_be_one() -> None:
    assert "do not name pipeline.completed" in problems(Sink(kind=SinkKind.WEBHOOK, target="main"))[0]
    assert "sink.conversation" in problems(Sink(kind=SinkKind.CONVERSATION, target="resp_1"))[0]


def test_a_trusted_pipeline_still_asks_for_what_always_needs_an_approval() -> None:
    assert "ask needs an approval" in problems(trusted=True, tools=shop("ask"))[0]
