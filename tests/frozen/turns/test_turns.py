"""Does this release read and write the documents of turns as the first release did?"""

from copy import replace
from typing import Any

import pytest

from clients.storage.port import Container
from clients.storage.sqlite.store import SqliteStore
from domain.content.items import ImageInput, Item, ItemKind, ItemStatus, Role
from domain.log.capped_answers import CappedAnswer
from domain.log.escalations import Escalation
from domain.log.events import EMPTIED_BY, AttemptOutcome, Ending, EventKind, LogEvent, ResponseStatus, Slot, TokenUsage
from domain.log.item_events import ItemHeader, ItemResult
from domain.log.token_logprobs import TokenLogprob, TokenOption
from domain.routing.route_record import route_to_document
from domain.tools.call_record import CallOutcome, CallRecord, RemoteTask, orphaned
from domain.turns.conversations import Conversation
from domain.turns.response import Response
from domain.turns.webhook_events import WebhookDelivery, WebhookEndpoints
from state.turns.responses import TurnStore
from tests.domain.routing.decisions.stored_routes import route_from_document
from tests.fakes.clocks import FakeClock
from tests.frozen.documents import as_json, frozen, insert
from tests.frozen.objects import (
    CALL_ID,
    CONVERSATION_ID,
    MESSAGE_ID,
    NOW,
    OUTPUT_ID,
    OWNER,
    REASONING_ID,
    RESPONSE,
    RESPONSE_ID,
    ROUTE,
    USAGE,
    WAIT,
)

