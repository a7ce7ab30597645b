"""Does a turn that waits for another one's answer show it while it is made, and go on where the other one can't?"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from copy import replace
from decimal import Decimal
from typing import Any

import pytest

from api.rendering.chat import PREFIX
from clients.storage.keys import money_key
from clients.storage.port import Add
from domain.fleet.catalog import ContinuationMode
from domain.log.events import ResponseStatus
from domain.money.budgets import TAKEN, Budgets, BudgetScope, tenant_day_counter_id
from domain.money.ledger_records import nanos
from domain.turns.cache_use import LEASE_S
from tests.api.tools.agents import SHOP, agent, calls
from tests.api.turns.caching.followers import Turns, caching, killed, text_of
from tests.fakes.backends import Act, FakeBackend, says
from tests.fakes.clocks import LoopClock, in_no_time
from tests.fakes.worlds import OWNER, backend

ANSWER = "four and twenty blackbirds"
HALF = "four and"
REST = " twenty blackbirds"
OTHER = "three and thirty blackbirds"
FIND = ("shop__find_order", {"number": "A-1"})
LIMIT = Decimal("0.01")
CHAT: dict[str, Any] = {
    "model": "model",
    "temperature": 0,
    "metadata": {"cache_s": "60"},
    "messages": [{"role": "user", "content": "sing"}],
}
TELLS_AGAIN = replace(backend("main"), continues=ContinuationMode.NO)


def halves(gate: asyncio.Event, text: str = ANSWER) -> list[Act]:
    """Return an answer that waits for a gate after two words."""
    pieces = says(text)
    return [*pieces[:2], gate, *pieces[2:]]


def told(story: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Return a test in which time costs none."""

    async def whole() -> None:
        await story()

    return lambda: in_no_time(whole())


