"""Does this release read and write what was stored of approvals?"""

from clients.storage.port import Container
from domain.content.items import ItemKind, ItemStatus
from domain.log.events import EventKind, LogEvent, Slot
from domain.log.item_events import ItemHeader
from domain.tools.approvals import Approval, Decision
from tests.frozen.documents import as_json, frozen
from tests.frozen.objects import NOW, RESPONSE_ID

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