CUSTOM_CALL_ID = f"fc_{'a' * 24}{7:024x}"
SERVER_CALL_ID = f"mcp_{'a' * 24}{8:024x}"
REQUEST_ID = f"mcpr_{'a' * 24}{10:024x}"
SEARCH_ID = f"fs_{'a' * 24}{18:024x}"
UNKNOWN = {"type": "mcp_tool_execution_error", "content": "It is unknown."}
REFUSAL_ID = f"msg_{'a' * 24}{17:024x}"
ITEMS = {
    "item_message": Item(
        id=MESSAGE_ID,
        kind=ItemKind.MESSAGE,
        role=Role.USER,
        text="Look: here.",
        status=ItemStatus.COMPLETED,
        images=(
            ImageInput(url="https://example.com/a.png", detail="low", at=6),
            ImageInput(url="data:image/png;base64,AAAA", detail="high", at=11),
        ),
    ),
    "item_function_call": Item(
        id=CALL_ID,
        kind=ItemKind.FUNCTION_CALL,
        text='{"q":"x"}',
        status=ItemStatus.INCOMPLETE,
        name="find",
        call_id="call_1",
    ),
    "item_custom_call": Item(
        id=CUSTOM_CALL_ID,
        kind=ItemKind.FUNCTION_CALL,
        text='{"input": "hi"}',
        name="shout",
        call_id="call_1",
        namespace="agents",
        is_custom=True,
    ),
    "item_refusal": Item(id=REFUSAL_ID, text="Well,", refusal="I can't help with that."),
    "item_function_output": Item(
        id=OUTPUT_ID, kind=ItemKind.FUNCTION_OUTPUT, role=Role.USER, text="found", name="find", call_id="call_1"
    ),
    "item_mcp_call": Item(
        id=SERVER_CALL_ID,
        kind=ItemKind.MCP_CALL,
        text='{"q":"x"}',
        status=ItemStatus.INCOMPLETE,
        name="find",
        call_id="call_1",
        server="shop",
        output="found",
        error=UNKNOWN,
        round=2,
    ),
    "item_mcp_list_tools": Item(id=f"mcpl_{'a' * 24}{9:024x}", kind=ItemKind.MCP_TOOLS, server="shop", output="[]"),
    "item_file_search_call": Item(
        id=SEARCH_ID,
        kind=ItemKind.FILE_SEARCH,
        text='{"query":"x"}',
        name="search",
        call_id="call_1",
        server="file_search",
        output='{"rows":[{"source":"orders","row":{"id":"1"}}]}',
        round=1,
    ),
    "item_approval_request": Item(
        id=REQUEST_ID,
        kind=ItemKind.APPROVAL_REQUEST,
        text='{"q":"x"}',
        name="find",
        call_id="call_1",
        server="shop",
        round=1,
    ),
    "item_approval_response": Item(
        id=f"mcpa_{'a' * 24}{11:024x}",
        kind=ItemKind.APPROVAL_RESPONSE,
        role=Role.USER,
        text="go on",
        approval=REQUEST_ID,
        approves=True,
    ),
    "item_reasoning": Item(id=REASONING_ID, kind=ItemKind.REASONING, text="Thinking.", status=ItemStatus.IN_PROGRESS),
}
ENDING = Ending(
    status=ResponseStatus.FAILED,
    at=NOW + 30,
    code="server_error",
    message="It broke.",
    usage=USAGE,
    notes={"ganglion_sources": "orders: 1 row"},
)
EVENTS = (
    LogEvent(kind=EventKind.CREATED),
    LogEvent(kind=EventKind.QUEUED),
    LogEvent(kind=EventKind.STARTED),
    LogEvent(
        kind=EventKind.ITEM_ADDED,
        output=1,
        header=ItemHeader(id=CALL_ID, kind=ItemKind.FUNCTION_CALL, name="find", call_id="call_1"),
    ),
    LogEvent(kind=EventKind.PART_ADDED, output=1),
    LogEvent(kind=EventKind.TEXT, output=1, text="Hel"),
    LogEvent(kind=EventKind.TEXT_DONE, output=1, text="Hello"),
    LogEvent(kind=EventKind.PART_DONE, output=1),
    LogEvent(kind=EventKind.ARGUMENTS, output=2, text='{"q"'),
    LogEvent(kind=EventKind.ARGUMENTS_DONE, output=2, text='{"q":1}'),
    LogEvent(kind=EventKind.ITEM_DONE, output=2, status=ItemStatus.INCOMPLETE),
    LogEvent(kind=EventKind.ENDED, ending=ENDING),
)
SLOT = Slot(
    number=3,
    writer="execution-1",
    first=7,
    at=NOW + 5,
    events=EVENTS,
    pieces=9,
    outcome=AttemptOutcome(
        attempt=2,
        result="wait",
        code="overloaded",
        message="Busy.",
        delay_s=1.5,
        usage=USAGE,
        failure_class="overloaded",
        counted=TokenUsage(input_tokens=1, cached_tokens=2, output_tokens=3, reasoning_tokens=4),
    ),
)
SERVER_EVENTS = (
    LogEvent(
        kind=EventKind.ITEM_ADDED,
        header=ItemHeader(
            id=SERVER_CALL_ID, kind=ItemKind.MCP_CALL, name="find", call_id="call_1", server="shop", round=2
        ),
    ),
    LogEvent(kind=EventKind.CALL_STARTED),
    LogEvent(kind=EventKind.CALL_ENDED, result=ItemResult(error=UNKNOWN)),
)
SEARCH_EVENTS = (
    LogEvent(
        kind=EventKind.ITEM_ADDED,
        text='{"query":"x"}',
        header=ItemHeader(
            id=SEARCH_ID, kind=ItemKind.FILE_SEARCH, name="search", call_id="call_1", server="file_search", round=1
        ),
    ),
    LogEvent(kind=EventKind.CALL_STARTED),
    LogEvent(kind=EventKind.CALL_SEARCHING),
)
SEARCH_SLOT = Slot(
    number=4,
    writer="execution-1",
    first=7,
    at=NOW,
    events=SEARCH_EVENTS,
    outcome=AttemptOutcome(attempt=1, result="calls", calls=(SEARCH_ID,)),
)
SERVER_SLOT = Slot(
    number=4,
    writer="execution-1",
    first=7,
    at=NOW,
    events=SERVER_EVENTS,
    outcome=AttemptOutcome(attempt=2, result="calls", calls=(SERVER_CALL_ID,), hands_back=True, limit="max_rounds"),
)
CAPPED_SLOT = Slot(
    number=3,
    writer="execution-1",
    first=5,
    at=NOW,
    outcome=AttemptOutcome(
        attempt=1, result="handover", usage=USAGE, counted=USAGE, capped=CappedAnswer("gpu-l4", 900, tried=1024)
    ),
)
ESCALATED_SLOT = replace(
    CAPPED_SLOT,
    outcome=AttemptOutcome(
        attempt=1,
        result="elsewhere",
        usage=USAGE,
        counted=USAGE,
        escalation=Escalation("gpu-l4", "The model's answer is empty.", "done", ""),
    ),
)
CALL_RECORD = CallRecord(
    response=RESPONSE_ID,
    item=SERVER_CALL_ID,
    server="shop",
    tool="find",
    arguments_hash="0123456789abcdef",
    starter="starter-1",
    started_at=NOW,
    send_until=NOW + 5,
    ends_by=NOW + 15,
    tries=2,
    outcome=CallOutcome(status=ItemStatus.INCOMPLETE, error=UNKNOWN, unknown=True),
    ended_at=NOW + 20,
)
CONVERSATION = Conversation(
    id=CONVERSATION_ID,
    owner=OWNER,
    created_at=NOW,
    metadata={"topic": "orders"},
    next_entry=3,
    running=RESPONSE_ID,
    lasting=(MESSAGE_ID,),
)
DELIVERY = WebhookDelivery(
    owner=OWNER,
    response=RESPONSE_ID,
    status=ResponseStatus.COMPLETED,
    at=NOW + 30,
    endpoint="crm",
    due_at=NOW + 35,
    tries=2,
)


