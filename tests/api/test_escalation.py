"""Does a turn of `auto` ask a better model, once, where the answer of the small one fails its checks?"""

from collections.abc import Sequence
from copy import replace
from decimal import Decimal
from typing import Any

import httpx
import openai
import pytest

from activities.infer import known_result
from clients.backends.port import AnswerEnd, Channel, TextPiece
from clients.orchestrations import turn_wire
from domain.content.capabilities import Capability
from domain.fleet.catalog import Backend, ContinuationMode
from domain.fleet.failure_classes import FailureKind
from domain.log.escalations import Escalation
from domain.log.events import AttemptOutcome, Slot, TokenUsage
from domain.log.transcript import read_log
from domain.money.budgets import Budgets, BudgetScope
from tests.api.harness import Api, FakeAuthenticator, RunningOrchestrations
from tests.api.test_sdk import sdk
from tests.fakes.backends import Act, FakeBackend, interrupted, rejects, says
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER, PRICE, World, backend

CITY: Any = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
STRICT: Any = {"format": {"type": "json_schema", "name": "place", "schema": CITY, "strict": True}}
CHAT_FORMAT: Any = {"type": "json_schema", "json_schema": {"name": "place", "schema": CITY, "strict": True}}
GOOD = '{"city": "Rome"}'
WRONG = '{"town": "Rome"}'
EMPTY: Sequence[Act] = [AnswerEnd(reason="stop", usage=TokenUsage(input_tokens=7, output_tokens=1))]
REFUSED: Sequence[Act] = [TextPiece(text="I can't.", channel=Channel.REFUSAL), *EMPTY]
SIZE = {"expected": 100, "likely": 110, "ceiling": 150, "bytes": 400}
HI: Any = [{"role": "user", "content": "hi"}]


def deployed(small: str | None = None, **changes: Any) -> dict[str, Backend]:
    """Return a cheap backend of tier 1, whose residency is `small`, and a dear one of tier 3."""
    cheap = replace(backend("small", ContinuationMode.NO), residency=small)
    price = replace(PRICE, name="dear", input=Decimal(50), cached_input=Decimal(50), output=Decimal(100))
    return {"small": cheap, "large": replace(backend("large"), model="large", price=price, **changes)}


def two(first: Sequence[Act], *large: Sequence[Act], budgets: Budgets | None = None, **changes: Any) -> Api:
    clock, known, orchestrations = FakeClock(), deployed(**changes), RunningOrchestrations()
    fakes = {"small": FakeBackend(first), "large": FakeBackend(*(large or (says(GOOD),)))}
    world = orchestrations.world = World(
        store=MemoryStore(clock),
        clock=clock,
        backends={name: (known[name], fake) for name, fake in fakes.items()},
        tiers={"model": 1, "large": 3},
        capabilities=frozenset({Capability.TOOLS, Capability.JSON_SCHEMA}),
        budgets=budgets or Budgets(),
        authenticator=FakeAuthenticator(),
        orchestrations=orchestrations,
    )
    return Api(world=world, orchestrations=orchestrations)


def calls(one: Api) -> list[int]:
    """Return how often each backend was called."""
    fakes = [client for _, client in one.world.backends.values()]
    return [len(fake.calls) for fake in fakes if isinstance(fake, FakeBackend)]


async def routes_of(one: Api, response_id: str) -> Any:
    answer = await one.http.get(f"/v1/responses/{response_id}/route")
    assert answer.status_code == httpx.codes.OK
    return answer.json()


@pytest.mark.parametrize("first", [says(WRONG), says("Rome it is"), EMPTY], ids=["schema", "no JSON", "empty"])
async def test_a_better_model_answers_where_the_answer_fails_its_checks(first: Sequence[Act]) -> None:
    one = two(first)
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="Where?", text=STRICT)
    assert (made.status, made.output_text, calls(one)) == ("completed", GOOD, [1, 1])
    shown = await routes_of(one, made.id)
    assert (shown["route"]["backend"], shown["route"]["escalation"]["from"]) == ("large", "small")
    assert shown["route"]["escalation"]["reason"].startswith("The model's answer ")
    attempts = [(each["backend"], each["result"]) for each in shown["attempts"]]
    assert attempts == [("small", "elsewhere"), ("large", "done")]
    assert every_paid(shown["attempts"])


def every_paid(attempts: Sequence[Any]) -> bool:
    """Tell whether each of these attempts has a cost of its own."""
    return bool(attempts) and all(Decimal(each["cost_usd"]) > 0 for each in attempts)


async def test_the_stream_shows_an_incomplete_item_and_then_the_good_one() -> None:
    one = two(says(WRONG))
    async with sdk(one) as client, client.responses.stream(model="auto", input="Where?", text=STRICT) as stream:
        events = [event async for event in stream]
        final = await stream.get_final_response()
    done = [event.item for event in events if event.type == "response.output_item.done"]
    assert [(item.type, item.status) for item in done if item.type == "message"] == [
        ("message", "incomplete"),
        ("message", "completed"),
    ]
    assert final.output_text == GOOD
    assert [event.sequence_number for event in events if event.type != "response.completed"] == list(
        range(len(events) - 1)
    )


