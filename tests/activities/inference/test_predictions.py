"""Is a prediction created at most once for an attempt, whatever dies in between?"""

from collections.abc import Sequence

import pytest

from activities.inference.log_writer import LogWriter
from activities.inference.predictions import CREATING, with_prediction
from clients.backends.port import BackendCall, BackendError
from domain.fleet.failure_classes import Failure, FailureClass, FailureKind, diagnose
from domain.log.events import Slot
from tests.contracts.backends.scene import asking
from tests.fakes.backends import FakeBackend
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER, World


class Replicate(FakeBackend):
    """Counts the predictions that it creates; `dies`: the answer to the creation never arrives."""

    def __init__(self, *, dies: bool = False) -> None:
        super().__init__([])
        self.created = 0
        self.dies = dies

    async def create(self, call: BackendCall) -> str:
        self.created += 1
        if self.dies:
            raise BackendError(Failure(kind=FailureKind.RESET))
        return f"p{self.created}"


@pytest.fixture
def world() -> World:
    clock = FakeClock()
    return World(store=MemoryStore(clock), clock=clock, backends={})


async def run(world: World, response_id: str, client: FakeBackend) -> BackendCall:
    """Do what a run of an attempt does before it reads."""
    response = await world.turns.read(OWNER, response_id)
    earlier: Sequence[Slot] = await world.turns.slots(OWNER, response_id)
    log = await world.log(response)
    writer = LogWriter(world.turns, world.clock, owner=OWNER, response_id=response_id, log=log, attempt=1)
    await writer.take_over()
    return await with_prediction(client, asking("hello"), writer, earlier)


async def test_a_second_run_reads_the_prediction_of_the_first(world: World) -> None:
    response, client = await world.admit("hello"), Replicate()
    assert [(await run(world, response.id, client)).prediction for _ in range(3)] == ["p1", "p1", "p1"]
    assert client.created == 1


async def test_a_creation_without_an_answer_is_never_repeated(world: World) -> None:
    response, client = await world.admit("hello"), Replicate(dies=True)
    for _ in range(3):
        with pytest.raises(BackendError) as caught:
            await run(world, response.id, client)
        assert diagnose(caught.value.failure, ()).failure_class is FailureClass.INDETERMINATE
    assert client.created == 1
    slots = await world.turns.slots(OWNER, response.id)
    assert [slot.prediction for slot in slots if slot.prediction] == [CREATING]


async def test_a_backend_without_predictions_writes_nothing(world: World) -> None:
    response = await world.admit("hello")
    assert (await run(world, response.id, FakeBackend([]))).prediction == ""
    assert not any(slot.prediction for slot in await world.turns.slots(OWNER, response.id))


def test_a_slot_keeps_its_prediction_and_an_older_one_has_none() -> None:
    slot = Slot(number=3, writer="infer:a", first=4, at=1.0, prediction="p1")
    assert Slot.from_document(slot.to_document()) == slot
    assert "prediction" not in Slot(number=3, writer="infer:a", first=4, at=1.0).to_document()
