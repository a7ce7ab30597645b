"""Does an answer without a limit of the caller go on when it has reached what its attempt reserved?"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from copy import replace
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from clients.backends.port import AnswerEnd, BackendCall, BackendError, Channel, TextPiece
from domain import wire
from domain.content.capabilities import Capability
from domain.content.items import ItemKind, ItemStatus
from domain.content.tools import FunctionCall, FunctionTool, OutputFormat, OutputFormatKind, ToolConfig
from domain.fleet.catalog import Backend, ContinuationMode
from domain.fleet.failure_classes import Failure, FailureKind
from domain.log.events import EventKind, ResponseStatus, TokenUsage
from domain.log.transcript import Transcript
from domain.money.budgets import Budgets, BudgetScope
from domain.money.prices import TokenPrice
from domain.turns.response import Response
from state.money.ledger import Ledger
from state.turns.responses import TurnStore
from tests.checks import every
from tests.fakes.clocks import FakeClock, LoopClock, in_no_time
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER, PRICE, SETTINGS, World, backend

CAP = 10
PROMPT = 7
"""The tokens that every call reads, beside the partial answer."""


DEAR = replace(PRICE, input=Decimal(100), cached_input=Decimal(50), output=Decimal(200))


@dataclass(slots=True)
class Writer:
    """A model that always gives the same answer, one token a piece, and stops at the limit of the call.

    It thinks `thoughts` words first, and calls the function `calls` after `words` words, with one argument that is as
    many tokens long. `counts`: its server reports tokens.
    """

    words: int = 0
    thoughts: int = 0
    calls: int = 0
    counts: bool = True
    asked: list[BackendCall] = field(default_factory=list[BackendCall])

    @property
    def text(self) -> str:
        return "".join(f" word{number}" for number in range(self.words))

    @asynccontextmanager
    async def stream(self, call: BackendCall) -> AsyncGenerator[AsyncIterator[TextPiece | AnswerEnd]]:
        self.asked.append(call)
        yield self.write(call)

    async def write(self, call: BackendCall) -> AsyncIterator[TextPiece | AnswerEnd]:
        assert self.text.startswith(call.partial)
        begun = call.partial.count(" ")
        thoughts = [TextPiece(text=f" t{number}", channel=Channel.REASONING) for number in range(self.thoughts)]
        words = [TextPiece(text=f" word{number}") for number in range(begun, self.words)]
        pieces = [*([] if begun else thoughts), *words]
        shown = pieces[: call.max_output_tokens]
        for piece in shown:
            await asyncio.sleep(0)
            yield piece
        whole = len(pieces) + self.calls <= call.max_output_tokens
        written = min(len(pieces) + self.calls, call.max_output_tokens)
        called = (FunctionCall(name="save", arguments='{"text": "x"}', call_id="call_1"),) if self.calls else ()
        usage = TokenUsage(
            input_tokens=PROMPT + begun,
            output_tokens=written,
            reasoning_tokens=sum(piece.channel is Channel.REASONING for piece in shown),
        )
        yield AnswerEnd(
            reason="stop" if whole else "length",
            usage=usage if self.counts else None,
            calls=called if whole else (),
            is_calling=bool(self.calls) and written > len(pieces),
        )

    async def authenticate(self) -> None:
        await asyncio.sleep(0)

    async def probe(self) -> None:
        await asyncio.sleep(0)


def world(
    writer: Writer,
    *,
    continues: ContinuationMode = ContinuationMode.ASSISTANT_PREFILL,
    budgets: Budgets | None = None,
    price: TokenPrice = PRICE,
    **limits: Any,
) -> World:
    clock = FakeClock()
    main = replace(backend("main", continues), price=price)
    main = replace(main, limits=replace(main.limits, **limits))
    return World(
        store=MemoryStore(clock),
        clock=clock,
        backends={"main": (main, writer)},
        settings=replace(SETTINGS, default_output_tokens=CAP),
        budgets=budgets or Budgets(),
        capabilities=frozenset({Capability.TOOLS, Capability.JSON_SCHEMA}),
    )


async def answered(one: World, tools: ToolConfig | None = None, **options: Any) -> tuple[Response, Transcript]:
    response = await one.admit("write", tools=tools, **options)
    await one.run(response)
    return response, await one.log(response)


def caps_of(writer: Writer) -> list[int]:
    return [call.max_output_tokens for call in writer.asked]


@pytest.mark.parametrize("words", [CAP - 1, CAP, CAP + 1, 2 * CAP, 3 * CAP, 100 * CAP])
@pytest.mark.parametrize("counts", [True, False])
async def test_an_answer_of_any_length_is_one_text_without_a_seam(words: int, counts: bool) -> None:  # noqa: FBT001
    writer = Writer(words=words, counts=counts)
    one = world(writer)
    response, log = await answered(one)
    assert log.status is ResponseStatus.COMPLETED
    assert [(item.text, item.status) for item in log.items] == [(writer.text, ItemStatus.COMPLETED)]
    assert log.ending
    assert log.ending.usage
    assert log.ending.usage.output_tokens == words
    events = [event.kind for slot in await one.turns.slots(OWNER, response.id) for event in slot.events]
    assert [events.count(kind) for kind in (EventKind.ITEM_ADDED, EventKind.PART_ADDED, EventKind.ITEM_DONE)] == [1] * 3


async def test_a_long_answer_reserves_again_as_much_as_it_has_so_that_few_attempts_suffice() -> None:
    writer = Writer(words=8 * CAP)
    one = world(writer)
    response, log = await answered(one)
    assert caps_of(writer) == [CAP, CAP, 2 * CAP, 4 * CAP]
    assert [call.partial.count(" ") for call in writer.asked] == [0, CAP, 2 * CAP, 4 * CAP]
    attempts = await one.ledger.attempts(OWNER, response.id)
    assert [(each.number, each.progress.result) for each in attempts if each.number] == [
        (1, "handover"),
        (2, "handover"),
        (3, "handover"),
        (4, "done"),
    ]
    assert log.ending
    assert log.ending.usage
    assert log.ending.usage.input_tokens == PROMPT


async def test_every_attempt_is_charged_exactly_for_its_own_tokens() -> None:
    writer = Writer(words=3 * CAP)
    one = world(writer)
    response, _ = await answered(one)
    attempts = [each for each in await one.ledger.attempts(OWNER, response.id) if each.number]
    costs = [Decimal(PROMPT + begun + 2 * CAP) / 1_000_000 for begun in (0, CAP, 2 * CAP)]
    assert [each.charge.cost for each in attempts] == costs
    assert every(each.charge.reserved >= (each.charge.cost or 0) for each in attempts)
    reservation = await one.ledger.reservation(OWNER, response.id)
    assert reservation
    assert reservation.cost == sum(costs)


async def test_the_limit_of_the_caller_is_never_passed() -> None:
    writer = Writer(words=3 * CAP)
    _, log = await answered(world(writer), max_output_tokens=2 * CAP)
    assert caps_of(writer) == [2 * CAP]
    assert log.status is ResponseStatus.INCOMPLETE
    assert log.ending
    assert log.ending.code == "max_output_tokens"


async def test_a_backend_that_cannot_continue_leaves_the_text_incomplete() -> None:
    writer = Writer(words=3 * CAP)
    _, log = await answered(world(writer, continues=ContinuationMode.NO))
    assert caps_of(writer) == [CAP]
    assert (log.status, log.ending and log.ending.code) == (ResponseStatus.INCOMPLETE, "max_output_tokens")
    assert [item.text.count("word") for item in log.items] == [CAP]


async def test_where_answers_were_cut_the_next_ones_reserve_more() -> None:
    writer = Writer(words=3 * CAP)
    one = world(writer, continues=ContinuationMode.NO)
    ended = [(await answered(one))[1].status for _ in range(6)]
    assert caps_of(writer) == [CAP, CAP, CAP, 2 * CAP, 4 * CAP, 4 * CAP]
    assert ended == [ResponseStatus.INCOMPLETE] * 4 + [ResponseStatus.COMPLETED] * 2


async def test_an_answer_reserves_at_once_what_long_answers_of_its_caller_had() -> None:
    writer = Writer(words=3 * CAP)
    one = world(writer)
    for _ in range(3):
        await answered(one)
    writer.asked.clear()
    await answered(one)
    assert caps_of(writer) == [3 * CAP]


@pytest.mark.parametrize(("room", "reserved"), [(60, 40), (40, 40), (39, 20), (12, 10), (10, 10)])
async def test_what_long_answers_had_is_reserved_only_as_far_as_a_budget_covers_it(room: int, reserved: int) -> None:
    writer = Writer(words=4 * CAP)
    one = world(writer, price=DEAR)
    for _ in range(3):
        await answered(one)
    response = await one.admit("write")
    prompt = await prompt_cost(one)
    limit_response(one, prompt + DEAR.output * room / 10**6)
    writer.asked.clear()
    await one.run(response)
    assert caps_of(writer)[0] == reserved
    log = await one.log(response)
    written = log.items[0].text.count("word")
    assert log.status is (ResponseStatus.COMPLETED if reserved == 4 * CAP else ResponseStatus.INCOMPLETE)
    assert reserved <= written <= room


def limit_response(one: World, dollars: Decimal) -> None:
    budgets = Budgets(limits={BudgetScope.RESPONSE: dollars})
    one.ledger.budget_counters = Ledger(one.store, one.clock, budgets).budget_counters


async def prompt_cost(one: World) -> Decimal:
    """Return what the last attempt reserved for its prompt."""
    response = await one.admit("write", max_output_tokens=1)
    await one.run(response)
    (attempt,) = await one.ledger.attempts(OWNER, response.id)
    return attempt.charge.reserved - DEAR.output / 10**6


async def test_a_budget_without_room_for_the_least_reservation_ends_the_turn() -> None:
    writer = Writer(words=4 * CAP)
    one = world(writer, price=DEAR)
    for _ in range(3):
        await answered(one)
    response = await one.admit("write")
    room = await prompt_cost(one) + DEAR.output * (CAP - 1) / 10**6
    limit_response(one, room)
    writer.asked.clear()
    await one.run(response)
    log = await one.log(response)
    assert (log.status, writer.asked) == (ResponseStatus.FAILED, [])


async def test_an_answer_ends_incomplete_where_the_window_is_full() -> None:
    writer = Writer(words=100 * CAP)
    window = 150
    _, log = await answered(world(writer, context_tokens=window))
    assert log.status is ResponseStatus.INCOMPLETE
    assert log.ending
    assert log.ending.code == "max_output_tokens"
    text = log.items[0].text
    assert writer.text.startswith(text)
    assert 8 * CAP <= text.count("word") <= window
    assert log.ending.usage
    assert log.ending.usage.output_tokens == text.count("word")


async def test_one_request_never_asks_for_more_than_its_backend_writes() -> None:
    writer = Writer(words=4 * CAP)
    _, log = await answered(world(writer, max_output_tokens=CAP - 3))
    assert max(caps_of(writer)) == CAP - 3
    assert [item.text for item in log.items] == [writer.text]


async def test_an_answer_whose_next_attempt_no_budget_covers_is_incomplete_and_not_failed() -> None:
    writer = Writer(words=8 * CAP)
    limit = Decimal("0.02")
    one = world(writer, budgets=Budgets(limits={BudgetScope.RESPONSE: limit}), price=DEAR)
    response, log = await answered(one)
    assert (log.status, log.ending and log.ending.code) == (ResponseStatus.INCOMPLETE, "max_output_tokens")
    written = log.items[0].text.count("word")
    assert CAP <= written < 8 * CAP
    assert log.ending
    assert log.ending.usage
    assert log.ending.usage.output_tokens == written
    attempts = await one.ledger.attempts(OWNER, response.id)
    assert sum((each.charge.cost or Decimal(0)) for each in attempts) <= limit


async def test_an_answer_that_its_deadline_ends_beyond_its_first_cap_is_incomplete() -> None:
    writer = SlowWriter(words=8 * CAP)
    one = world(writer)
    writer.clock = one.clock
    _, log = await answered(one, deadline_s=35)
    assert (log.status, log.ending and log.ending.code) == (ResponseStatus.INCOMPLETE, "max_output_tokens")
    assert log.items[0].text.count("word") > CAP


@dataclass(slots=True)
class SlowWriter(Writer):
    """A writer that needs a second for a word."""

    clock: FakeClock = field(default_factory=FakeClock)

    async def write(self, call: BackendCall) -> AsyncIterator[TextPiece | AnswerEnd]:
        async for piece in Writer.write(self, call):
            self.clock.advance(1)
            yield piece


async def test_an_answer_that_its_backend_cuts_early_is_not_asked_for_again_and_again() -> None:
    class EarlyWriter(Writer):
        async def write(self, call: BackendCall) -> AsyncIterator[TextPiece | AnswerEnd]:
            async for piece in Writer.write(self, replace(call, max_output_tokens=2)):
                yield piece

    writer = EarlyWriter(words=3 * CAP)
    _, log = await answered(world(writer))
    assert caps_of(writer) == [CAP]
    assert log.status is ResponseStatus.INCOMPLETE


TOOLS = ToolConfig(functions=(FunctionTool(name="save"),))
JSON = ToolConfig(format=OutputFormat(kind=OutputFormatKind.JSON_OBJECT))


@pytest.mark.parametrize("continues", [ContinuationMode.NO, ContinuationMode.ASSISTANT_PREFILL])
async def test_a_function_call_that_was_cut_is_asked_again_with_more_room(continues: ContinuationMode) -> None:
    writer = Writer(words=3, calls=5 * CAP)
    _, log = await answered(world(writer, continues=continues), TOOLS)
    assert log.status is ResponseStatus.COMPLETED
    assert [(item.kind, item.text) for item in log.items] == [
        (ItemKind.MESSAGE, writer.text),
        (ItemKind.FUNCTION_CALL, '{"text": "x"}'),
    ]
    assert len(writer.asked) == 3
    assert log.ending
    assert log.ending.usage
    assert log.ending.usage.output_tokens == 3 + 5 * CAP


@pytest.mark.parametrize("continues", [ContinuationMode.NO, ContinuationMode.ASSISTANT_PREFILL])
async def test_reasoning_that_was_cut_is_asked_again_and_shown_once(continues: ContinuationMode) -> None:
    writer = Writer(thoughts=3 * CAP, words=4)
    _, log = await answered(world(writer, continues=continues))
    assert log.status is ResponseStatus.COMPLETED
    assert [(item.kind, item.text.count(" ")) for item in log.items] == [
        (ItemKind.REASONING, 3 * CAP),
        (ItemKind.MESSAGE, 4),
    ]
    assert caps_of(writer) == [CAP, 4 * CAP]
    assert log.ending
    assert log.ending.usage
    assert (log.ending.usage.output_tokens, log.ending.usage.reasoning_tokens) == (3 * CAP + 4, 3 * CAP)


async def test_text_after_long_reasoning_is_continued() -> None:
    writer = Writer(thoughts=6, words=3 * CAP)
    _, log = await answered(world(writer))
    assert [item.text.count(" ") for item in log.items] == [6, 3 * CAP]
    assert log.status is ResponseStatus.COMPLETED
    assert log.ending
    assert log.ending.usage
    assert (log.ending.usage.output_tokens, log.ending.usage.reasoning_tokens) == (3 * CAP + 6, 6)


async def test_a_model_that_never_stops_thinking_ends_incomplete_at_the_window() -> None:
    writer = Writer(thoughts=1000)
    _, log = await answered(world(writer, context_tokens=150))
    assert (log.status, log.ending and log.ending.code) == (ResponseStatus.INCOMPLETE, "max_output_tokens")
    assert caps_of(writer)[:2] == [CAP, 4 * CAP]
    assert len(writer.asked) == 3


class JsonWriter(Writer):
    """A writer of one JSON object; it can't continue one, for its grammar begins anew with each call."""

    @property
    def text(self) -> str:
        return ' {"a": [' + ", ".join("1" for _ in range(self.words)) + " ] }"

    async def write(self, call: BackendCall) -> AsyncIterator[TextPiece | AnswerEnd]:
        assert call.partial == ""
        pieces = [f" {part}" for part in self.text.split(" ")[1:]]
        for piece in pieces[: call.max_output_tokens]:
            await asyncio.sleep(0)
            yield TextPiece(text=piece)
        written = min(len(pieces), call.max_output_tokens)
        yield AnswerEnd(
            reason="stop" if written == len(pieces) else "length",
            usage=TokenUsage(input_tokens=PROMPT, output_tokens=written),
        )


