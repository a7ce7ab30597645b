"""Is each step of a turn atomic, also when it is repeated and run in parallel?"""

import asyncio
from collections.abc import Sequence
from copy import replace
from random import Random

import pytest

from clients.storage.batching import COMPLETION_MARGIN, size_of
from clients.storage.port import BYTES_LIMIT, OPERATIONS_LIMIT, Create
from clients.storage.retry import WRITE_TRIES
from domain.content.items import Item, ItemStatus, Role
from domain.errors import Invalid, NotFound, Retryable, Unavailable
from domain.identity.owners import Owner
from domain.ids import member_id
from domain.log.events import AttemptOutcome, EventKind, LogEvent, ResponseStatus, Slot, TokenUsage
from domain.log.item_events import ItemHeader
from domain.log.transcript import kept_items
from domain.turns.response import Response, ResponseHistory, ResponseOptions
from domain.turns.webhook_events import WebhookEndpoints
from state.turns.responses import TurnStore
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import CrashError, Fault, Faults, FlakyStore, MemoryStore
from tests.fakes.worlds import OWNER

ROOM = OPERATIONS_LIMIT - 2
THREAD = "a" * 24
STRANGER = Owner(tenant=OWNER.tenant, subject="user:other")
CREATED = (LogEvent(kind=EventKind.CREATED),)
LOST = (Fault.UNAVAILABLE, Fault.LOST_BEFORE, Fault.LOST_AFTER)


@pytest.fixture
def turns(store: MemoryStore, clock: FakeClock) -> TurnStore:
    return TurnStore(store, clock, WebhookEndpoints())


def token(number: int) -> str:
    return f"{number:024x}"


def message(number: int, text: str = "hello", *, thread: str = THREAD) -> Item:
    return Item(id=member_id("msg", thread=thread, token=token(number)), role=Role.USER, text=text)


def response(number: int = 1, *, items: Sequence[Item] = (), previous: str | None = None) -> Response:
    return Response(
        id=member_id("resp", thread=THREAD, token=token(number)),
        owner=OWNER,
        created_at=1000.0 + number,
        deadline_at=9000.0,
        input_items=tuple(item.id for item in items),
        options=ResponseOptions(model="model"),
        history=ResponseHistory(previous=previous),
    )


async def admitted(turns: TurnStore, number: int = 1, text: str = "hello", *, previous: str | None = None) -> Response:
    item = message(1000 + number, text)
    one = response(number, items=(item,), previous=previous)
    await turns.admit(one, (item,), CREATED)
    return one


async def say(turns: TurnStore, one: Response, text: str, *, item: int) -> None:
    """Append an answer of one item, still open."""
    log = await turns.transcript(OWNER, one.id)
    index = len(log.items)
    events = (
        LogEvent(kind=EventKind.ITEM_ADDED, output=index, header=ItemHeader(id=message(item).id)),
        LogEvent(kind=EventKind.PART_ADDED, output=index),
        LogEvent(kind=EventKind.TEXT, output=index, text=text),
    )
    slot = Slot(
        number=log.next_slot, writer="infer:1", first=log.next_sequence, at=1.0, events=events, pieces=len(text.split())
    )
    assert await turns.append(OWNER, one.id, slot)


async def answered(turns: TurnStore, number: int, text: str, *, previous: str | None = None) -> Response:
    one = await admitted(turns, number, f"asked {number}", previous=previous)
    await say(turns, one, text, item=2000 + number)
    return await turns.finish(OWNER, one.id, status=ResponseStatus.COMPLETED)


async def texts(turns: TurnStore, one: Response) -> list[str]:
    return [item.text for item in await turns.history(one)]


async def test_every_admitted_turn_can_be_ended_whatever_its_size(turns: TurnStore) -> None:
    """Its end repeats the most of its beginning, and says more."""
    bare = response(items=[message(each) for each in range(512)])
    room = BYTES_LIMIT - size_of(Create(id=bare.id, body=bare.to_document())) - 300
    ended, refused = 0, set[str | None]()
    for number, left in enumerate((0, 50, 100, 200, 400, 30_000, COMPLETION_MARGIN - 300, COMPLETION_MARGIN + 100), 1):
        options = replace(bare.options, instructions="x" * (room - left))
        one = replace(bare, id=response(number).id, options=options)
        try:
            await turns.admit(one, (), CREATED)
        except Invalid as refusal:
            refused.add(refusal.code)
            continue
        await say(turns, one, "yes", item=10_000 + number)
        assert (await turns.finish(OWNER, one.id, status=ResponseStatus.COMPLETED)).status is ResponseStatus.COMPLETED
        ended += 1
    assert (ended, refused) == (1, {"request_too_large"})