async def test_an_answer_that_our_cap_has_cut_is_asked_of_a_better_model() -> None:
    cut = says("one two three", reason="length")
    one = two(cut, says("the whole of it"))
    async with sdk(one) as client:
        whole = await client.responses.create(model="auto", input="Count")
        limited = await client.responses.create(model="auto", input="Count", max_output_tokens=16)
    assert (whole.output_text, limited.output_text) == ("the whole of it", "one two three")
    assert limited.incomplete_details
    assert limited.incomplete_details.reason == "max_output_tokens"
    assert calls(one) == [2, 1]


@pytest.mark.parametrize(
    ("first", "more"),
    [(REFUSED, {}), (says(WRONG), {"model": "model"}), (EMPTY, {"model": "auto@small"}), (says("fine"), {"text": {}})],
    ids=["a refusal", "a named model", "a named backend", "a good answer"],
)
async def test_nothing_else_is_asked_twice(first: Sequence[Act], more: Any) -> None:
    one = two(first)
    async with sdk(one) as client:
        asked: Any = {"model": "auto", "input": "Where?", "text": STRICT, **more}
        await client.responses.create(**asked)
    assert calls(one) == [1, 0]


async def test_a_turn_escalates_once() -> None:
    one = two(EMPTY, EMPTY)
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="hi")
    assert (made.status, made.output_text, calls(one)) == ("completed", "", [1, 1])


@pytest.mark.parametrize("large", [rejects(400), interrupted("", FailureKind.RESET)], ids=["rejects", "breaks"])
async def test_the_first_ending_stays_where_the_better_model_gives_none(large: Sequence[Act]) -> None:
    one = two(says(WRONG), large)
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="Where?", text=STRICT)
    assert made.status == "failed"
    assert made.error
    assert "does not have the requested output format" in made.error.message


@pytest.mark.parametrize("first", [EMPTY, says("one two three", reason="length")], ids=["empty", "cut"])
async def test_a_better_answer_that_breaks_off_is_never_a_complete_one(first: Sequence[Act]) -> None:
    one = two(first, interrupted("Half of the answer", FailureKind.RESET), *[rejects(400)] * 9)
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="hi")
    assert made.status in {"failed", "incomplete"}
    assert [item.status for item in made.output if item.type == "message"] == ["incomplete"]


async def test_a_refusal_that_our_cap_has_cut_is_an_answer() -> None:
    one = two([TextPiece(text="I can't.", channel=Channel.REFUSAL), AnswerEnd(reason="length", usage=None)])
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="hi")
    assert (made.status, calls(one)) == ("incomplete", [1, 0])


async def test_a_budget_that_the_better_model_does_not_fit_keeps_the_first_answer() -> None:
    one = two(EMPTY, budgets=Budgets(limits={BudgetScope.OWNER_DAY: Decimal("0.002")}))
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="hi")
    assert (made.status, made.output_text, calls(one)) == ("completed", "", [1, 0])


async def test_a_residency_that_the_better_model_has_not_keeps_the_first_answer() -> None:
    one = two(EMPTY, residency="venus", small="mars")
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="hi", metadata={"residency": "mars"})
    assert (made.status, calls(one)) == ("completed", [1, 0])


async def test_a_chat_completion_escalates_and_its_stream_where_no_text_was_shown() -> None:
    one = two(says(WRONG))
    async with sdk(one, max_retries=0) as client:
        made = await client.chat.completions.create(model="auto", messages=HI, response_format=CHAT_FORMAT)
        assert (made.choices[0].message.content, calls(one)) == (GOOD, [1, 1])
        with pytest.raises(openai.APIError, match="requested output format"):
            async for _ in await client.chat.completions.create(
                model="auto", messages=HI, response_format=CHAT_FORMAT, stream=True
            ):
                pass
    assert calls(one) == [2, 1]
    empty = two(EMPTY)
    async with sdk(empty) as client:
        chunks = [each async for each in await client.chat.completions.create(model="auto", messages=HI, stream=True)]
    assert "".join(each.choices[0].delta.content or "" for each in chunks if each.choices) == GOOD


def test_a_run_that_repeats_the_attempt_finds_its_escalation_in_the_log() -> None:
    kept = Escalation("small", "The model's answer is empty.", "done", "")
    outcome = AttemptOutcome(attempt=1, result="elsewhere", message=kept.reason, escalation=kept)
    slot = Slot(number=0, writer="infer:1", first=0, at=1.0, outcome=outcome)
    log = read_log([Slot.from_document(slot.to_document())])
    known = known_result(log, 1)
    assert known
    assert known.get("escalation") == kept.to_wire()


@pytest.mark.parametrize(("more", "backend_name"), [({}, "large"), ({"repeated": True}, None)])
async def test_a_later_round_may_wait_for_cover_and_the_escalation_itself_may_not(
    more: Any, backend_name: str | None
) -> None:
    one = two(EMPTY, budgets=Budgets(limits={BudgetScope.OWNER_DAY: Decimal("0.002")}))
    one.orchestrations.hold = True
    answer = await one.create({"model": "auto", "input": "hi", "background": True})
    response = await one.world.turns.read(OWNER, answer.json()["id"])
    escalation = Escalation("small", "The model's answer is empty.", "done", "").to_wire()
    request = {**turn_wire(response), "number": 2, "size": SIZE, "excluded": {"small": "It was empty."}}
    routed = await one.world.steps["route"](request | {"escalation": escalation} | more)
    assert routed["backend"] == backend_name
