"""Does this release read and write what was stored of approvals?"""

import asyncio
from copy import replace

from clients.storage.port import Container
from domain.content.items import ItemKind, ItemStatus
from domain.identity.owners import Owner
from domain.log.events import EventKind, LogEvent, ResponseStatus, Slot
from domain.log.item_events import ItemHeader
from domain.tools.approvals import Approval, Decision
from domain.turns.response import Response
from domain.turns.response_progress import ApprovalWait
from state.approvals.index import ApprovalIndex, open_id
from state.turns.approvals import Approvals, ended_wait_operations
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.frozen.documents import as_json, frozen, insert
from tests.frozen.objects import NOW, OWNER, RESPONSE_ID

THREAD = "a" * 24
REQUEST_ID = f"mcpr_{THREAD}{10:024x}"
APPROVAL = Approval(
    request=REQUEST_ID,
    response=RESPONSE_ID,
    server="shop",
    tool="find",
    pin="0123456789abcdef0123456789abcdef",
    arguments_hash="0123456789abcdef",
    asked_at=NOW,
    expires_at=NOW + 604_800,
    decision=Decision(approves=True, reason="go on", by="user:alice", at=NOW + 60),
)
ASKED = ItemHeader(id=REQUEST_ID, kind=ItemKind.APPROVAL_REQUEST, name="find", call_id="call_1", server="shop", round=1)
ANSWERED = ItemHeader(id=f"mcpa_{THREAD}{11:024x}", kind=ItemKind.APPROVAL_RESPONSE, approval=REQUEST_ID, approves=True)
CALLED = ItemHeader(
    id=f"mcp_{THREAD}{8:024x}",
    kind=ItemKind.MCP_CALL,
    name="find",
    call_id="call_2",
    server="shop",
    approval=REQUEST_ID,
)
EVENTS = (
    LogEvent(kind=EventKind.ITEM_ADDED, header=ASKED, text='{"q":"x"}'),
    LogEvent(kind=EventKind.ITEM_DONE, status=ItemStatus.COMPLETED),
    LogEvent(kind=EventKind.ITEM_ADDED, output=1, header=ANSWERED, text="go on"),
    LogEvent(kind=EventKind.ITEM_ADDED, output=2, header=CALLED),
)


def test_a_request_for_an_approval_is_read_and_written_as_it_was() -> None:
    document = frozen(Container.TURNS, "approval")
    found = Approval.from_document(document.body)
    assert (found, found.id) == (APPROVAL, document.id)
    assert as_json(found.to_document()) == document.body


def test_a_slot_with_an_approval_is_read_and_written_as_it_was() -> None:
    document = frozen(Container.TURNS, "slot_approval")
    found = Slot.from_document(document.body)
    assert found == Slot(number=4, writer="execution-1", first=7, at=NOW, events=EVENTS)
    assert as_json(found.to_document()) == document.body


IN_PLACE = replace(
    APPROVAL,
    request=f"mcpr_{THREAD}{12:024x}",
    waits=True,
    arguments='{"q":"x"}',
    roles=("Shop.Approve",),
    four_eyes=True,
)


def test_a_request_that_a_turn_waits_for_is_read_and_written_as_it_was() -> None:
    document = frozen(Container.TURNS, "approval_in_place")
    found = Approval.from_document(document.body)
    assert (found, found.id) == (IN_PLACE, document.id)
    assert as_json(found.to_document()) == document.body


def test_a_response_that_waits_is_found_by_the_end_of_its_wait() -> None:
    document = frozen(Container.TURNS, "response")
    wait = {"status": "waiting", "wait": [NOW + 30, NOW + 90], "waited_s": 5.0, "at": NOW + 90, "created_at": NOW}
    body = {**document.body, **wait, "approval_wait_s": 3600.0}
    found = Response.from_document(document.id, body)
    assert found.progress.wait == ApprovalWait(NOW + 30, NOW + 90)
    assert (found.status, found.created_at) == (ResponseStatus.IN_PROGRESS, NOW)
    assert as_json(found.to_document()) == body


async def test_an_entry_of_the_list_of_open_requests_is_found(clock: FakeClock) -> None:
    store = MemoryStore(clock)
    await insert(store, Container.TURNS, "listed_approval")
    index = ApprovalIndex(store, clock, is_shared=False)

    async def load(owner: Owner, request: str, asked_at: float) -> tuple[str, str, float]:
        await asyncio.sleep(0)
        return owner.subject, request, asked_at

    page = await index.page(OWNER, load, whole_tenant=False, after="", limit=5)
    assert page.found == ((OWNER.subject, REQUEST_ID, NOW),)
    before = await index.page(OWNER, load, whole_tenant=False, after=open_id(NOW, REQUEST_ID), limit=5)
    assert before.found == ()


async def test_the_note_of_an_ended_wait_is_found_written_and_forgotten_as_it_was(clock: FakeClock) -> None:
    store = MemoryStore(clock)
    await insert(store, Container.TURNS, "ended_wait")
    approvals = Approvals(store, clock)
    assert await approvals.ended_waits(before=NOW + 31) == ((OWNER, RESPONSE_ID),)
    ended = Response.from_document(RESPONSE_ID, frozen(Container.TURNS, "response").body)
    waits = replace(ended, owner=OWNER).waiting(at=NOW, until=NOW + 90)
    over = waits.ended(status=ResponseStatus.CANCELLED, at=NOW + 30, output_items=())
    (made,) = ended_wait_operations(waits, over)
    document = frozen(Container.TURNS, "ended_wait")
    assert (made.id, as_json(made.body)) == (document.id, document.body)
    await approvals.forget_ended_wait(OWNER, RESPONSE_ID)
    assert await approvals.ended_waits(before=NOW + 31) == ()
