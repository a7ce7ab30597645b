"""Is a message of a queue one turn, however often it comes, and where does one go that can have none?"""

import json
from collections.abc import Sequence
from copy import replace
from typing import Any

import pytest

from domain.errors import Unavailable
from domain.pipelines.event_run import EventRun, RunStatus
from domain.pipelines.pipeline import TriggerKind
from domain.pipelines.queue_trigger import QueueMessage, QueueTrigger
from tests.api.harness import Api
from tests.api.pipelines.events import ANSWER, EVENT, TICKETS, dead, piped, send
from tests.fakes.backends import FakeBackend, says

ORDERS = replace(TICKETS, name="orders", trigger=TriggerKind.QUEUE, queue=QueueTrigger(name="orders"))
TEXT = {"text": "My lamp is broken."}


def message(content: Any, identifier: str = "m1", tries: int = 1) -> QueueMessage:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return QueueMessage(id=identifier, content=raw, tries=tries)


async def arrive(one: Api, *messages: QueueMessage) -> Sequence[EventRun]:
    runs = [await one.world.app.pipelines.queues.receive(ORDERS, each, one.orchestrations) for each in messages]
    await one.orchestrations.ended()
    return runs


async def test_a_message_that_comes_twice_is_one_turn() -> None:
    model = FakeBackend(says(ANSWER))
    one = piped(ORDERS, model=model)
    runs = await arrive(one, message(TEXT), message(TEXT, tries=2), message(TEXT, identifier="m2"))
    assert (runs[0].response, len({run.response for run in runs}), len(model.calls)) == (runs[1].response, 2, 2)
    assert TEXT["text"] in model.calls[0].items[-1].text


async def test_an_event_is_one_turn_however_often_it_is_put_into_the_queue() -> None:
    model = FakeBackend(says(ANSWER))
    one = piped(ORDERS, model=model)
    runs = await arrive(one, message(EVENT), message(EVENT, identifier="m2"))
    assert (len({run.response for run in runs}), len(model.calls)) == (1, 1)


async def test_an_event_of_another_version_is_an_ordinary_message() -> None:
    whole = replace(ORDERS, input=("data",))
    one = piped(whole)
    run = await one.world.app.pipelines.queues.receive(
        whole, message({"specversion": "1.0", "id": ""}), one.orchestrations
    )
    assert json.loads(run.text) == {"specversion": "1.0", "id": ""}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not JSON",
        b"\xff\xfe",
        b'{"a": NaN}',
        b'1, "x": 2',
        b'1}, "data": {"a": 1',
        b"[" * 65,
        b'{"a":1,"a":2}',
    ],
)
async def test_a_message_that_is_not_json_is_dead_at_once(content: bytes) -> None:
    model = FakeBackend(says(ANSWER))
    one = piped(ORDERS, model=model)
    (run, again) = await arrive(one, message(content), message(content, tries=2))
    assert (run.status, again.status, model.calls) == (RunStatus.DEAD, RunStatus.DEAD, [])
    (found,) = await dead(one, "orders")
    assert found["reason"] == "the message is not JSON"


async def failing(run: EventRun) -> EventRun:
    raise Unavailable(f"no store for {run.id}")


async def test_a_message_that_cannot_be_stored_comes_again_and_is_dead_after_its_last_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = piped(ORDERS)
    runs = one.world.app.pipelines.turns.runs
    accept, calls = runs.accept, 0

    async def fails_five_times(run: EventRun) -> EventRun:
        nonlocal calls
        calls += 1
        return await (failing(run) if calls <= 5 else accept(run))

    monkeypatch.setattr(runs, "accept", fails_five_times)
    for tries in range(1, 6):
        with pytest.raises(Unavailable):
            await arrive(one, message(TEXT, tries=tries))
        assert len(await dead(one, "orders")) == (tries == 5)
    assert (await dead(one, "orders"))[0]["reason"] == "the last try of the message failed"


async def test_where_the_store_fails_to_the_end_the_message_is_left_to_the_poison_queue(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one = piped(ORDERS)
    monkeypatch.setattr(one.world.app.pipelines.turns.runs, "accept", failing)
    with pytest.raises(Unavailable):
        await arrive(one, message(TEXT, tries=5))
    assert "only the poison queue has its message" in caplog.text


async def test_a_turn_that_cannot_begin_now_is_begun_by_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    model = FakeBackend(says(ANSWER))
    one = piped(ORDERS, model=model)
    turns = one.world.app.pipelines.turns
    reserve = turns.admission.ledger.reserve

    async def unavailable(*_args: Any, **_named: Any) -> Any:
        raise Unavailable("the ledger does not answer")

    monkeypatch.setattr(turns.admission.ledger, "reserve", unavailable)
    (run,) = await arrive(one, message(TEXT))
    assert (run.status, model.calls) == (RunStatus.OPEN, [])
    monkeypatch.setattr(turns.admission.ledger, "reserve", reserve)
    one.world.clock.advance(60)
    await one.world.app.maintenance.pipeline_sweep.run(one.orchestrations)
    await one.orchestrations.ended()
    assert len(model.calls) == 1


async def test_a_queue_takes_no_events_over_http() -> None:
    assert (await send(piped(ORDERS), name="orders")).status_code == 404
