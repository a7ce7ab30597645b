"""Does one turn take the right steps, whatever its backend does?"""

from decimal import Decimal

import pytest

from domain.content.items import ItemStatus
from domain.fleet.catalog import ContinuationMode
from domain.fleet.failure_classes import FailureKind
from domain.log.events import ResponseStatus
from domain.money.attempt_charge import AttemptStatus
from tests.fakes.backends import FakeBackend, interrupted, rejects, says
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER, World, backend


def world(**fakes: FakeBackend) -> World:
    clock = FakeClock()
    restarting = ContinuationMode.NO
    made = {
        name: (backend(name, restarting if "restarting" in name else ContinuationMode.ASSISTANT_PREFILL), fake)
        for name, fake in fakes.items()
    }
    return World(store=MemoryStore(clock), clock=clock, backends=made)


async def test_a_turn_is_answered_and_settled() -> None:
    one = world(main=FakeBackend(says("four and twenty")))
    response = await one.admit("how many?")
    run = await one.run(response)
    log = await one.log(response)
    assert run.done == ["begin", "anticipate", "try_recall", "route", "infer", "finish", "settle"]
    assert [item.text for item in log.items] == ["four and twenty"]
    assert log.status is ResponseStatus.COMPLETED
    assert log.ending
    assert log.ending.usage
    assert log.ending.usage.output_tokens == 3
    reservation = await one.ledger.reservation(OWNER, response.id)
    assert reservation
    assert reservation.cost == Decimal("0.000013")


async def test_the_model_reads_a_conversation_in_its_order() -> None:
    fake = FakeBackend(says("hello Ada"), says("your name is Ada"))
    one = world(main=fake)
    first = await one.admit("I am Ada")
    await one.run(first)
    second = await one.admit("who am I?", previous=first.id)
    await one.run(second)
    assert [item.text for item in fake.calls[1].items] == ["I am Ada", "hello Ada", "who am I?"]


async def test_an_interrupted_answer_is_continued() -> None:
    fake = FakeBackend(interrupted("one two"), says(" three"))
    one = world(main=fake)
    response = await one.admit("count")
    await one.run(response)
    log = await one.log(response)
    assert [item.text for item in log.items] == ["one two three"]
    assert fake.calls[1].partial == "one two"


async def test_a_backend_that_cannot_continue_begins_again_and_no_text_is_repeated() -> None:
    fake = FakeBackend(interrupted("one two"), says("one two three"))
    one = world(restarting=fake)
    response = await one.admit("count")
    await one.run(response)
    log = await one.log(response)
    assert [item.text for item in log.items] == ["one two three"]
    assert fake.calls[1].partial == ""


async def test_a_second_answer_that_differs_opens_an_item_of_its_own() -> None:
    one = world(restarting=FakeBackend(interrupted("one two"), says("one three four")))
    response = await one.admit("count")
    await one.run(response)
    log = await one.log(response)
    assert [(item.text, item.status) for item in log.items] == [
        ("one two", ItemStatus.INCOMPLETE),
        ("one three four", ItemStatus.COMPLETED),
    ]
    ended = await one.turns.read(OWNER, response.id)
    assert ended.progress.output_items == (log.items[1].id,)


async def test_a_turn_fails_over_from_a_broken_backend() -> None:
    one = world(bad=FakeBackend(rejects(500)), good=FakeBackend(says("here")))
    response = await one.admit("hello", model="auto")
    await one.run(response)
    log = await one.log(response)
    assert [item.text for item in log.items] == ["here"]


async def test_a_turn_whose_only_backend_stays_broken_fails_with_the_reason() -> None:
    one = world(bad=FakeBackend(rejects(500)))
    response = await one.admit("hello")
    await one.run(response)
    log = await one.log(response)
    assert log.status is ResponseStatus.FAILED
    assert log.ending
    assert log.ending.code == "server_error"
    assert "500" in log.ending.message


async def test_an_answer_cut_at_its_limit_is_incomplete() -> None:
    one = world(main=FakeBackend(says("one two", reason="length")))
    response = await one.admit("count", max_output_tokens=2)
    await one.run(response)
    log = await one.log(response)
    assert log.status is ResponseStatus.INCOMPLETE
    assert log.ending
    assert log.ending.code == "max_output_tokens"
    assert log.items[0].status is ItemStatus.INCOMPLETE


async def test_a_second_attempt_may_write_only_the_rest_of_the_limit() -> None:
    fake = FakeBackend(interrupted("one two"), says(" three", reason="length"))
    one = world(main=fake)
    response = await one.admit("count", max_output_tokens=16)
    await one.run(response)
    assert [call.max_output_tokens for call in fake.calls] == [16, 14]


async def test_a_second_execution_of_a_response_does_nothing() -> None:
    fake = FakeBackend(says("once"))
    one = world(main=fake)
    response = await one.admit("hello")
    await one.run(response)
    again = await one.run(response, execution=2)
    assert again.done == ["begin"]
    assert len(fake.calls) == 1


@pytest.mark.parametrize("status", [ResponseStatus.CANCELLED, ResponseStatus.FAILED])
async def test_an_ending_by_another_writer_is_kept(status: ResponseStatus) -> None:
    fake = FakeBackend(says("late"))
    one = world(main=fake)
    response = await one.admit("hello")
    await one.turns.begin(OWNER, response.id, execution="00000000-0000-0000-0000-000000000001")
    await one.turns.finish(OWNER, response.id, status=status)
    await one.run(response)
    log = await one.log(response)
    assert log.status is status
    assert fake.calls == []


async def test_a_repeated_attempt_returns_the_recorded_outcome() -> None:
    fake = FakeBackend(says("once"))
    one = world(main=fake)
    response = await one.admit("hello")
    request = {
        "tenant": OWNER.tenant,
        "subject": OWNER.subject,
        "response": response.id,
        "traceparent": "",
        "attempt": 1,
        "backend": "main",
        "worst_cost": "0.01",
        "output_tokens": 10,
        "retries": 0,
        "has_alternative": False,
    }
    first = await one.steps["infer"](request)
    second = await one.steps["infer"](request)
    assert first == second
    assert len(fake.calls) == 1
    (attempt,) = await one.ledger.attempts(OWNER, response.id)
    assert attempt.charge.status is AttemptStatus.CLOSED


async def test_a_truncated_stream_is_no_complete_answer() -> None:
    one = world(main=FakeBackend(interrupted("half", FailureKind.TRUNCATED), says(" whole")))
    response = await one.admit("hello")
    await one.run(response)
    assert [item.text for item in (await one.log(response)).items] == ["half whole"]
