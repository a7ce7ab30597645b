"""What becomes of a running call whose turn is cancelled or deleted?"""

import asyncio

import pytest

from activities.guard import tolerate_deletion
from activities.tools.call_task import GRACE_S
from domain import wire
from domain.content.items import ItemStatus
from domain.log.events import ResponseStatus
from domain.tools.call_record import CallOutcome
from domain.turns.response import Response
from state.retention.deletion import Retention
from tests.activities.test_call_tool import ARGUMENTS, Calling
from tests.fakes.clocks import LoopClock, in_no_time
from tests.fakes.tools import FILE, Reply, shop
from tests.fakes.worlds import OWNER

NOTICED_S = 1.0
SLOW = FILE.replace("effect =", "timeout_s = 60\neffect =")
CANCELLED, DELETED = "cancelled", "deleted"


class Running(Calling):
    """A call that is under way, in time that costs nothing."""

    def __init__(self, tool: str, *replies: Reply) -> None:
        super().__init__(tool, *replies, clock=LoopClock(), servers=shop(SLOW))

    async def end(self, response: Response, how: str) -> None:
        if how == DELETED:
            await Retention(self.world.store, self.world.turns, self.world.clock).delete_response(OWNER, response.id)
        else:
            await self.world.turns.finish(OWNER, response.id, status=ResponseStatus.CANCELLED)

    def start(self, response: Response) -> asyncio.Task[wire.CalledToolWire]:
        request = {"tenant": OWNER.tenant, "subject": OWNER.subject, "response": response.id, "traceparent": ""}
        step = tolerate_deletion(wire.CALL_TOOL, self.world.steps[wire.CALL_TOOL])
        return asyncio.ensure_future(step({**request, "call": self.item}))

    async def outcome(self, response: Response) -> CallOutcome | None:
        (record,) = await self.world.app.state.tool_calls.of_response(OWNER, response.id)
        return record.outcome


@pytest.mark.parametrize("how", [CANCELLED, DELETED])
def test_a_reads_connection_is_closed_within_a_second(how: str) -> None:
    async def test() -> None:
        calling = Running("find_order", asyncio.Event())
        response = await calling.asked()
        run = calling.start(response)
        await asyncio.sleep(3)
        assert calling.tools.open == 1
        await calling.end(response, how)
        await asyncio.sleep(NOTICED_S)
        assert calling.tools.open == 0
        assert run.done()
        assert (await run)["outcome"] == "ended"

    in_no_time(test())


@pytest.mark.parametrize("tool", ["refund_order", "send_note"])
def test_a_write_that_reports_in_time_has_its_outcome_recorded(tool: str) -> None:
    async def test() -> None:
        reports = asyncio.Event()
        calling = Running(tool, reports)
        response = await calling.asked()
        run = calling.start(response)
        await asyncio.sleep(1)
        await calling.end(response, CANCELLED)
        await asyncio.sleep(GRACE_S - 2)
        assert calling.tools.open == 1
        reports.set()
        assert (await run)["outcome"] == "ended"
        outcome = await calling.outcome(response)
        assert outcome
        assert (outcome.status, outcome.output) == (ItemStatus.COMPLETED, "done")

    in_no_time(test())


def test_a_write_that_does_not_report_in_time_is_closed_and_unknown() -> None:
    async def test() -> None:
        calling = Running("send_note", asyncio.Event())
        response = await calling.asked()
        run = calling.start(response)
        await asyncio.sleep(0.1)
        await calling.end(response, CANCELLED)
        await asyncio.sleep(GRACE_S + NOTICED_S)
        assert calling.tools.open == 0
        assert (await run)["outcome"] == "ended"
        outcome = await calling.outcome(response)
        assert outcome
        assert outcome.unknown

    in_no_time(test())


@pytest.mark.parametrize("how", [CANCELLED, DELETED])
@pytest.mark.parametrize("tool", ARGUMENTS)
def test_a_call_whose_turn_ends_just_before_it_is_sent_is_not_sent_and_leaves_nothing_open(tool: str, how: str) -> None:
    async def test() -> None:
        calling = Running(tool)
        response = await calling.asked()
        task, sender = await calling.task(response), calling.world.app.activities.call_tool.sender
        await calling.end(response, how)
        outcome = await asyncio.gather(sender.outcome(task), return_exceptions=True)
        assert calling.tools.sent == []
        records = await calling.world.app.state.tool_calls.of_response(OWNER, response.id)
        assert [record.outcome for record in records] == ([] if how == DELETED else outcome)

    in_no_time(test())


def test_a_run_that_waits_for_a_dead_one_does_not_wait_longer_than_a_write_may_report() -> None:
    async def test() -> None:
        calling = Running("send_note")
        response = await calling.asked()
        await calling.left_behind(response)
        run = calling.start(response)
        await asyncio.sleep(1)
        await calling.end(response, CANCELLED)
        assert (await run)["outcome"] == "ended"
        outcome = await calling.outcome(response)
        assert outcome
        assert outcome.unknown
        assert calling.tools.sent == []

    in_no_time(test())