def items_of(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return the status and the text of each item that a stream has shown."""
    done = [each["item"] for each in events if each["type"] == "response.output_item.done"]
    return [(item["status"], item["content"][0]["text"]) for item in done]


def chunks_of(stream: str) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data: ")) for line in stream.split("\n") if line.startswith("data: {")]


def assert_whole(events: list[dict[str, Any]], status: str = "completed") -> None:
    assert [each["sequence_number"] for each in events] == list(range(len(events)))
    assert events[-1]["type"] == f"response.{status}"
    kinds = [each["type"] for each in events]
    assert kinds.count("response.in_progress") == 1


@told
async def test_a_follower_shows_the_first_words_before_the_first_turn_has_ended() -> None:
    gate = asyncio.Event()
    model = FakeBackend(halves(gate))
    turns = Turns(caching(model))
    first, second, reader = await turns.shown(HALF)
    assert not (await turns.one.world.turns.read(OWNER, first.id)).status.is_terminal
    gate.set()
    events = await reader.events()
    assert_whole(events)
    assert reader.text == ANSWER
    answers = [await turns.answer(each) for each in (first, second)]
    assert [text_of(each) for each in answers] == [ANSWER] * 2
    assert answers[0]["output"][0]["id"] != answers[1]["output"][0]["id"]
    usage = answers[1]["usage"]
    assert usage["input_tokens_details"]["cached_tokens"] == usage["input_tokens"] == 7
    account = await turns.account(second)
    assert (account["cache"]["response_id"], account["attempts"], float(account["cost_usd"])) == (first.id, [], 0.0)
    assert len(model.calls) == 1
    assert await turns.read(second).events() == events
    resumed = turns.read(second, after=3)
    assert await resumed.events() == events[4:]
    assert reader.parts.endswith(resumed.parts.partition(b"\n\n")[2])


@told
async def test_readers_of_one_follower_see_the_same_bytes() -> None:
    gate = asyncio.Event()
    turns = Turns(caching(FakeBackend(halves(gate))))
    await turns.ask()
    second = await turns.ask()
    early = [turns.read(second) for _ in range(3)]
    await early[0].shows(HALF)
    await early[1].stop()
    late = turns.read(second)
    await late.shows(HALF)
    gate.set()
    known = [await each.events() for each in (early[0], early[2], late)]
    assert known[0] == known[1] == known[2]
    assert_whole(known[0])


@told
async def test_a_follower_that_nobody_reads_copies_nothing_before_the_end() -> None:
    gate = asyncio.Event()
    turns = Turns(caching(FakeBackend(halves(gate))))
    first, second = await turns.ask(), await turns.ask()
    await turns.read(first).shows(HALF)
    assert (await turns.one.world.turns.transcript(OWNER, second.id)).next_slot == 1
    gate.set()
    assert text_of(await turns.answer(second)) == ANSWER


@told
async def test_a_follower_goes_on_with_the_text_of_a_first_turn_that_was_cancelled() -> None:
    model = FakeBackend(halves(asyncio.Event()), says(REST))
    turns = Turns(caching(model))
    first, second, reader = await turns.shown(HALF)
    await turns.one.http.post(f"/v1/responses/{first.id}/cancel")
    events = await reader.events()
    assert_whole(events)
    assert items_of(events) == [("completed", ANSWER)]
    assert [call.partial for call in model.calls] == ["", HALF]
    assert text_of(await turns.answer(second)) == ANSWER
    account = await turns.account(second)
    assert (account["cache"]["response_id"], len(account["attempts"])) == (None, 1)
    assert float(account["cost_usd"]) > 0


@told
async def test_text_that_the_follower_does_not_get_again_ends_as_an_incomplete_item() -> None:
    model = FakeBackend(halves(asyncio.Event()), says(OTHER))
    turns = Turns(caching(model, deployed={"main": TELLS_AGAIN}))
    first, second, reader = await turns.shown(HALF)
    await turns.one.http.post(f"/v1/responses/{first.id}/cancel")
    events = await reader.events()
    assert_whole(events)
    assert items_of(events) == [("incomplete", HALF), ("completed", OTHER)]
    assert text_of(await turns.answer(second)) == OTHER


@told
async def test_a_follower_that_has_shown_nothing_begins_plainly() -> None:
    model = FakeBackend([asyncio.Event()], says(ANSWER))
    turns = Turns(caching(model))
    first, second = await turns.ask(), await turns.ask()
    reader = turns.read(second)
    while len(model.calls) < 1:
        await reader.grows()
    await turns.one.http.post(f"/v1/responses/{first.id}/cancel")
    events = await reader.events()
    assert_whole(events)
    assert items_of(events) == [("completed", ANSWER)]
    assert [call.partial for call in model.calls] == ["", ""]


@told
async def test_the_first_turn_is_deleted_while_another_one_copies_it() -> None:
    model = FakeBackend(halves(asyncio.Event()), says(REST))
    turns = Turns(caching(model))
    first, second, reader = await turns.shown(HALF)
    assert (await turns.one.http.delete(f"/v1/responses/{first.id}")).status_code == 200
    assert turns.one.orchestrations.woken == [second.id]
    events = await reader.events()
    assert_whole(events)
    assert items_of(events) == [("completed", ANSWER)]
    assert await turns.read(second).events() == events
    await asyncio.gather(*turns.one.orchestrations.tasks, return_exceptions=True)


@told
async def test_the_conversation_of_the_first_turn_is_deleted_while_another_one_copies_it() -> None:
    turns = Turns(caching(FakeBackend(halves(asyncio.Event()), says(REST))))
    talk = (await turns.one.http.post("/v1/conversations", json={})).json()["id"]
    first, second = await turns.ask(conversation=talk), await turns.ask()
    reader = turns.read(second)
    await reader.shows(HALF)
    assert (await turns.one.http.delete(f"/v1/conversations/{talk}")).status_code == 200
    assert (turns.one.orchestrations.cancelled, turns.one.orchestrations.woken) == ([first.id], [second.id])
    assert items_of(await reader.events()) == [("completed", ANSWER)]
    await asyncio.gather(*turns.one.orchestrations.tasks, return_exceptions=True)


@told
async def test_the_stored_chat_of_the_first_turn_is_deleted_while_another_one_copies_it() -> None:
    turns = Turns(caching(FakeBackend(halves(asyncio.Event()), says(REST))))
    asked = asyncio.create_task(turns.one.http.post("/v1/chat/completions", json={**CHAT, "store": True}))
    while not turns.one.orchestrations.started:
        await turns.one.world.clock.sleep(0.1)
    (first,) = turns.one.orchestrations.started
    second = await turns.ask()
    reader = turns.read(second)
    await reader.shows(HALF)
    path = f"/v1/chat/completions/{PREFIX}{first.removeprefix('resp_')}"
    assert (await turns.one.http.delete(path)).status_code == 200
    assert (turns.one.orchestrations.cancelled, turns.one.orchestrations.woken) == ([first], [second.id])
    assert items_of(await reader.events()) == [("completed", ANSWER)]
    await asyncio.gather(asked, *turns.one.orchestrations.tasks, return_exceptions=True)


@pytest.mark.parametrize("end", ["cancelled", "deleted"])
def test_a_follower_without_a_budget_ends_where_it_would_ask_the_model(end: str) -> None:
    in_no_time(takeover_without_a_budget(end))


async def takeover_without_a_budget(end: str) -> None:
    model = FakeBackend(halves(asyncio.Event()), says("never"))
    turns = Turns(caching(model, budgets=Budgets(limits={BudgetScope.TENANT_DAY: LIMIT})))
    first, second, reader = await turns.shown(HALF)
    spent = tenant_day_counter_id(Budgets(), turns.one.world.clock.now())
    await turns.one.world.store.commit(money_key(OWNER.tenant), (Add(id=spent, amounts={TAKEN: nanos(LIMIT)}),))
    if end == "cancelled":
        await turns.one.http.post(f"/v1/responses/{first.id}/cancel")
    else:
        await turns.one.http.delete(f"/v1/responses/{first.id}")
    events = await reader.events()
    assert_whole(events, "failed")
    assert events[-1]["response"]["metadata"]["ganglion_ending"] == "insufficient_quota"
    assert items_of(events) == [("incomplete", HALF)]
    assert len(model.calls) == 1
    account = await turns.account(second)
    assert (account["attempts"], float(account["cost_usd"])) == ([], 0.0)
    await asyncio.gather(*turns.one.orchestrations.tasks, return_exceptions=True)


@told
async def test_other_followers_go_on_with_the_one_that_took_over() -> None:
    gate = asyncio.Event()
    model = FakeBackend(halves(asyncio.Event()), halves(gate, REST), says("never"))
    turns = Turns(caching(model))
    first = await turns.ask()
    others = [await turns.ask() for _ in range(3)]
    readers = [turns.read(each) for each in others]
    for reader in readers:
        await reader.shows(HALF)
    await turns.one.http.post(f"/v1/responses/{first.id}/cancel")
    for reader in readers:
        await reader.shows(f"{HALF} twenty")
    gate.set()
    known = [await reader.events() for reader in readers]
    for events in known:
        assert_whole(events)
        assert items_of(events) == [("completed", ANSWER)]
    assert len(model.calls) == 2
    answers = [await turns.answer(each) for each in others]
    accounts = [(await turns.account(each))["cache"]["response_id"] for each in others]
    (asked,) = (each.id for each, named in zip(others, accounts, strict=True) if named is None)
    assert sorted(accounts, key=str) == sorted([None, asked, asked], key=str)
    assert {text_of(each) for each in answers} == {ANSWER}


@told
async def test_cancelling_a_follower_does_not_touch_the_first_turn() -> None:
    gate = asyncio.Event()
    model = FakeBackend(halves(gate))
    turns = Turns(caching(model))
    first, second, reader = await turns.shown(HALF)
    assert (await turns.one.http.post(f"/v1/responses/{second.id}/cancel")).json()["status"] == "cancelled"
    events = await reader.events()
    assert_whole(events, "failed")
    assert events[-1]["response"]["status"] == "cancelled"
    assert items_of(events) == [("incomplete", HALF)]
    gate.set()
    assert text_of(await turns.answer(first)) == ANSWER
    assert len(model.calls) == 1


@told
async def test_an_erasure_in_the_middle_leaves_nothing() -> None:
    gate = asyncio.Event()
    turns = Turns(caching(FakeBackend(halves(gate))))
    await turns.ask()
    second = await turns.ask()
    reader = turns.read(second)
    await reader.shows(HALF)
    assert (await turns.one.http.delete("/v1/owners/me")).status_code < 300
    gate.set()
    await asyncio.gather(reader.task, *turns.one.orchestrations.tasks, return_exceptions=True)
    assert not {"cached_answer", "response", "item"} & await turns.one.stored()
    assert "blackbirds" not in turns.everything()
    assert HALF not in turns.everything()


@told
async def test_a_follower_takes_over_where_no_process_works_on_the_first_turn() -> None:
    gate = asyncio.Event()
    model = FakeBackend(halves(asyncio.Event()), says(REST), says(REST))
    turns = Turns(caching(model))
    first, second, reader = await turns.shown(HALF)
    died_at = turns.one.world.clock.now()
    await killed(turns.one, first)
    events = await reader.events()
    assert_whole(events)
    assert items_of(events) == [("completed", ANSWER)]
    assert turns.one.world.clock.now() - died_at > LEASE_S
    assert (await turns.one.world.turns.read(OWNER, first.id)).status is ResponseStatus.IN_PROGRESS
    await turns.redelivered(first)
    assert text_of(await turns.answer(first)) == ANSWER
    assert (await turns.account(second))["cache"]["response_id"] is None
    gate.set()


@told
async def test_a_first_turn_that_gets_no_answer_for_long_is_not_lost() -> None:
    gate = asyncio.Event()
    model = FakeBackend([gate, *says(ANSWER)])
    turns = Turns(caching(model))
    first, second = await turns.ask(), await turns.ask()
    reader = turns.read(second)
    await turns.one.world.clock.sleep(5 * LEASE_S)
    gate.set()
    events = await reader.events()
    assert items_of(events) == [("completed", ANSWER)]
    assert len(model.calls) == 1
    assert (await turns.account(second))["cache"]["response_id"] == first.id


@told
async def test_a_turn_that_never_begins_is_replaced() -> None:
    model = FakeBackend(says(ANSWER), says("never"))
    turns = Turns(caching(model))
    turns.one.orchestrations.hold = True
    first = await turns.ask()
    turns.one.orchestrations.hold = False
    second = await turns.ask()
    events = await turns.read(second).events()
    assert items_of(events) == [("completed", ANSWER)]
    await turns.redelivered(first)
    assert (await turns.account(first))["cache"]["response_id"] == second.id
    assert len(model.calls) == 1


@told
async def test_a_chat_follows_a_response_word_by_word() -> None:
    gate = asyncio.Event()
    model = FakeBackend(halves(gate))
    turns = Turns(caching(model))
    await turns.ask()
    asked = asyncio.create_task(turns.one.http.post("/v1/chat/completions", json={**CHAT, "stream": True}))
    while not turns.is_copied():
        await turns.one.world.clock.sleep(0.1)
    gate.set()
    answer = await asked
    assert answer.headers["x-ganglion-cache"] == "hit"
    assert contents_of(answer.text) == ["", HALF, REST, None]
    assert len(model.calls) == 1


def contents_of(stream: str) -> list[str | None]:
    return [each["choices"][0]["delta"].get("content") for each in chunks_of(stream)]


@told
async def test_a_chat_shows_no_text_that_a_better_model_may_replace() -> None:
    """The stream of a chat can't replace text."""
    gate = asyncio.Event()
    turns = Turns(caching(FakeBackend(halves(gate))))
    first, chat = await turns.ask(model="auto"), {**CHAT, "stream": True, "model": "auto"}
    asked = asyncio.create_task(turns.one.http.post("/v1/chat/completions", json=chat))
    await turns.read(first).shows(HALF)
    await turns.one.world.clock.sleep(2.0)
    gate.set()
    assert contents_of((await asked).text) == ["", ANSWER, None]


@told
async def test_the_header_of_a_follower_says_where_its_answer_comes_from() -> None:
    gate = asyncio.Event()
    model = FakeBackend([gate, *says(ANSWER)], says(ANSWER))
    turns = Turns(caching(model))
    first = await turns.one.create({**turns.body, "background": True})
    second = await turns.one.create({**turns.body, "background": True})
    waits = asyncio.create_task(turns.one.create({**turns.body, "background": False}))
    asks = asyncio.create_task(turns.one.create({**turns.body, "background": False}))
    gate.set()
    headers = [each.headers["x-ganglion-cache"] for each in (first, second, await waits, await asks)]
    assert headers == ["miss", "hit", "hit", "hit"]


@told
async def test_nobody_waits_for_an_answer_that_has_called_tools_of_servers() -> None:
    gate = asyncio.Event()
    model = FakeBackend(calls(FIND), [*says("on its way")[:1], gate], *[calls(FIND), says("it is there")] * 2)
    turns = Turns(agent(main=model, clock=LoopClock(), cache_s=3600.0))
    asked: dict[str, Any] = {"tools": [{**SHOP, "allowed_tools": ["find_order"]}], "model": "auto"}
    first = await turns.ask(**asked)
    reader = turns.read(first)
    await reader.shows("on")
    others = [await turns.ask(**asked) for _ in range(2)]
    assert [each.options.cache and each.options.cache.first for each in others] == ["", ""]
    for each in others:
        events = await turns.read(each).events()
        assert events[-1]["response"]["output"][-1]["content"][0]["text"] == "it is there"
    assert not (await turns.one.world.turns.read(OWNER, first.id)).status.is_terminal
    await turns.one.http.post(f"/v1/responses/{first.id}/cancel")
