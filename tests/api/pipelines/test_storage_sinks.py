"""Does an answer get into its queue or its container, under one key, until it is there?"""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from activities.webhooks.deliver_webhook import DeliverWebhook
from domain.errors import Terminal, Unavailable
from domain.pipelines.event_run import RunStatus
from domain.pipelines.pipeline import Sink, SinkKind
from state.pipelines.answer_sinks import MESSAGE_BYTES
from tests.api.harness import Api
from tests.api.pipelines.events import ANSWER, APP, dead, piped, send
from tests.fakes.backends import FakeBackend, says

QUEUE, CONTAINER = "https://shop.queue.core.windows.net/answers", "https://shop.blob.core.windows.net/answers"


@dataclass
class Storage:
    """Keeps what it is given; `fails` is raised instead."""

    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])
    blobs: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict[tuple[str, str], dict[str, Any]])
    fails: Exception | None = None

    async def put_message(self, queue: str, text: str) -> None:
        if self.fails:
            raise self.fails
        self.messages.append((queue, json.loads(text)))

    async def put_blob(self, container: str, name: str, content: bytes) -> None:
        if self.fails:
            raise self.fails
        self.blobs.setdefault((container, name), json.loads(content))


def answering(kind: SinkKind, storage: Storage, answer: str = ANSWER) -> Api:
    target = QUEUE if kind is SinkKind.QUEUE else CONTAINER
    return piped(model=FakeBackend(says(answer)), sink=Sink(kind=kind, target=target), answer_storage=storage)


async def deliver(one: Api, response: str) -> str:
    """Try the delivery once; return its outcome."""
    step: DeliverWebhook = one.world.app.activities.deliver_webhook
    request: Any = {"tenant": APP.tenant, "subject": APP.subject, "response": response, "traceparent": ""}
    return (await step.deliver(request | {"endpoint": "sink_tickets"}))["outcome"]


async def delivered(one: Api) -> tuple[str, str]:
    """Send an event and deliver its answer; return the response and the status of the event."""
    response = (await send(one)).json()["data"][0]["response_id"]
    await deliver(one, response)
    one.world.clock.advance(60)
    await one.world.app.maintenance.pipeline_sweep.run(one.orchestrations)
    return response, (await send(one)).json()["data"][0]["status"]


@pytest.mark.parametrize("kind", [SinkKind.QUEUE, SinkKind.BLOB])
async def test_an_answer_arrives_with_its_key(kind: SinkKind) -> None:
    storage = Storage()
    one = answering(kind, storage)
    response, status = await delivered(one)
    assert status == RunStatus.DONE
    sent = storage.messages[0] if kind is SinkKind.QUEUE else next(iter(storage.blobs.items()))
    place, event = sent
    assert event["type"] == "pipeline.completed"
    assert event["data"] == {"id": response, "pipeline": "tickets", "text": ANSWER}
    assert place == (QUEUE if kind is SinkKind.QUEUE else (CONTAINER, f"tickets/{event['id']}.json"))


async def test_a_blob_that_is_put_twice_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage()
    one = answering(SinkKind.BLOB, storage)
    response = (await send(one)).json()["data"][0]["response_id"]
    outbox = one.world.app.state.webhook_outbox

    async def dies(*_args: Any) -> None:
        raise Unavailable("the process dies after the blob was put")

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "close", dies)
        with pytest.raises(Unavailable):
            await deliver(one, response)
    assert await deliver(one, response) == "taken"
    assert len(storage.blobs) == 1


@pytest.mark.parametrize("fails", [Unavailable("it did not answer"), Terminal("its identity needs a data role")])
async def test_a_storage_that_fails_is_tried_again_under_the_same_key(fails: Exception) -> None:
    storage = Storage(fails=fails)
    one = answering(SinkKind.QUEUE, storage)
    response, status = await delivered(one)
    assert (status, storage.messages) == (RunStatus.DELIVERING, [])
    storage.fails = None
    assert await deliver(one, response) == "taken"
    (delivery,) = [event["id"] for _, event in storage.messages]
    assert delivery.startswith("evt_")


async def test_a_storage_that_is_down_for_days_makes_the_event_dead() -> None:
    storage = Storage(fails=Unavailable("it did not answer"))
    one = answering(SinkKind.BLOB, storage)
    response = (await send(one)).json()["data"][0]["response_id"]
    while await deliver(one, response) not in ("given up", "already delivered"):
        one.world.clock.advance(3600)
    await one.world.app.maintenance.pipeline_sweep.run(one.orchestrations)
    (found,) = await dead(one)
    assert found["reason"] == "the delivery ended: given up"


async def test_an_answer_that_is_too_long_for_a_message_is_named_by_its_response() -> None:
    storage = Storage()
    await delivered(answering(SinkKind.QUEUE, storage, "long " * (MESSAGE_BYTES // 4)))
    ((_, event),) = storage.messages
    assert event["data"]["text"] is None
    assert event["data"]["id"].startswith("resp_")


async def test_an_answer_that_was_deleted_before_is_dead() -> None:
    one = answering(SinkKind.BLOB, Storage())
    response = (await send(one)).json()["data"][0]["response_id"]
    await one.world.app.state.retention.delete_response(APP, response)
    assert await deliver(one, response) == "refused"
    one.world.clock.advance(60)
    await one.world.app.maintenance.pipeline_sweep.run(one.orchestrations)
    (found,) = await dead(one)
    assert "deleted" in found["reason"] or "refused" in found["reason"]
