"""Does a decision about the GPU of a turn stay as long as the turn, and no longer?"""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from domain.errors import NoResponse
from domain.ids import member_id
from domain.log.events import ResponseStatus
from domain.tools.pauses.pause_record import PauseRecord
from domain.tools.pauses.tool_pause import ToolPause
from domain.turns.response import Response
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER, THREAD, World, backend

CALL = member_id("mcp", thread=THREAD, token="c" * 24)
PAUSE = PauseRecord(round=1, calls=(CALL,), backend="gpu", at=1000.0, decided=ToolPause(reason="long calls"))


def world_of(store: MemoryStore, clock: FakeClock) -> World[Any]:
    return World(store=store, clock=clock, backends={"main": (backend("main"), FakeBackend(says("hi")))})


async def deleted(world: World[Any], response: Response) -> None:
    await world.app.state.retention.delete_response(OWNER, response.id)


async def cancelled(world: World[Any], response: Response) -> None:
    await world.turns.finish(OWNER, response.id, status=ResponseStatus.CANCELLED)


async def test_a_decision_is_stored_and_changed(store: MemoryStore, clock: FakeClock) -> None:
    world = world_of(store, clock)
    response, pauses = await world.admit("hi"), world.app.state.gpu_pauses
    etag = await pauses.write(OWNER, response.id, PAUSE)
    assert await pauses.write(OWNER, response.id, PAUSE, etag=etag) != etag
    assert await pauses.of_response(OWNER, response.id) == [PAUSE]


@pytest.mark.parametrize("end", [deleted, cancelled])
async def test_a_decision_after_the_end_of_its_turn_leaves_nothing(
    store: MemoryStore, clock: FakeClock, end: Callable[[World[Any], Response], Awaitable[None]]
) -> None:
    world = world_of(store, clock)
    response, pauses = await world.admit("hi"), world.app.state.gpu_pauses
    await end(world, response)
    with pytest.raises(NoResponse):
        await pauses.write(OWNER, response.id, PAUSE)
    assert await pauses.of_response(OWNER, response.id) == []