async def test_a_response_begins_for_one_of_all_executions_that_start_at_once(turns: TurnStore) -> None:
    one = await admitted(turns)
    begun = await asyncio.gather(*(turns.begin(OWNER, one.id, execution=str(n)) for n in range(20)))
    assert sum(begun) == 1
    log = await turns.transcript(OWNER, one.id)
    assert (log.status, log.next_slot) == (ResponseStatus.IN_PROGRESS, 2)
    assert (await turns.read(OWNER, one.id)).progress.execution == str(begun.index(True))


async def test_a_repeated_begin_returns_the_same_until_the_response_ends(turns: TurnStore) -> None:
    one = await admitted(turns)
    assert [await turns.begin(OWNER, one.id, execution=name) for name in "aaba"] == [True, True, False, True]
    await turns.finish(OWNER, one.id, status=ResponseStatus.COMPLETED)
    assert not await turns.begin(OWNER, one.id, execution="a")
    assert (await turns.transcript(OWNER, one.id)).next_slot == 3


@pytest.mark.parametrize("seed", range(30))
async def test_begins_whose_replies_are_lost_begin_once(store: MemoryStore, clock: FakeClock, seed: int) -> None:
    one = await admitted(TurnStore(store, clock, WebhookEndpoints()))
    flaky = TurnStore(FlakyStore(store, Random(seed), Faults(rate=0.4, kinds=LOST)), clock, WebhookEndpoints())  # noqa: S311 - a test's seed

    async def begin(execution: str) -> bool:
        for _ in range(40):
            try:
                return await flaky.begin(OWNER, one.id, execution=execution)
            except Retryable:
                continue
        raise TimeoutError(execution)

    assert sum(await asyncio.gather(*(begin(name) for name in "abc"))) == 1
    log = await TurnStore(store, clock, WebhookEndpoints()).transcript(OWNER, one.id)
    assert log.next_slot == 2


async def test_a_response_that_is_cancelled_while_it_begins_has_one_log(turns: TurnStore) -> None:
    one = await admitted(turns)
    mine, ended = await asyncio.gather(
        turns.begin(OWNER, one.id, execution="a"), turns.finish(OWNER, one.id, status=ResponseStatus.CANCELLED)
    )
    log = await turns.transcript(OWNER, one.id)
    assert ended.status is log.status is ResponseStatus.CANCELLED
    assert log.next_slot == (3 if mine else 2)


@pytest.mark.parametrize("order", range(6))
async def test_one_of_many_parallel_endings_decides(turns: TurnStore, order: int) -> None:
    one = await admitted(turns)
    await turns.begin(OWNER, one.id, execution="a")
    await say(turns, one, "four and", item=1)
    endings = [ResponseStatus.CANCELLED, ResponseStatus.COMPLETED, ResponseStatus.FAILED]
    asked = [endings[(order + n) % 3] for n in range(3)] * (1 + order % 2)
    told = await asyncio.gather(*(turns.finish(OWNER, one.id, status=status) for status in asked))
    (standing,) = {each.status for each in told}
    slots = await turns.slots(OWNER, one.id)
    events = [event for slot in slots for event in slot.events]
    assert [event.kind for event in events].count(EventKind.ENDED) == 1
    (item,) = await turns.items(OWNER, told[0].progress.output_items)
    whole = standing is ResponseStatus.COMPLETED
    assert (item.text, item.status) == ("four and", ItemStatus.COMPLETED if whole else ItemStatus.INCOMPLETE)
    assert (item,) == kept_items(await turns.transcript(OWNER, one.id))


async def test_an_ending_includes_everything_written_before_it(turns: TurnStore) -> None:
    one = await admitted(turns)

    async def write() -> int:
        for number in range(50):
            log = await turns.transcript(OWNER, one.id)
            slot = Slot(number=log.next_slot, writer="infer:1", first=log.next_sequence, at=1.0, pieces=1)
            if log.ending or not await turns.append(OWNER, one.id, slot):
                return number
        return 50

    async def end() -> Response:
        for _ in range(40):
            await asyncio.sleep(0)
        return await turns.finish(OWNER, one.id, status=ResponseStatus.CANCELLED)

    written, ended = await asyncio.gather(write(), end())
    log = await turns.transcript(OWNER, one.id)
    assert 0 < written < 50
    assert (log.pieces, log.next_slot, ended.status) == (written, written + 2, log.status)


async def test_nothing_is_written_after_an_ending(turns: TurnStore) -> None:
    one = await admitted(turns)
    late = Slot(number=1, writer="infer:1", first=1, at=1.0)
    await turns.finish(OWNER, one.id, status=ResponseStatus.CANCELLED)
    assert not await turns.append(OWNER, one.id, late)


