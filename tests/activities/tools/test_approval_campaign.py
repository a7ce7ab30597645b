"""Is every request for an approval decided once and carried out once, whatever dies, sleeps or comes at once?"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import replace
from typing import override

import pytest

from clients.storage.compare_and_swap import compare_and_swap
from clients.storage.keys import turns_key
from clients.storage.port import Create, Delete, Document, DocumentKey, Operation, Replace
from domain.content.items import Item
from domain.errors import Conflict, NotFound
from domain.identity.owners import Owner
from domain.ids import thread_of
from domain.tools.approvals import Approval, Decision
from state.approvals.waits import ApprovalWaits
from state.turns.approvals import Approvals
from tests.activities.tools.approval_simulation import ApprovalParts, simulate
from tests.fakes.histories import first_failure

CHUNK, CHUNKS, ANNOUNCED_CHUNKS = 1000, 100, 20
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


@pytest.mark.slow
def test_the_same_holds_of_requests_that_are_announced_before() -> None:
    """The other calls of the round run meanwhile, and an attempt that is delivered again announces them once more."""
    found = Counter(simulate(seed, announces=True).follows for seed in range(40))
    assert set(found) >= {"answer", "end", "ended"}


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_the_same_holds_in_many_histories(chunk: int) -> None:
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        simulate(seed)


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("chunk", range(ANNOUNCED_CHUNKS))
def test_the_same_holds_of_announced_requests_in_many_histories(chunk: int) -> None:
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        simulate(seed, announces=True)


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


class Announcer(ApprovalWaits):
    """Knows when it announces."""

    is_announcing: bool = False

    @override
    async def record_new(self, owner: Owner, response_id: str) -> None:
        self.is_announcing = True
        await super().record_new(owner, response_id)
        self.is_announcing = False


class AnnouncesBlindly(Announcer):
    """Announces whatever became of the turn since it was read."""

    @override
    async def commit(self, key: DocumentKey, operations: Sequence[Operation]) -> None:
        checks = {each.id for each in operations if isinstance(each, Replace)} if self.is_announcing else set[str]()
        await super().commit(key, [each for each in operations if each.id not in checks])


class AnnouncesAgain(Announcer):
    """Announces over what is recorded of a request."""

    @override
    async def records(self, key: DocumentKey, requests: Sequence[Item]) -> Mapping[str, Document]:
        found = await super().records(key, requests)
        if not self.is_announcing:
            return found
        for each in found.values():
            await self.turns.store.commit(key, (Delete(id=each.id),))
        return {}


MUTANTS = {
    "the last decision wins": ApprovalParts(approvals=DecidesAgain),
    "two commits": ApprovalParts(waits=CommitsApart),
    "a record that waits for ever": ApprovalParts(waits=LeavesRecords),
    "an early decision that is lost": ApprovalParts(waits=ForgetsEarlyDecisions),
    "a request without a record": ApprovalParts(waits=AsksWithoutARecord),
}


ANNOUNCING_MUTANTS = {
    "an announcement of a turn that has ended": ApprovalParts(waits=AnnouncesBlindly),
    "an announcement over a decision": ApprovalParts(waits=AnnouncesAgain),
}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", ANNOUNCING_MUTANTS)
def test_a_defect_of_announcements_is_found(mutant: str) -> None:
    assert first_failure(lambda seed: simulate(seed, ANNOUNCING_MUTANTS[mutant], announces=True)) is not None


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_defect_of_the_protocol_is_found(mutant: str) -> None:
    assert first_failure(lambda seed: simulate(seed, MUTANTS[mutant])) is not None
