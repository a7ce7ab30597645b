"""Is a pipeline that can never run refused at start, with every reason?"""

from copy import replace
from decimal import Decimal
from typing import Any

from composition.parts import Configuration
from composition.pipeline_checks import pipeline_problems
from domain.fleet.catalog import Fleet, Model
from domain.identity.owners import Owner
from domain.pipelines.pipeline import Pipeline, Pipelines, PipelineStep, Sink, SinkKind, TriggerKind
from domain.tools.catalog import ServerAuth, ServerTool, ToolApproval, ToolEffect, ToolServer, ToolServers
from domain.turns.webhook_events import WebhookEndpoint, WebhookEndpoints
from tests.fakes.worlds import SETTINGS, backend

TOOLS = {
    "find": ServerTool(name="find"),
    "ask": ServerTool(name="ask", approval=ToolApproval.ALWAYS),
    "note": ServerTool(name="note", effect=ToolEffect.WRITE),
}
SHOP = ToolServer(label="shop", address="https://shop", tools=TOOLS, trusted=True)
APPROVERS = frozenset({"Shop.Approve"})
APP = "66666666-0000-0000-0000-000000000000"
HOOK = WebhookEndpoint(name="main", url="https://hook", secrets=(b"x" * 24,))


def problems(
    sink: Sink | None = None,
    *,
    trusted: bool = False,
    tenant: str = "t",
    app: str = APP,
    steps: tuple[PipelineStep, ...] = (),
    server: ToolServer | None = None,
    **body: Any,
) -> list[str]:
    pipeline = Pipeline(
        name="p",
        owner=Owner(tenant=tenant, subject=f"app:{app}"),
        trigger=TriggerKind.CLOUD_EVENTS,
        steps=steps or (PipelineStep(body={"model": "auto", "metadata": {}, "tools": [], **body}),),
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
        tools=ToolServers(known={"shop": server or SHOP}),
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
        app="Shop",
        model="unknown",
        metadata={"sources": "secret"},
        temperature=9,
        tools=[*shop("ask", "note", "none"), {"type": "mcp", "server_label": "mall", "allowed_tools": []}],
    )
    assert [each.split(":")[0].removeprefix("pipelines.p.") for each in found] == [
        "owner.tenant",
        "owner.app",
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


ASKED = {"approval_wait_s": "60"}


def test_a_call_that_needs_an_approval_needs_a_wait_and_somebody_who_decides() -> None:
    assert "no approval_wait_s" in problems(tools=shop("note"))[0]
    assert "no approvers" in problems(tools=shop("note"), metadata=ASKED)[0]
    assert problems(tools=[*shop("note", "ask")], metadata=ASKED, server=replace(SHOP, approvers=APPROVERS)) == []
    rights = replace(SHOP, approvers=APPROVERS, auth=ServerAuth.OBO)
    assert "(obo)" in problems(tools=shop("find"), metadata=ASKED, server=rights)[0]


def test_a_problem_of_a_step_names_the_step() -> None:
    usual: dict[str, Any] = {"model": "auto", "metadata": {}, "tools": []}
    wrong = PipelineStep(name="answer", body=usual | {"model": "unknown", "temperature": 9})
    found = problems(steps=(PipelineStep(name="classify", body=usual), wrong))
    assert [each.split(":")[0] for each in found] == [
        "pipelines.p.steps.answer.model",
        "pipelines.p.steps.answer.temperature",
    ]


def test_a_trusted_pipeline_still_asks_for_what_always_needs_an_approval() -> None:
    assert "ask needs an approval" in problems(trusted=True, tools=shop("ask"))[0]
