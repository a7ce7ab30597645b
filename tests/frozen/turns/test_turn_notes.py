"""Does this release use the notes beside turns, which are plain documents, as the first release did?"""

import pytest

from clients.sealing import Seal
from clients.storage.keys import owner_index_key, turns_key
from clients.storage.paging import list_all
from clients.storage.port import Container, Create
from clients.storage.sqlite.store import SqliteStore
from domain.errors import Conflict
from domain.identity.owners import Owner
from domain.sources.prompt_context import context_text
from domain.turns.webhook_events import WebhookDelivery, WebhookEndpoint, WebhookEndpoints
from state.retention.deletion import Retention
from state.retention.erasure import SETTLED_S, Erasure
from state.tools.grants import Grants
from state.tools.turn_pauses import TurnPauses, pause_id
from state.tools.whole_results import WholeResults
from state.turns.conversations import ConversationStore, entry_document
from state.turns.expiry import expiry_operation, expiry_operations
from state.turns.idempotency import HOLDERS, IdempotencyRecords
from state.turns.owner_threads import register_conversation
from state.turns.responses import TurnStore
from state.turns.retrieved_context import RetrievedContext
from state.turns.stored_completions import StoredCompletions
from state.webhook_outbox import WebhookOutbox, document_id, document_of
from tests.fakes.clocks import FakeClock
from tests.frozen.documents import as_json, frozen, insert, stored
from tests.frozen.objects import (
    CALL_ID,
    CONVERSATION_ID,
    FETCHED,
    MESSAGE_ID,
    NOW,
    OWNER,
    RESPONSE,
    RESPONSE_ID,
    THREAD,
)

ENDPOINT = WebhookEndpoint(name="crm", url="https://crm.example.com/hook", secrets=(b"s",), revision=2)


async def test_a_result_that_was_cut_is_read_and_written_as_it_was(store: SqliteStore) -> None:
    document, call = frozen(Container.TURNS, "whole_result"), f"mcp_{THREAD}{8:024x}"
    await WholeResults(store).keep(RESPONSE, call, "the whole of it")
    assert await stored(store, document) == document.body
    assert await WholeResults(store).read(RESPONSE, call, start=4, most=5) == "whole"


async def test_a_sealed_token_is_opened_as_it_was(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.TURNS, "grant")
    grants = Grants(store, Seal(bytes(range(32))), clock)
    assert await grants.token(RESPONSE, "tickets") == "a token"
    assert await grants.token(RESPONSE, "shop") == ""
    await grants.drop(RESPONSE)
    assert await grants.token(RESPONSE, "tickets") == ""


async def test_a_repeated_request_finds_its_response(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.TURNS, "claim")
    records = IdempotencyRecords(store, clock)
    other = f"resp_{THREAD}{7:024x}"
    request = {"key": "key-1", "response_id": other}
    found = await records.record(OWNER, **request, body_hash="hash-1", repeat=True, new_thread=False)
    assert found == RESPONSE_ID
    with pytest.raises(Conflict):
        await records.record(OWNER, **request, body_hash="hash-2", repeat=True, new_thread=False)


async def test_a_record_of_a_request_goes_with_its_last_holder(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.TURNS, "claim")
    document = frozen(Container.TURNS, "claim")
    records = IdempotencyRecords(store, clock)
    await records.remove_holder(OWNER, key="key-1", response_id=RESPONSE_ID, new_thread=False)
    assert await stored(store, document) == {**document.body, HOLDERS: 1}
    await records.remove_holder(OWNER, key="key-1", response_id=RESPONSE_ID, new_thread=False)
    assert await stored(store, document) is None


async def test_a_record_of_a_request_is_written_as_it_was(store: SqliteStore, clock: FakeClock) -> None:
    records = IdempotencyRecords(store, clock)
    await records.record(OWNER, key="key-1", body_hash="hash-1", response_id=RESPONSE_ID, repeat=False, new_thread=True)
    await records.add_holder(OWNER, key="key-1", response_id=RESPONSE_ID)
    for name in ("claim", "thread"):
        document = frozen(Container.TURNS, name)
        assert await stored(store, document) == document.body


async def test_a_note_of_a_thread_is_written_as_it_was(store: SqliteStore, clock: FakeClock) -> None:
    await register_conversation(store, OWNER, CONVERSATION_ID, thread=THREAD, at=NOW)
    document = frozen(Container.TURNS, "thread")
    assert await stored(store, document) == document.body


async def test_an_erasure_that_was_ordered_is_carried_out(store: SqliteStore, clock: FakeClock) -> None:
    names = ("thread", "chat", "claim", "expiry_erasure", "response", "item_message", "route", "sources", "rows")
    await insert(store, Container.TURNS, *names)
    clock.advance(SETTLED_S + 1)
    assert await Retention(store, TurnStore(store, clock, WebhookEndpoints()), clock).clear_due() == 1
    assert not await list_all(store, turns_key(OWNER, THREAD), prefix="")
    assert not await list_all(store, owner_index_key(OWNER), prefix="")


async def test_an_order_of_an_erasure_is_written_as_it_was(store: SqliteStore, clock: FakeClock) -> None:
    retention = Retention(store, TurnStore(store, clock, WebhookEndpoints()), clock)
    await Erasure(store, retention.clearing, clock).record_request(OWNER)
    document = frozen(Container.TURNS, "expiry_erasure")
    assert await stored(store, document) == document.body


@pytest.mark.parametrize("name", ["expiry_response", "expiry_conversation"])
async def test_what_is_due_is_cleared(name: str, store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.TURNS, name, "response", "route", "sources", "rows", "slot")
    clock.advance(3600)
    assert await Retention(store, TurnStore(store, clock, WebhookEndpoints()), clock).clear_due() == 1
    assert await stored(store, frozen(Container.TURNS, name)) is None
    left = await list_all(store, turns_key(OWNER, THREAD), prefix="")
    assert {document.body["kind"] for document in left} == {"slot"}


