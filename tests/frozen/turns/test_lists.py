"""Are turns and conversations listed by index entries that the first release of lists wrote, and written alike?"""

from copy import replace

from clients.storage.keys import owner_index_key
from clients.storage.port import Container
from clients.storage.sqlite.store import SqliteStore
from domain.money.budgets import Budgets
from domain.money.ledger_records import Reservation
from domain.turns.webhook_events import WebhookEndpoints
from state.money.ledger import Ledger
from state.turn_index import TENANT_PREFIX, index_operations, owner_prefix
from state.turn_list import TurnList, TurnQuery
from state.turns.conversations import ConversationStore
from state.turns.owner_threads import register_conversation
from state.turns.responses import TurnStore
from tests.fakes.clocks import FakeClock
from tests.frozen.documents import as_json, frozen, insert
from tests.frozen.objects import CONVERSATION_ID, NOW, OWNER, RESERVATION, RESPONSE_ID, THREAD


async def test_a_turn_is_listed_by_its_entry(store: SqliteStore, clock: FakeClock) -> None:
    for container, name in (
        (Container.MONEY, "turn"),
        (Container.MONEY, "reservation"),
        (Container.MONEY, "attempt"),
        (Container.TURNS, "response"),
    ):
        await insert(store, container, name)
    turns = TurnList(store, TurnStore(store, clock, WebhookEndpoints()), Ledger(store, clock, Budgets()))
    page = await turns.page(OWNER.tenant, OWNER.subject, TurnQuery(limit=5, keeps=lambda _: True))
    assert [each.turn.id for each in page.found] == [RESPONSE_ID]


def test_the_entries_of_a_turn_are_written_as_they_were() -> None:
    document = frozen(Container.MONEY, "turn")
    own, whole = index_operations(RESERVATION)
    assert (own.id, as_json(own.body)) == (document.id, document.body)
    moved = document.id.replace(owner_prefix(OWNER.subject), TENANT_PREFIX)
    assert (whole.id, as_json(whole.body)) == (moved, document.body)


def test_entries_sort_from_the_newest_to_the_oldest() -> None:
    times = (NOW, NOW + 0.001, NOW + 10, NOW + 10**6)
    made = [index_operations(at(RESERVATION, time))[0].id for time in times]
    assert sorted(made) == made[::-1]


def at(reservation: Reservation, time: float) -> Reservation:
    return replace(reservation, at=time)


async def test_a_conversation_is_listed_by_its_entry(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.TURNS, "listed_conversation")
    await insert(store, Container.TURNS, "conversation")
    page = await ConversationStore(store, clock).page(OWNER, after="", limit=5)
    assert [each.id for each in page.found] == [CONVERSATION_ID]
    after = await ConversationStore(store, clock).page(OWNER, after=CONVERSATION_ID, limit=5)
    assert after.found == ()


async def test_the_entry_of_a_conversation_is_written_as_it_was(store: SqliteStore) -> None:
    document = frozen(Container.TURNS, "listed_conversation")
    await register_conversation(store, OWNER, CONVERSATION_ID, thread=THREAD, at=NOW)
    found = await store.read(owner_index_key(OWNER), document.id)
    assert found is not None
    assert as_json(found.body) == document.body


async def test_an_entry_without_its_conversation_is_left_out(store: SqliteStore, clock: FakeClock) -> None:
    await insert(store, Container.TURNS, "listed_conversation")
    assert (await ConversationStore(store, clock).page(OWNER, after="", limit=5)).found == ()
