"""Do all writes fit into commits, by number of operations and by bytes?"""

import pytest

from clients.storage.batching import batches, split_to_fit
from clients.storage.item_parts import item_creates
from clients.storage.port import BYTES_LIMIT, OPERATIONS_LIMIT, Create, Delete, DocumentKey
from clients.storage.port import Container as Place
from domain.content.items import Item, ItemStatus
from domain.ids import member_id
from domain.log.events import EventKind, LogEvent, ResponseStatus, Slot
from domain.log.item_events import ItemHeader
from domain.turns.response import Response, ResponseOptions
from domain.turns.webhook_events import WebhookEndpoints
from state.turns.responses import TurnStore
from tests.checks import every
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER

THREAD = "a" * 24
CREATED = (LogEvent(kind=EventKind.CREATED),)
KEY = DocumentKey(container=Place.TURNS, parts=("t", "s", THREAD))


def item(number: int, text: str) -> Item:
    return Item(id=member_id("msg", thread=THREAD, token=f"{number:024x}"), text=text)


def response(*items: Item) -> Response:
    return Response(
        id=member_id("resp", thread=THREAD, token="f" * 24),
        owner=OWNER,
        created_at=1.0,
        deadline_at=9.0,
        input_items=tuple(each.id for each in items),
        options=ResponseOptions(model="model"),
    )


@pytest.mark.parametrize(("count", "size"), [(3, 700_000), (10, 400_000), (250, 10_000), (1, 999_000), (2, 9_000_000)])
async def test_items_of_many_bytes_are_admitted_and_read_again(count: int, size: int) -> None:
    clock = FakeClock()
    turns = TurnStore(MemoryStore(clock), clock, WebhookEndpoints())
    items = [item(number, "x" * size) for number in range(count)]
    one = response(*items)
    await turns.admit(one, items, CREATED)
    assert await turns.history(one) == tuple(items)


async def test_a_turn_of_any_length_can_end() -> None:
    clock = FakeClock()
    turns = TurnStore(MemoryStore(clock), clock, WebhookEndpoints())
    one = response()
    await turns.admit(one, (), CREATED)
    await turns.begin(OWNER, one.id, execution="run")
    head = ItemHeader(id=member_id("msg", thread=THREAD, token="1" * 24))
    slots = [
        (LogEvent(kind=EventKind.ITEM_ADDED, header=head),),
        *(((LogEvent(kind=EventKind.TEXT, text="é" * 400_000),)) for _ in range(4)),
    ]
    for number, events in enumerate(slots, start=2):
        slot = Slot(number=number, writer="run", first=number, at=1.0, events=events)
        assert await turns.append(OWNER, one.id, slot)
    ended = await turns.finish(OWNER, one.id, status=ResponseStatus.COMPLETED)
    (kept,) = await turns.items(OWNER, ended.progress.output_items)
    assert kept.status is ItemStatus.COMPLETED
    assert kept.text == "é" * 1_600_000


def test_every_operation_is_written_once_in_batches_within_the_limits() -> None:
    items = [item(number, "x" * (number % 7) * 50_000) for number in range(300)]
    operations = [create for each in items for create in item_creates(each)]
    found = list(batches([*operations, Delete(id="d")]))
    assert [each for batch in found for each in batch] == [*operations, Delete(id="d")]
    assert every(len(batch) <= OPERATIONS_LIMIT for batch in found)
    assert every(sum(len(str(o.body)) for o in batch if isinstance(o, Create)) <= BYTES_LIMIT for batch in found)
    assert list(batches([])) == []


def test_the_last_items_go_with_the_head() -> None:
    rest = [create for number in range(OPERATIONS_LIMIT) for create in item_creates(item(number, "x"))]
    early, late = split_to_fit([Delete(id="a"), Delete(id="b")], rest)
    assert (len(early), len(late)) == (2, OPERATIONS_LIMIT - 2)
    assert [*early, *late] == rest
