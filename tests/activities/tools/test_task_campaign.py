"""Does a call that runs as a task have one effect and one end, and does the task end with its turn, whatever dies?"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, override

import pytest

from activities.tools.call_sender import CallSender
from activities.tools.call_task import CallTask
from activities.tools.remote_tasks import RemoteTasks
from clients.tools.port import ToolAnswer, ToolRequest
from domain.identity.owners import Owner
from domain.tools.call_record import CallOutcome, CallRecord, RemoteTask
from domain.tools.outcomes import running
from state.turns.tool_calls import ToolCalls
from tests.activities.tools.call_simulation import Parts
from tests.activities.tools.task_simulation import simulate
from tests.fakes.histories import first_failure

CHUNK, CHUNKS = 200, 50


@pytest.mark.slow
def test_every_task_ends_once_and_has_its_effect_at_most_once() -> None:
    found = Counter[str]()
    for seed in range(60):
        for outcomes in simulate(seed).returned.values():
            found.update(outcomes)
    assert set(found) == {"completed", "failed", "incomplete", "ended"}


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_same_holds_in_many_histories(chunk: int) -> None:
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        simulate(seed)


class ForgetsTasks(RemoteTasks):
    """Waits for a task whose id is in no record."""

    @override
    async def begin(self, task: CallTask, record: CallRecord, remote: RemoteTask) -> CallOutcome:
        return running(remote)


class CancelsNothing(RemoteTasks):
    """Lets the tasks of ended turns go on."""

    @override
    async def said(self, request: ToolRequest) -> ToolAnswer | None:
        return None if request.cancels else await super().said(request)


class LeavesOrphans(ToolCalls):
    """Does not find what a deletion has left to be cancelled."""

    @override
    async def orphans(self, owner: Owner, response_id: str) -> Sequence[CallRecord]:
        return ()


def with_tasks(kind: type[RemoteTasks]) -> type[CallSender]:
    class Sender(CallSender):
        @override
        def __init__(self, **parts: Any) -> None:
            super().__init__(**parts)
            self.tasks = kind(
                calls=self.calls,
                results=self.results,
                connector=self.connector,
                durations=self.durations,
                clock=self.clock,
            )

    return Sender


MUTANTS: dict[str, Any] = {
    "a task without a record": Parts(sender=with_tasks(ForgetsTasks)),
    "a task that outlives its turn": Parts(sender=with_tasks(CancelsNothing)),
    "an orphan that nobody finds": Parts(calls=LeavesOrphans),
}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_defect_of_the_protocol_is_found(mutant: str) -> None:
    assert first_failure(lambda seed: simulate(seed, MUTANTS[mutant])) is not None
