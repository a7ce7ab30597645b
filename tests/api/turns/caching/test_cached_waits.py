"""Does a turn that asks the same as one which waits for an approval answer by itself, instead of waiting for days?"""

import asyncio
from typing import Any

from clients.storage.keys import response_key
from clients.storage.port import Replace
from domain.log.events import ResponseStatus
from domain.turns.response import Response
from state.turns.cached_answers import Reuse
from tests.api.tools.agents import SHOP, calls
from tests.api.tools.approvals.test_waiting_approvals import DAY, decide, ended, requests_in, waiting, when_waiting
from tests.fakes.backends import says
from tests.fakes.worlds import OWNER

FIND = ("shop__find_order", {"number": "A-1"})
READS: dict[str, Any] = {**SHOP, "allowed_tools": ["find_order"], "require_approval": "always"}
BODY: dict[str, Any] = {
    "model": "auto",
    "input": "where is it?",
    "temperature": 0,
    "tools": [READS],
    "background": True,
    "metadata": {"cache_s": "60", "approval_wait_s": str(DAY)},
}


async def test_a_turn_does_not_follow_one_that_waits_for_an_approval() -> None:
    one = waiting(calls(FIND), says("on its way"), says("it is there"), cache_s=3600.0)
    first = (await one.create(BODY)).json()
    waits = await when_waiting(one, first["id"], more=0)
    (request,) = requests_in(waits)
    second = (await one.create(BODY)).json()
    while not (await one.world.turns.read(OWNER, second["id"])).status.is_terminal:  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0)
    assert (await one.world.turns.read(OWNER, second["id"])).status is ResponseStatus.COMPLETED
    await decide(one, waits, request, approve=True)
    assert (await ended(one, first))["status"] == "completed"


async def test_a_turn_that_followed_another_one_before_it_waits_answers_by_itself() -> None:
    one = waiting(calls(FIND), says("on its way"), says("it is there"), cache_s=3600.0)
    one.orchestrations.hold = True
    first, second = [(await one.create(BODY)).json() for _ in range(2)]
    reuse = one.world.app.state.cached_answers.reuse
    waiting_turn = await one.world.turns.read(OWNER, second["id"])
    assert (await reuse(waiting_turn))[0] is Reuse.WAITS
    found = await one.world.turns.document(OWNER, first["id"])
    asked = found.read_with_id(Response.from_document).begun(execution="1", at=1.0).waiting(at=2.0, until=9e9)
    key = response_key(OWNER, first["id"])
    await one.world.store.commit(key, (Replace(id=found.id, body=asked.to_document(), etag=found.etag),))
    assert (await reuse(waiting_turn))[0] is Reuse.ASKS