def without_prose(route: dict[str, Any]) -> dict[str, Any]:
    """Return a route without the sentences that are made anew whenever it is written."""
    candidates = [
        {
            **each,
            "reason": "",
            "last": "",
            "session": {**each["session"], "reason": ""} if each["session"] else None,
        }
        for each in route["candidates"]
    ]
    return {**route, "candidates": candidates}


def test_a_response_is_read_and_written_as_it_was() -> None:
    document = frozen(Container.TURNS, "response")
    found = Response.from_document(document.id, document.body)
    assert found == RESPONSE
    assert found.owner.roles == OWNER.roles
    assert as_json(found.to_document()) == document.body


@pytest.mark.parametrize("name", ITEMS)
def test_an_item_is_read_and_written_as_it_was(name: str) -> None:
    document = frozen(Container.TURNS, name)
    found = Item.from_document(document.id, document.body)
    assert found == ITEMS[name]
    assert as_json(found.to_document()) == document.body


def test_every_kind_of_item_and_event_is_frozen() -> None:
    assert {item.kind for item in ITEMS.values()} == set(ItemKind)
    assert {event.kind for event in (*EVENTS, *SERVER_EVENTS, *SEARCH_EVENTS)} == set(EventKind)


def test_a_slot_is_read_and_written_as_it_was() -> None:
    document = frozen(Container.TURNS, "slot")
    found = Slot.from_document(document.body)
    assert found == SLOT
    assert as_json(found.to_document()) == document.body


def test_a_slot_with_a_call_of_a_servers_tool_is_read_and_written_as_it_was() -> None:
    document = frozen(Container.TURNS, "slot_mcp_call")
    found = Slot.from_document(document.body)
    assert found == SERVER_SLOT
    assert as_json(found.to_document()) == document.body


def test_a_slot_with_a_search_is_read_and_written_as_it_was() -> None:
    document = frozen(Container.TURNS, "slot_file_search_call")
    found = Slot.from_document(document.body)
    assert found == SEARCH_SLOT
    assert as_json(found.to_document()) == document.body


@pytest.mark.parametrize(("name", "slot"), [("slot_capped", CAPPED_SLOT), ("slot_escalated", ESCALATED_SLOT)])
def test_a_slot_whose_attempt_ended_early_is_read_and_written_as_it_was(name: str, slot: Slot) -> None:
    document = frozen(Container.TURNS, name)
    found = Slot.from_document(document.body)
    assert found == slot
    assert as_json(found.to_document()) == document.body


def test_the_record_of_a_call_is_read_and_written_as_it_was() -> None:
    document = frozen(Container.TURNS, "call")
    found = CallRecord.from_document(document.body)
    assert (found, found.id) == (CALL_RECORD, document.id)
    assert as_json(found.to_document()) == document.body


def test_what_is_left_of_the_record_of_a_task_is_read_and_written_as_it_was() -> None:
    document = frozen(Container.TURNS, "orphan")
    task = RemoteTask(id="task-1", poll_s=5.0, since=NOW + 1, until=NOW + 900)
    found = CallRecord.from_document(document.body)
    assert found == replace(CALL_RECORD, outcome=None, ended_at=None, task=task)
    assert orphaned(as_json(found.to_document())) == document.body


def test_a_slot_with_a_call_of_a_custom_tool_is_read_and_written_as_it_was() -> None:
    document = frozen(Container.TURNS, "slot_custom_call")
    header = ItemHeader(
        id=CUSTOM_CALL_ID,
        kind=ItemKind.FUNCTION_CALL,
        name="shout",
        call_id="call_2",
        namespace="agents",
        is_custom=True,
    )
    events = (LogEvent(kind=EventKind.ITEM_ADDED, header=header),)
    found = Slot.from_document(document.body)
    assert found == Slot(number=2, writer="execution-1", first=7, at=NOW, events=events)
    assert as_json(found.to_document()) == document.body