async def test_an_ending_has_the_counted_tokens_else_the_number_of_pieces(turns: TurnStore) -> None:
    counted, shown, silent = [await admitted(turns, number) for number in (1, 2, 3)]
    usage = TokenUsage(input_tokens=7, output_tokens=2)
    outcome = AttemptOutcome(attempt=1, result="done", usage=usage)
    assert await turns.append(OWNER, counted.id, Slot(number=1, writer="a", first=1, at=1.0, outcome=outcome))
    await say(turns, shown, "one two three", item=1)
    for one, expected in ((counted, usage), (shown, TokenUsage(output_tokens=3)), (silent, None)):
        await turns.finish(OWNER, one.id, status=ResponseStatus.COMPLETED)
        ending = (await turns.transcript(OWNER, one.id)).ending
        assert ending
        assert ending.usage == expected


async def test_a_slot_stays_its_writers_when_the_write_is_repeated(turns: TurnStore) -> None:
    one = await admitted(turns)
    mine, other = (Slot(number=1, writer=name, first=1, at=1.0) for name in ("infer:1", "infer:2"))
    assert await turns.append(OWNER, one.id, mine)
    assert await turns.append(OWNER, one.id, mine)
    assert not await turns.append(OWNER, one.id, other)


@pytest.mark.parametrize("seed", range(20))
async def test_a_writer_whose_answers_are_lost_loses_no_slot(store: MemoryStore, clock: FakeClock, seed: int) -> None:
    one = await admitted(TurnStore(store, clock, WebhookEndpoints()))
    flaky = TurnStore(FlakyStore(store, Random(seed), Faults(rate=0.3, kinds=LOST)), clock, WebhookEndpoints())  # noqa: S311 - a test's seed
    heard = asyncio.create_task(flaky.wait_for_slot(one.id, within_s=30))
    for number in range(1, 6):
        assert await flaky.append(OWNER, one.id, Slot(number=number, writer="infer:1", first=1, at=1.0))
    await asyncio.wait_for(heard, 60)
    assert len(await TurnStore(store, clock, WebhookEndpoints()).slots(OWNER, one.id)) == 6


async def test_a_store_that_never_answers_is_unavailable_after_a_few_tries(
    store: MemoryStore, clock: FakeClock
) -> None:
    one = await admitted(TurnStore(store, clock, WebhookEndpoints()))
    dead = FlakyStore(store, Random(0), Faults(rate=1.0, kinds=(Fault.UNAVAILABLE,)))  # noqa: S311 - a test's seed
    with pytest.raises(Unavailable):
        await TurnStore(dead, clock, WebhookEndpoints()).append(
            OWNER, one.id, Slot(number=1, writer="infer:1", first=1, at=1.0)
        )
    assert len(dead.calls) == WRITE_TRIES


async def test_a_turn_that_is_admitted_twice_is_admitted_once(turns: TurnStore) -> None:
    item = message(1)
    one = response(items=(item,))
    await asyncio.gather(*(turns.admit(one, (item,), CREATED) for _ in range(4)))
    await turns.begin(OWNER, one.id, execution="a")
    await turns.admit(one, (item,), CREATED)
    assert (await turns.read(OWNER, one.id)).status is ResponseStatus.IN_PROGRESS
    assert len(await turns.slots(OWNER, one.id)) == 2


@pytest.mark.parametrize("count", [ROOM - 1, ROOM, ROOM + 1, 3 * ROOM])
async def test_a_turn_may_have_more_items_than_a_commit_has_room(turns: TurnStore, count: int) -> None:
    items = [message(number, f"text {number}") for number in reversed(range(count))]
    one = response(items=items)
    await turns.admit(one, items, CREATED)
    await turns.admit(one, items, CREATED)
    assert await turns.history(one) == tuple(items)


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
@pytest.mark.parametrize("call", range(5))
async def test_items_without_their_response_count_for_nothing(
    store: MemoryStore, clock: FakeClock, fault: Fault, call: int
) -> None:
    items = [message(number) for number in range(ROOM + 400)]
    one = response(items=items)
    dying = FlakyStore(store, Random(0), Faults(at={call: fault}))  # noqa: S311 - a test's seed
    with pytest.raises(CrashError):
        await TurnStore(dying, clock, WebhookEndpoints()).admit(one, items, CREATED)
    turns = TurnStore(store, clock, WebhookEndpoints())
    await turns.admit(one, items, CREATED)
    assert await turns.history(one) == tuple(items)


async def test_a_conversation_is_the_chain_of_its_turns_and_a_fork_knows_nothing_of_the_other(turns: TurnStore) -> None:
    first = await answered(turns, 1, "answer 1")
    second = await answered(turns, 2, "answer 2", previous=first.id)
    left = await admitted(turns, 3, "left", previous=second.id)
    right = await admitted(turns, 4, "right", previous=first.id)
    assert await texts(turns, left) == ["asked 1", "answer 1", "asked 2", "answer 2", "left"]
    assert await texts(turns, right) == ["asked 1", "answer 1", "right"]
    assert await texts(turns, first) == ["asked 1"]


