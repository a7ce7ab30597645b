"""Does every call of a tool end once and have its effect at most once, whatever dies, sleeps or is delivered again?"""

import math
from collections import Counter
from collections.abc import Sequence
from copy import replace
from decimal import Decimal
from typing import Any, override

import pytest

from activities.tools.call_billing import CallBilling
from activities.tools.call_log import CallLog, indexed_item
from activities.tools.call_sender import Answered, CallSender
from activities.tools.call_task import CallTask
from activities.tools.remote_tasks import RemoteTasks
from domain.content.items import Item
from domain.identity.owners import Owner
from domain.ids import member_id
from domain.log.answer_events import call_end_events
from domain.log.events import Slot
from domain.log.item_events import ItemResult
from domain.money.ledger_records import AttemptRecord
from domain.tools.call_record import CallOutcome, CallRecord, RemoteTask
from domain.tools.catalog import ServerTool, ToolServer
from domain.tools.outcomes import running
from state.turns.tool_calls import ToolCalls
from tests.activities.tools.call_simulation import Parts, simulate
from tests.activities.tools.task_simulation import simulate_tasks
from tests.fakes.histories import first_failure
from tests.fakes.worlds import THREAD

CHUNK = 1000
CHUNKS = 100
TASK_CHUNKS = 20


@pytest.mark.slow
def test_every_call_ends_once_and_has_its_effect_at_most_once() -> None:
    found = Counter[str]()
    for seed in range(100):
        for outcomes in simulate(seed).returned.values():
            found.update(outcomes)
    assert set(found) == {"completed", "failed", "incomplete", "ended"}


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_same_holds_in_many_histories(chunk: int) -> None:
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        simulate(seed)


@pytest.mark.slow
def test_every_call_that_runs_as_a_task_ends_once_and_no_task_is_left_alone() -> None:
    found = Counter[str]()
    for seed in range(60):
        for outcomes in simulate_tasks(seed).returned.values():
            found.update(outcomes)
    assert set(found) == {"completed", "failed", "incomplete", "ended"}


@pytest.mark.parametrize("seed", [219, 288])
def test_a_task_of_another_run_is_not_left_alone(seed: int) -> None:
    """A run fails while the server runs the task of another one, or a turn ends before its task is known."""
    assert simulate_tasks(seed).known


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("chunk", range(TASK_CHUNKS))
def test_the_same_holds_of_tasks_in_many_histories(chunk: int) -> None:
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        simulate_tasks(seed)


class SendsBeforeRecording(CallSender):
    """Records a call after it was sent."""

    @override
    async def outcome(self, task: CallTask) -> CallOutcome:
        mine = self.new_record(task)
        known = await self.calls.find(task.owner, mine.response, mine.item)
        if known and known.outcome:
            return known.outcome
        outcome = await self.billed_outcome(mine, task)
        stored = await self.calls.open(task.owner, mine)
        return (await self.calls.end(task.owner, stored, outcome)).outcome or outcome


class IgnoresTheClock(CallSender):
    """Sends however late it is."""

    @override
    async def send(self, record: CallRecord, task: CallTask) -> tuple[CallOutcome, int]:
        return await super().send(replace(record, send_until=math.inf), task)


class RepeatsEverything(CallSender):
    """Sends a write without a key again."""

    @override
    async def give_up(self, task: CallTask, record: CallRecord) -> CallRecord:
        return await self.take_over(task, self.new_record(task))


class UsesANewKeyEachTime(CallSender):
    """Gives each request a key of its own."""

    @override
    async def request(self, record: CallRecord, task: CallTask, within_s: float) -> Answered:
        key = member_id("mcp", thread=THREAD, token=self.clock.token())
        return await super().request(replace(record, item=key), task, within_s)


class LeavesRecordsOpen(CallSender):
    """Forgets a record whose turn has ended."""

    @override
    async def abandon(self, owner: Owner, place: tuple[str, str], *, by: str, is_write: bool) -> None:
        return


class Overwrites(ToolCalls):
    """Takes the last outcome, not the first."""

    @override
    async def end(self, owner: Owner, record: CallRecord, outcome: CallOutcome) -> CallRecord:
        at = self.clock.now()
        return await self.change(owner, record, lambda stored: stored.ended(outcome, at=at))


class SpeaksForAll(ToolCalls):
    """Lets a run that has sent nothing say so for all runs."""

    @override
    async def end(self, owner: Owner, record: CallRecord, outcome: CallOutcome) -> CallRecord:
        return await super().end(owner, record, replace(outcome, is_unsent=False))


class CreatesAgain(ToolCalls):
    """Takes a record that exists for its own."""

    @override
    async def open(self, owner: Owner, record: CallRecord) -> CallRecord:
        stored = await super().open(owner, record)
        return stored if stored.outcome else replace(stored, starter=record.starter)


class LeavesRecords(ToolCalls):
    """Does not delete a record of a deleted turn."""

    @override
    async def remove(self, owner: Owner, response_id: str, item_id: str) -> None:
        return


