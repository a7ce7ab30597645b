"""What becomes of a message of a queue?"""

import asyncio
import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from devhost.app.catalog import FunctionCatalog, FunctionMetadata
from devhost.app.queue_settings import QueueSettings
from devhost.engine.background_tasks import BackgroundTasks
from devhost.queues.messages import MessageLostError, QueueMessage, QueueUnavailableError
from devhost.queues.runner import QueueFunctions, QueueListener
from devhost.supervisor.messages import (
    FunctionRaised,
    FunctionReturned,
    FunctionTimeoutError,
    Invocation,
    InvocationResult,
    WorkerLostError,
)
from devhost.supervisor.supervisor import Supervisor

TRIGGER = {"type": "queueTrigger", "name": "message", "queueName": "orders", "connection": "ORDERS"}
FUNCTION = FunctionMetadata(name="each", id="f", trigger=TRIGGER, bindings=(TRIGGER,))
CATALOG = FunctionCatalog(functions={"each": FUNCTION}, orchestrators={}, activities={})
RETURNED = FunctionReturned(type="none", body=b"")
RAISED = FunctionRaised(message="ValueError: boom", stack="")


def message(content: str = "{}", tries: int = 1, text: str | None = None) -> QueueMessage:
    encoded = base64.b64encode(content.encode()).decode() if text is None else text
    return QueueMessage(id="m1", text=encoded, tries=tries, receipt="r", inserted="", expires="", visible="")


@dataclass(slots=True)
class FakeQueue:
    """Gives its messages once, and remembers what becomes of them."""

    waiting: list[QueueMessage] = field(default_factory=list[QueueMessage])
    name: str = "orders"
    done: list[str] = field(default_factory=list[str])
    fails: Exception | None = None
    asked: int = 0

    async def take(self, count: int, *, hidden_s: float) -> list[QueueMessage]:
        self.asked += 1
        if self.fails:
            raise self.fails
        found, self.waiting = self.waiting[:count], self.waiting[count:]
        return found

    async def hide(self, message: QueueMessage, *, hidden_s: float) -> None:
        self.done.append(f"hidden for {hidden_s:g} s")

    async def delete(self, message: QueueMessage) -> None:
        if self.fails:
            raise self.fails
        self.done.append("deleted")

    async def poison(self, message: QueueMessage) -> None:
        self.done.append("poisoned")

    async def close(self) -> None:
        self.done.append("closed")


@dataclass(slots=True)
class FakeSupervisor:
    answer: Callable[[], InvocationResult] = lambda: RETURNED
    invocations: list[Invocation] = field(default_factory=list[Invocation])
    gate: asyncio.Event | None = None

    async def invoke(self, invocation: Invocation) -> InvocationResult:
        self.invocations.append(invocation)
        if self.gate:
            await self.gate.wait()
        return self.answer()


def no_failure(error: BaseException) -> None:
    raise AssertionError(error)


def listener(queue: FakeQueue, supervisor: FakeSupervisor, settings: QueueSettings | None = None) -> QueueListener:
    def opened(_name: str, _connection: str) -> FakeQueue:
        return queue

    functions = QueueFunctions(
        cast("Supervisor", supervisor),
        settings or QueueSettings(visibility_timeout_s=30),
        BackgroundTasks(no_failure),
        opened,
    )
    return QueueListener(functions, FUNCTION, queue)


def raising(error: Exception) -> Callable[[], InvocationResult]:
    def answer() -> InvocationResult:
        raise error

    return answer


@pytest.mark.parametrize(
    ("answer", "tries", "fate"),
    [
        (lambda: RETURNED, 1, "deleted"),
        (lambda: RETURNED, 5, "deleted"),
        (lambda: RAISED, 1, "hidden for 30 s"),
        (lambda: RAISED, 4, "hidden for 30 s"),
        (lambda: RAISED, 5, "poisoned"),
        (raising(WorkerLostError("queue each")), 1, "hidden for 30 s"),
        (raising(WorkerLostError("queue each")), 5, "poisoned"),
        (raising(FunctionTimeoutError("queue each")), 2, "hidden for 30 s"),
    ],
)
async def test_a_message_is_deleted_seen_again_or_poisoned(
    answer: Callable[[], InvocationResult], tries: int, fate: str
) -> None:
    queue, supervisor = FakeQueue(), FakeSupervisor(answer)
    await listener(queue, supervisor).process(message(tries=tries))
    assert (queue.done, len(supervisor.invocations)) == ([fate], 1)


@pytest.mark.parametrize("one", [message(tries=6), message(text="no base64!")])
async def test_a_message_that_came_too_often_or_cannot_be_decoded_is_poisoned_unseen(one: QueueMessage) -> None:
    queue, supervisor = FakeQueue(), FakeSupervisor()
    await listener(queue, supervisor).process(one)
    assert (queue.done, supervisor.invocations) == (["poisoned"], [])


async def test_a_function_gets_the_message_and_what_is_known_of_it() -> None:
    supervisor = FakeSupervisor()
    await listener(FakeQueue(), supervisor).process(message('{"a": 1}', tries=2))
    (invocation,) = supervisor.invocations
    assert (invocation.type, invocation.body) == ("string", b'{"a": 1}')
    known: dict[str, Any] = invocation.metadata or {}
    assert (known["Id"], known["DequeueCount"], known["QueueTrigger"]) == ("m1", 2, "orders")


@pytest.mark.parametrize(("text", "is_base64", "kind"), [("/w==", True, "bytes"), ("plain", False, "string")])
async def test_other_encodings_are_read(text: str, *, is_base64: bool, kind: str) -> None:
    supervisor = FakeSupervisor()
    await listener(FakeQueue(), supervisor, QueueSettings(is_base64=is_base64)).process(message(text=text))
    assert supervisor.invocations[0].type == kind


@pytest.mark.parametrize("error", [QueueUnavailableError("status 503"), MessageLostError("PopReceiptMismatch")])
async def test_a_message_that_cannot_be_deleted_comes_again(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    await listener(FakeQueue(fails=error), FakeSupervisor()).process(message())
    assert "is delivered again" in "".join(capsys.readouterr())


async def test_no_more_messages_are_taken_than_there_is_room_for() -> None:
    queue, supervisor = FakeQueue([message() for _ in range(10)]), FakeSupervisor(gate=asyncio.Event())
    one = listener(queue, supervisor, QueueSettings(batch_size=4, new_batch_threshold=2))
    running = asyncio.ensure_future(one.run_forever())
    for _ in range(50):
        await asyncio.sleep(0)
    assert (one.running, len(queue.waiting)) == (4, 6)
    assert supervisor.gate is not None
    supervisor.gate.set()
    while queue.done.count("deleted") < 10:  # noqa: ASYNC110 - the fake has no event
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert queue.done[-1] == "closed"


async def test_a_storage_that_does_not_answer_is_named_once_and_asked_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    queue = FakeQueue(fails=QueueUnavailableError("it can't be reached"))
    one = listener(queue, FakeSupervisor())
    assert [await one.take() for _ in range(3)] == [[], [], []]
    assert "".join(capsys.readouterr()).count("can't be read") == 1


@pytest.mark.parametrize(("error", "told"), [(KeyError("ORDERS"), "ORDERS is not set"), (ImportError(), "pip install")])
def test_what_keeps_a_function_from_being_triggered_is_named(
    error: Exception, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_name: str, _connection: str) -> FakeQueue:
        raise error

    QueueFunctions(cast("Supervisor", FakeSupervisor()), QueueSettings(), BackgroundTasks(no_failure), refuse).start(
        CATALOG
    )
    assert told in "".join(capsys.readouterr())