@pytest.mark.parametrize("continues", [ContinuationMode.NO, ContinuationMode.ASSISTANT_PREFILL])
async def test_json_that_was_cut_is_asked_again_and_never_continued(continues: ContinuationMode) -> None:
    writer = JsonWriter(words=2 * CAP)
    _, log = await answered(world(writer, continues=continues), JSON)
    assert caps_of(writer) == [CAP, 4 * CAP]
    assert log.status is ResponseStatus.COMPLETED
    assert [item.text for item in log.items] == [writer.text]


async def test_another_backend_that_cannot_continue_writes_the_whole_answer_again_without_a_seam() -> None:
    class DyingWriter(Writer):
        async def write(self, call: BackendCall) -> AsyncIterator[TextPiece | AnswerEnd]:
            if call.partial:
                raise BackendError(Failure(kind=FailureKind.STATUS, status=404))
            async for piece in Writer.write(self, call):
                yield piece

    first, second = DyingWriter(words=2 * CAP), Writer(words=2 * CAP)
    one = two_backends(first, second)
    response, log = await answered(one)
    assert log.status is ResponseStatus.COMPLETED
    assert [item.text for item in log.items] == [first.text]
    assert log.ending
    assert log.ending.usage
    assert log.ending.usage.output_tokens == 2 * CAP
    routes = await one.turns.routes(OWNER, response.id)
    assert routes[1]["route"]["reason"].endswith("it has written the answer so far")


