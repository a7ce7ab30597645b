"""How do tests send events, by the official SDK, to a pipeline?"""

from copy import replace
from typing import Any

import httpx

from domain.identity.owners import Owner
from domain.pipelines.pipeline import Pipeline, Pipelines, PipelineStep, Sink, SinkKind, TriggerKind
from domain.turns.webhook_events import WebhookEndpoint, WebhookEndpoints
from tests.api.harness import Api, api
from tests.fakes.backends import FakeBackend, says
from tests.fakes.worlds import OWNER

ANSWER = "a broken lamp"
APP = Owner(tenant=OWNER.tenant, subject="app:66666666-0000-0000-0000-000000000000")
BODY: dict[str, Any] = {"model": "model", "instructions": "Summarize.", "metadata": {}, "tools": []}
TICKETS = Pipeline(
    name="tickets",
    owner=APP,
    trigger=TriggerKind.CLOUD_EVENTS,
    steps=(PipelineStep(body=BODY),),
    input=("data", "text"),
)
HOOK = WebhookEndpoint(
    name="main", url="http://127.0.0.1:9/hook", secrets=(b"x" * 24,), pipeline_events=frozenset({"pipeline.completed"})
)
EVENT = {"specversion": "1.0", "id": "7", "source": "/shop", "type": "ticket", "data": {"text": "My lamp is broken."}}


def piped(
    *more: Pipeline,
    model: FakeBackend | None = None,
    sink: Sink | None = None,
    trusted: bool = False,
    **changes: Any,
) -> Api:
    """Return an API with the pipeline of tickets, whose answers go to a sink."""
    tickets = replace(TICKETS, sink=sink or Sink(), trusted=trusted)
    return api(
        model or FakeBackend(says(ANSWER)),
        pipelines=Pipelines(known={each.name: each for each in (tickets, *more)}),
        endpoints=WebhookEndpoints(known={"main": HOOK}),
        **changes,
    )


TO_WEBHOOK = Sink(kind=SinkKind.WEBHOOK, target="main")


async def send(one: Api, event: Any = None, *, token: str = "sender", name: str = "tickets") -> httpx.Response:  # noqa: S107 - the token of a fake
    """Send an event in the structured form."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/cloudevents+json"}
    answer = await one.http.post(f"/v1/events/{name}", json=EVENT if event is None else event, headers=headers)
    await one.orchestrations.ended()
    return answer


async def dead(one: Api, name: str = "tickets") -> list[dict[str, Any]]:
    headers = {"authorization": "Bearer operator"}
    return (await one.http.get(f"/v1/pipelines/{name}/dead", headers=headers)).json()["data"]