class ClosesTwice(CallLog):
    """Does not look whether the item of the call was closed meanwhile."""

    @override
    async def close(
        self, owner: Owner, response_id: str, item_id: str, outcome: CallOutcome, *, asks_again: bool = False
    ) -> Item | None:
        writer = f"call:{self.clock.token()}"
        log = await self.turns.transcript(owner, response_id)
        while not log.ending:
            index, item = indexed_item(log, item_id)
            result = ItemResult(output=outcome.output, error=outcome.error)
            events = call_end_events(index, result, outcome.status)
            now, first = self.clock.now(), log.next_sequence
            slot = Slot(number=log.next_slot, writer=writer, first=first, at=now, events=events)
            if await self.turns.append(owner, response_id, slot):
                return replace(item, status=outcome.status, output=outcome.output, error=outcome.error)
            log = await self.turns.transcript(owner, response_id, log)
        return None


class ForgetsEarlierRuns(CallBilling, frozen=True):
    """Reserves for the last run alone."""

    @override
    async def open(self, task: CallTask) -> AttemptRecord | None:
        opened = await super().open(task)
        if opened is None:
            return None
        charge = replace(opened.charge, reserved=Decimal(task.tool.worst_cost))
        return replace(opened, charge=charge)


class CallsAgain(CallSender):
    """Sends a call again whose task it should ask for."""

    @override
    async def looked_at(self, task: CallTask, record: CallRecord, remote: RemoteTask) -> CallOutcome:
        outcome = await self.billed_outcome(record, task)
        return await self.tasks.begin(task, record, outcome.task) if outcome.task else outcome


class EndsTasksOfOthers(ToolCalls):
    """Lets a run that has failed end a call whose task another run has begun."""

    @override
    async def end(self, owner: Owner, record: CallRecord, outcome: CallOutcome) -> CallRecord:
        stored = await self.read(owner, record)
        return await super().end(owner, replace(record, task=stored.task), outcome)


class ForgetfulTasks(RemoteTasks):
    """Waits for a task without recording it."""

    @override
    async def begin(self, task: CallTask, record: CallRecord, remote: RemoteTask) -> CallOutcome:
        return running(remote)


class LastingTasks(RemoteTasks):
    """Lets the tasks of cancelled turns go on."""

    @override
    async def stop(self, task: CallTask, record: CallRecord, remote: RemoteTask) -> None:
        return


class LastingAfterDeletions(RemoteTasks):
    """Lets the tasks of deleted turns go on."""

    @override
    async def drop(self, owner: Owner, server: ToolServer, tool: ServerTool, remote: RemoteTask) -> None:
        return


class LeavesOrphans(ToolCalls):
    """Does not find what a deletion has left, so that its tasks can be cancelled."""

    @override
    async def orphans(self, owner: Owner, response_id: str) -> Sequence[CallRecord]:
        return ()


class WithTasks(CallSender):
    """Follows tasks as one of its mutants does."""

    follower: type[RemoteTasks] = RemoteTasks

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        names = ("calls", "results", "connector", "durations", "clock")
        self.tasks = self.follower(**{name: parts[name] for name in names})


class Forgetful(WithTasks):
    follower = ForgetfulTasks


class Lasting(WithTasks):
    follower = LastingTasks


class Undeleted(WithTasks):
    follower = LastingAfterDeletions


TASK_MUTANTS: dict[str, Any] = {
    "a call beside its task": Parts(sender=CallsAgain),
    "the end of another run's task": Parts(calls=EndsTasksOfOthers),
    "a task without a record": Parts(sender=Forgetful),
    "a task of a cancelled turn": Parts(sender=Lasting),
    "a task of a deleted turn": Parts(sender=Undeleted),
    "an orphan that nobody finds": Parts(calls=LeavesOrphans),
}
MUTANTS: dict[str, Any] = {
    "record after send": Parts(sender=SendsBeforeRecording),
    "no check of the starter's clock": Parts(sender=IgnoresTheClock),
    "a retry without a key": Parts(sender=RepeatsEverything),
    "another key for each request": Parts(sender=UsesANewKeyEachTime),
    "a record that stays open": Parts(sender=LeavesRecordsOpen),
    "the last outcome wins": Parts(calls=Overwrites),
    "one run that speaks for all": Parts(calls=SpeaksForAll),
    "two starters": Parts(calls=CreatesAgain),
    "a record of a deleted turn": Parts(calls=LeavesRecords),
    "an item that ends twice": Parts(log=ClosesTwice),
    "runs that died are free": Parts(billing=ForgetsEarlierRuns),
}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_defect_of_the_protocol_is_found(mutant: str) -> None:
    assert first_failure(lambda seed: simulate(seed, MUTANTS[mutant])) is not None


@pytest.mark.slow
@pytest.mark.parametrize("mutant", TASK_MUTANTS)
def test_a_defect_of_the_protocol_of_tasks_is_found(mutant: str) -> None:
    assert first_failure(lambda seed: simulate_tasks(seed, TASK_MUTANTS[mutant])) is not None