def two_backends(first: Writer, second: Writer) -> World:
    clock = FakeClock()
    backends: dict[str, tuple[Backend, Writer]] = {
        "main": (backend("main"), first),
        "spare": (replace(backend("spare", ContinuationMode.NO)), second),
    }
    settings = replace(SETTINGS, default_output_tokens=CAP)
    return World(store=MemoryStore(clock), clock=clock, backends=backends, settings=settings)


async def test_the_log_of_a_capped_answer_reads_the_same_from_any_slot() -> None:
    one = world(Writer(words=3 * CAP))
    response, log = await answered(one)
    turns = TurnStore(one.store, one.clock, one.endpoints)
    assert await turns.transcript(OWNER, response.id) == log


class ThoughtfulWriter(Writer):
    """A writer that waits before it begins, so that turns hold their reservations at the same time."""

    async def write(self, call: BackendCall) -> AsyncIterator[TextPiece | AnswerEnd]:
        await asyncio.sleep(5)
        async for piece in Writer.write(self, call):
            yield piece


TURNS = 12


def capped_turns(limit: Decimal | None) -> World[LoopClock]:
    clock = LoopClock()
    main = backend("main")
    main = replace(main, price=DEAR, limits=replace(main.limits, concurrency=TURNS))
    return World(
        store=MemoryStore(clock),
        clock=clock,
        backends={"main": (main, ThoughtfulWriter(words=3 * CAP))},
        settings=replace(SETTINGS, default_output_tokens=CAP),
        budgets=Budgets(limits={} if limit is None else {BudgetScope.TENANT_DAY: limit}),
    )


async def whole_turn(one: World[LoopClock]) -> Response:
    response = await one.admit("write", thread=one.clock.token())
    await one.run(response)
    return await one.turns.read(OWNER, response.id)


async def waited_at_its_cap(one: World[LoopClock], response: Response) -> bool:
    outcomes = [slot.outcome for slot in await one.turns.slots(OWNER, response.id) if slot.outcome]
    return any(before.capped and after.failure_class == wire.NO_COVER for before, after in pairwise(outcomes))


def test_answers_at_their_cap_wait_for_what_other_turns_hold() -> None:
    async def story() -> None:
        alone = capped_turns(None)
        attempts = await alone.ledger.attempts(OWNER, (await whole_turn(alone)).id)
        cost = sum((each.charge.cost or Decimal(0)) for each in attempts)
        held = max(each.charge.reserved for each in attempts)
        one = capped_turns(TURNS * cost + held)
        ended = await asyncio.gather(*(whole_turn(one) for _ in range(TURNS)))
        assert {each.status for each in ended} == {ResponseStatus.COMPLETED}
        assert any([await waited_at_its_cap(one, each) for each in ended])

    in_no_time(story())
