"""Is every request for an approval decided once and carried out once, whatever dies, sleeps or comes at once?"""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from copy import replace
from typing import override

import pytest

from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.keys import turns_key
from clients.storage.port import Create, DocumentKey, Operation, Replace
from domain.errors import Conflict, NotFound
from domain.identity.owners import Owner
from domain.ids import thread_of
from domain.tools.approvals import Approval, Decision
from state.approvals.waits import ApprovalWaits
from state.turns.approvals import Approvals
from tests.activities.tools.approval_simulation import ApprovalParts, simulate
from tests.fakes.histories import first_failure

CHUNK, CHUNKS = 1000, 100
RECORD = "approval_"


@pytest.mark.slow
def test_every_request_is_decided_and_carried_out_once() -> None:
    found = Counter[str]()
    for seed in range(60):
        history = simulate(seed)
        found[history.follows] += 1
        found.update(reason for replies in history.replies.values() for _, reason in replies)
    assert set(found) >= {"answer", "end", "ended", "done", "approval_already_decided", "approval_expired"}


def test_no_request_is_recorded_after_its_turn_was_deleted() -> None:
    """A step sleeps between its look at the turn, which waits already, and the one at the records, which are gone."""
    assert simulate(30926).calls.ends == "delete"


def test_no_record_of_an_approved_call_is_left_of_a_deleted_turn() -> None:
    """A worker dies after it has created the record, and its turn was deleted before."""
    assert simulate(1802).calls.ends == "delete"


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_same_holds_in_many_histories(chunk: int) -> None:
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        simulate(seed)


class DecidesAgain(Approvals):
    """Takes the last decision, not the first."""

    @override
    async def decide(self, owner: Owner, approval: Approval, decision: Decision, *, in_place: bool = False) -> Approval:
        key = turns_key(owner, thread_of(approval.request) or "")

        async def step() -> Approval:
            found = await self.store.read(key, approval.id)
            if found is None:
                raise NotFound.by_id("Approval request", approval.request)
            after = replace(found.read_as(Approval.from_document).decided(decision), waits=in_place)
            await self.store.commit(key, (Replace(id=after.id, body=after.to_document(), etag=found.etag),))
            return after

        return await compare_and_swap(self.clock, step)


class CommitsApart(ApprovalWaits):
    """Writes the answers first, and what the records become after that."""

    @override
    async def commit(self, key: DocumentKey, operations: Sequence[Operation]) -> None:
        records = [each for each in operations if each.id.startswith(RECORD)]
        await super().commit(key, [each for each in operations if each not in records])
        with suppress(Conflict):
            await super().commit(key, records)


class LeavesRecords(ApprovalWaits):
    """Does not record that a decision was carried out."""

    @override
    async def commit(self, key: DocumentKey, operations: Sequence[Operation]) -> None:
        done = [each for each in operations if isinstance(each, Replace) and each.id.startswith(RECORD)]
        await super().commit(key, [each for each in operations if each not in done])


class ForgetsEarlyDecisions(ApprovalWaits):
    """Confirms an early decision without recording it."""

    @override
    async def decide_early(self, owner: Owner, approval: Approval, decision: Decision) -> Approval:
        return approval.decided(decision)


class AsksWithoutARecord(ApprovalWaits):
    """Begins to wait without recording what for."""

    @override
    async def commit(self, key: DocumentKey, operations: Sequence[Operation]) -> None:
        made = [each for each in operations if isinstance(each, Create) and each.id.startswith(RECORD)]
        await super().commit(key, [each for each in operations if each not in made])


MUTANTS = {
    "the last decision wins": ApprovalParts(approvals=DecidesAgain),
    "two commits": ApprovalParts(waits=CommitsApart),
    "a record that waits for ever": ApprovalParts(waits=LeavesRecords),
    "an early decision that is lost": ApprovalParts(waits=ForgetsEarlyDecisions),
    "a request without a record": ApprovalParts(waits=AsksWithoutARecord),
}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_defect_of_the_protocol_is_found(mutant: str) -> None:
    assert first_failure(lambda seed: simulate(seed, MUTANTS[mutant])) is not None