def test_notes_of_what_expires_are_written_as_they_were() -> None:
    written = {
        "expiry_response": expiry_operations(RESPONSE)[0],
        "expiry_conversation": expiry_operation(OWNER, CONVERSATION_ID, at=NOW + 9),
    }
    for name, operation in written.items():
        document = frozen(Container.TURNS, name)
        assert isinstance(operation, Create)
        assert (operation.id, as_json(operation.body)) == (document.id, document.body)


async def test_a_stored_completion_is_found_and_written_as_it_was(store: SqliteStore, clock: FakeClock) -> None:
    document = frozen(Container.TURNS, "chat")
    completions = StoredCompletions(store, TurnStore(store, clock, WebhookEndpoints()))
    await completions.add(RESPONSE)
    assert await stored(store, document) == document.body
    await insert(store, Container.TURNS, "response")
    assert await completions.response_ids(OWNER) == [RESPONSE_ID]
    assert await completions.read(OWNER, RESPONSE_ID) == RESPONSE


async def test_names_of_stored_completions_are_read(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.TURNS, "chat")
    assert await StoredCompletions(store, TurnStore(store, clock, WebhookEndpoints())).response_ids(OWNER) == [
        RESPONSE_ID
    ]


async def test_a_webhook_that_is_due_is_found_and_written_as_it_was(store: SqliteStore, clock: FakeClock) -> None:
    document = frozen(Container.TURNS, "announcement")
    delivery = WebhookDelivery.from_document(document.body)
    await insert(store, Container.TURNS, "announcement")
    outbox = WebhookOutbox(store, clock)
    assert await outbox.overdue(before=NOW + 36) == (delivery,)
    assert await outbox.read(OWNER, RESPONSE_ID, "crm") is not None
    assert (document_id(delivery), as_json(document_of(delivery))) == (document.id, document.body)


async def test_an_event_of_a_budget_that_was_announced_is_not_announced_again(
    store: SqliteStore, clock: FakeClock
) -> None:
    document = frozen(Container.TURNS, "announced")
    owner, outbox = Owner(tenant=OWNER.tenant, subject="budgets"), WebhookOutbox(store, clock)
    assert await outbox.announce(owner, document.id, ())
    assert await stored(store, document) == document.body
    assert not await outbox.announce(owner, document.id, ())


async def test_an_endpoint_that_is_gone_stays_gone(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.TURNS, "endpoint")
    assert await WebhookOutbox(store, clock).is_gone(OWNER.tenant, ENDPOINT)


async def test_a_note_of_an_endpoint_is_written_as_it_was(store: SqliteStore, clock: FakeClock) -> None:
    await WebhookOutbox(store, clock).mark_gone(OWNER.tenant, ENDPOINT)
    document = frozen(Container.TURNS, "endpoint")
    assert await stored(store, document) == document.body


async def test_an_entry_of_a_conversation_names_its_items(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.TURNS, "conversation", "entry", "item_message", "item_function_call")
    page = await ConversationStore(store, clock).items(OWNER, CONVERSATION_ID, order="asc")
    assert [item.id for item in page.items] == [MESSAGE_ID, CALL_ID]
    assert as_json(entry_document([MESSAGE_ID, CALL_ID], at=NOW + 30)) == frozen(Container.TURNS, "entry").body


async def test_retrieved_rows_are_read_as_they_were(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.TURNS, "sources", "rows")
    context = RetrievedContext(store, clock)
    accounts = frozen(Container.TURNS, "sources").body["sources"]
    assert await context.source_reports(OWNER, RESPONSE_ID) == accounts
    assert await context.text(RESPONSE) == frozen(Container.TURNS, "rows").body["text"]


async def test_retrieved_rows_are_written_as_they_were(store: SqliteStore, clock: FakeClock) -> None:
    await RetrievedContext(store, clock).record(RESPONSE, FETCHED)
    accounts, rows = frozen(Container.TURNS, "sources"), frozen(Container.TURNS, "rows")
    assert await stored(store, accounts) == accounts.body
    assert await stored(store, rows) == {**rows.body, "text": context_text(FETCHED, RESPONSE.token)}


async def test_a_recorded_route_is_kept_when_its_step_runs_again(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.TURNS, "route")
    body = frozen(Container.TURNS, "route").body
    turns = TurnStore(store, clock, WebhookEndpoints())
    assert await turns.record_route(OWNER, RESPONSE_ID, number=2, route={}, routed={}) == body["routed"]
    assert [as_json(route) for route in await turns.routes(OWNER, RESPONSE_ID)] == [body]


async def test_a_route_is_recorded_as_it_was(store: SqliteStore, clock: FakeClock) -> None:
    document = frozen(Container.TURNS, "route")
    body = document.body
    await TurnStore(store, clock, WebhookEndpoints()).record_route(
        OWNER, RESPONSE_ID, number=2, route=body["route"], routed=body["routed"]
    )
    assert await stored(store, document) == body


async def test_a_decision_about_the_gpu_of_a_call_is_read_and_written_as_it_was(store: SqliteStore) -> None:
    document = frozen(Container.TURNS, "gpu_pause")
    await insert(store, Container.TURNS, "gpu_pause")
    pauses = TurnPauses(store)
    [found] = await pauses.of_response(OWNER, RESPONSE_ID)
    assert (found.decided.releases, found.released_at, found.started_at) == (True, NOW + 0.5, None)
    assert (pause_id(RESPONSE_ID, found), as_json(found.to_document())) == (document.id, document.body)