def test_a_slot_with_a_refusal_is_read_and_written_as_it_was() -> None:
    document = frozen(Container.TURNS, "slot_refusal")
    kinds = (EventKind.PART_ADDED, EventKind.TEXT, EventKind.TEXT_DONE, EventKind.PART_DONE)
    texts = ("", "I can't help with that.", "", "")
    events = tuple(LogEvent(kind=kind, text=text, is_refusal=True) for kind, text in zip(kinds, texts, strict=True))
    found = Slot.from_document(document.body)
    assert found == Slot(number=2, writer="execution-1", first=7, at=NOW, events=events)
    assert as_json(found.to_document()) == document.body


def test_a_slot_with_log_probabilities_is_read_and_written_as_it_was() -> None:
    document = frozen(Container.TURNS, "slot_logprobs")
    chosen, plain = TokenOption("\u00e9", -0.25, "\u00e9".encode()), TokenOption("e", -1.5, b"e")
    token = TokenLogprob(chosen=chosen, options=(plain, TokenOption("\ufffd", -9999.0, b"\xc3")))
    events = (LogEvent(kind=EventKind.TEXT, text="\u00e9", logprobs=(token,)),)
    found = Slot.from_document(document.body)
    assert found == Slot(number=2, writer="execution-1", first=7, at=NOW, events=events, pieces=1)
    assert as_json(found.to_document()) == document.body


def test_a_response_names_the_turns_that_wait_for_its_end() -> None:
    document = frozen(Container.TURNS, "response")
    body = {**document.body, "followers": [f"resp_{'a' * 24}{9:024x}"]}
    found = Response.from_document(document.id, body)
    assert found.progress.followers == (f"resp_{'a' * 24}{9:024x}",)
    assert as_json(found.to_document()) == body


def test_a_slot_with_the_words_of_a_backend_is_read_and_written_as_it_was() -> None:
    document = frozen(Container.TURNS, "slot_backend_words")
    outcome = AttemptOutcome(
        attempt=1,
        result="failed",
        code="invalid_prompt",
        message="It refused.",
        failure_class="client",
        words="Invalid schema: no type",
    )
    found = Slot.from_document(document.body)
    assert found == Slot(number=2, writer="infer:1", first=7, at=NOW, outcome=outcome)
    assert as_json(found.to_document()) == document.body


def test_a_slot_that_was_emptied_is_read_and_written_as_it_was() -> None:
    document = frozen(Container.TURNS, "slot_emptied")
    found = Slot.from_document(document.body)
    assert found == Slot(number=1, writer=EMPTIED_BY, first=7, at=NOW)
    assert as_json(found.to_document()) == document.body


def test_a_conversation_is_read_and_written_as_it_was() -> None:
    document = frozen(Container.TURNS, "conversation")
    found = Conversation.from_document(document.id, document.body)
    assert found == CONVERSATION
    assert as_json(found.to_document()) == document.body


def test_a_webhook_delivery_is_read_as_it_was() -> None:
    assert WebhookDelivery.from_document(frozen(Container.TURNS, "announcement").body) == DELIVERY


def test_a_route_is_read_and_written_as_it_was() -> None:
    route = frozen(Container.TURNS, "route").body["route"]
    found = route_from_document(route)
    assert found == ROUTE
    written = {**route_to_document(found), "wait": WAIT.to_document()}
    assert without_prose(as_json(written)) == without_prose(route)


async def test_a_turn_is_found_by_its_id_with_its_log_and_its_items(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.TURNS, "response", "slot", *ITEMS)
    turns = TurnStore(store, clock, WebhookEndpoints())
    assert await turns.read(OWNER, RESPONSE_ID) == RESPONSE
    assert tuple(await turns.slots(OWNER, RESPONSE_ID)) == (SLOT,)
    assert await turns.items(OWNER, [item.id for item in ITEMS.values()]) == tuple(ITEMS.values())


async def test_the_sweep_finds_a_turn_by_its_status(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.TURNS, "response")
    turns = TurnStore(store, clock, WebhookEndpoints())
    assert await turns.unfinished(ResponseStatus.COMPLETED, before=NOW + 1) == (RESPONSE,)


async def test_a_reader_of_an_emptied_slot_learns_who_wrote_it(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.TURNS, "slot_emptied")
    slots = await TurnStore(store, clock, WebhookEndpoints()).slots(OWNER, f"resp_{'a' * 24}{9:024x}")
    assert [slot.writer for slot in slots] == [EMPTIED_BY]
    assert replace(slots[0], at=0.0) == Slot(number=1, writer=EMPTIED_BY, first=7, at=0.0)