async def test_items_come_in_the_order_of_their_ids_from_every_thread(turns: TurnStore) -> None:
    here, there = message(1, "here"), message(2, "there", thread="b" * 24)
    await turns.admit(response(1, items=(here,)), (here,), CREATED)
    far = replace(response(2, items=(there,)), id=member_id("resp", thread="b" * 24, token=token(2)))
    await turns.admit(far, (there,), CREATED)
    asked = [there.id, here.id, there.id]
    assert [item.text for item in await turns.items(OWNER, asked)] == ["there", "here", "there"]
    assert await turns.items(OWNER, ()) == ()


@pytest.mark.parametrize("missing", [message(99).id, message(1, thread="c" * 24).id, "msg_nonsense", "", "conv_1"])
async def test_an_item_that_is_missing_is_named(turns: TurnStore, missing: str) -> None:
    item = message(1)
    await turns.admit(response(items=(item,)), (item,), CREATED)
    with pytest.raises(NotFound, match=f"'{missing}'"):
        await turns.items(OWNER, (item.id, missing))


async def test_another_owners_response_is_not_found(turns: TurnStore) -> None:
    item = message(1)
    one = response(items=(item,))
    await turns.admit(one, (item,), CREATED)
    with pytest.raises(NotFound):
        await turns.read(STRANGER, one.id)
    with pytest.raises(NotFound):
        await turns.items(STRANGER, (item.id,))
    with pytest.raises(NotFound):
        await turns.finish(STRANGER, one.id, status=ResponseStatus.CANCELLED)
    with pytest.raises(NotFound):
        await turns.begin(STRANGER, one.id, execution="a")
    assert await turns.slots(STRANGER, one.id) == ()


@pytest.mark.parametrize("identifier", ["", "resp_1", "nonsense", message(1).id, f"conv_{THREAD}", "../etc/passwd"])
async def test_an_invalid_response_id_is_not_found(turns: TurnStore, identifier: str) -> None:
    with pytest.raises(NotFound):
        await turns.read(OWNER, identifier)
    with pytest.raises(NotFound):
        await turns.slots(OWNER, identifier)


async def test_a_log_of_any_length_is_read_from_any_slot(turns: TurnStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clients.storage.paging.PAGE", 20)
    one = await admitted(turns)
    last = 2 * 20 + 1
    for number in range(1, last + 1):
        event = LogEvent(kind=EventKind.QUEUED)
        await turns.append(OWNER, one.id, Slot(number=number, writer="w", first=number, at=1.0, events=(event,)))
    assert [slot.number for slot in await turns.slots(OWNER, one.id)] == list(range(last + 1))
    assert [slot.number for slot in await turns.slots(OWNER, one.id, after=last - 2)] == [last - 1, last]
    half = await turns.transcript(OWNER, one.id)
    assert (half.next_slot, half.next_sequence) == (last + 1, last + 1)
    assert await turns.transcript(OWNER, one.id, half) == half


async def test_logs_of_one_thread_are_kept_apart(turns: TurnStore) -> None:
    first, second = await admitted(turns, 1), await admitted(turns, 2)
    await say(turns, first, "one", item=1)
    assert len(await turns.slots(OWNER, first.id)) == 2
    assert len(await turns.slots(OWNER, second.id)) == 1


async def test_the_first_of_two_routes_with_one_number_stays(turns: TurnStore) -> None:
    one = await admitted(turns)
    first = await turns.record_route(OWNER, one.id, number=1, route={"a": 1}, routed={"backend": "small"})
    again = await turns.record_route(OWNER, one.id, number=1, route={"a": 2}, routed={"backend": "large"})
    await turns.record_route(OWNER, one.id, number=2, route={"a": 3}, routed={"backend": "large"})
    assert first == again == {"backend": "small"}
    assert [(each["number"], each["route"]) for each in await turns.routes(OWNER, one.id)] == [
        (1, {"a": 1}),
        (2, {"a": 3}),
    ]


async def test_unfinished_responses_are_found_by_status_and_age(turns: TurnStore) -> None:
    old, young, running = [await admitted(turns, number) for number in (1, 50, 2)]
    await turns.begin(OWNER, running.id, execution="a")
    assert [one.id for one in await turns.unfinished(ResponseStatus.QUEUED, before=1040.0)] == [old.id]
    assert [one.id for one in await turns.unfinished(ResponseStatus.IN_PROGRESS, before=1040.0)] == [running.id]
    assert [one.id for one in await turns.unfinished(ResponseStatus.QUEUED, before=2000.0)] == [old.id, young.id]
