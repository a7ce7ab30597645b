"""Does a batch lose nothing and leave nothing open: turns, approvals, files and the places of a process?"""

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any

import pytest

from activities.batches import check_batch
from activities.batches.inline_turn import LONGEST_S
from activities.batches.run_line import BUSY_S, MOST_OF_A_PROCESS, MOST_TRIES, STOPPED
from activities.maintenance.batch_sweep import BatchSweep
from clients.backends.port import AnswerEnd, TextPiece
from clients.orchestrations import wire_of_batch
from clients.storage.keys import money_key, owner_index_key
from clients.storage.port import Add, Create, Delete, Replace
from domain.batches.batch import Batch, BatchStatus
from domain.batches.start_time import StartDecision
from domain.batches.totals import BatchTotals
from domain.errors import NotFound, Unavailable
from domain.identity.owners import Owner
from domain.log.events import ResponseStatus
from domain.money.budgets import TAKEN, Budgets, BudgetScope, tenant_day_counter_id
from domain.money.ledger_records import ReservationStatus, nanos
from state.batches.line_store import lines_key
from state.batches.waiting_batches import lines_waiting_with
from state.money.limit_changes import REFRESH_S
from tests.api.batches.jobs import create, ended, line, rows, text_of, upload
from tests.api.endpoints.reports.test_limits import change, serving
from tests.api.harness import Api, api
from tests.api.tools.agents import SHOP, InsistentModel, agent, calls
from tests.checks import every
from tests.fakes.backends import Act, says
from tests.fakes.batches import BatchRun
from tests.fakes.clocks import FakeClock
from tests.fakes.orchestration import FakeOrchestrations
from tests.fakes.tools import FakeTools
from tests.fakes.tools import says as answers
from tests.fakes.worlds import OWNER

type Json = dict[str, Any]

CLOSE = ("shop__close_shop", dict[str, Any]())


async def held(one: Api, lines: list[Any], **changes: Any) -> Batch:
    """Return a batch that was created, and does not run before `run` runs it."""
    one.orchestrations.hold = True
    return await stored(one, (await create(one, lines, **changes))["id"])


async def stored(one: Api, identifier: str) -> Batch:
    return await one.world.app.state.batches.read(OWNER, identifier)


async def checked(one: Api, batch: Batch) -> Batch:
    """Return a batch whose lines are known."""
    await one.world.app.batches.check.check(wire_of_batch(batch))
    return await stored(one, batch.id)


async def run(one: Api, batch: Batch) -> Json:
    await BatchRun(one.world).run(batch)
    return await ended(one, {"id": batch.id})


async def line_of(one: Api, batch: Batch, number: int) -> bytes:
    return await one.world.app.batches.check.source.line(batch, number)


async def test_turns_that_wait_when_a_batch_expires_are_ended() -> None:
    clock = FakeClock()
    one = api(clock=clock)
    conversation = (await one.http.post("/v1/conversations", json={})).json()["id"]
    body = {"model": "model", "input": "hi", "conversation": conversation}
    lines = [line(0), line(1, body=body)]
    batch = await checked(one, await held(one, lines, metadata={"window_s": "60"}))
    running, turns = one.world.app.batches.run_line, list[str]()
    for number in range(2):
        content = await line_of(one, batch, number)
        assert await running.admit(batch, number, content)
        turns.append(running.requests.response_id(batch, number, content))
    clock.advance(61)
    assert (await run(one, batch))["status"] == "expired"
    for turn in turns:
        assert (await one.world.turns.read(OWNER, turn)).status is ResponseStatus.CANCELLED
    one.orchestrations.hold = False
    assert (await one.create({"model": "auto", "input": "hi", "conversation": conversation})).status_code == 200


async def test_a_turn_that_was_recorded_goes_on_where_its_request_would_be_refused_now() -> None:
    one = api()
    before = (await ended(one, await create(one, [line(0)])))["output_file_id"]
    (made,) = [each["response"]["body"] for each in await rows(one, before)]
    body = {"model": "model", "input": "hi", "previous_response_id": made["id"]}
    batch = await checked(one, await held(one, [line(0, body=body)]))
    await one.world.app.batches.run_line.requests.admit(batch, 0, await line_of(one, batch, 0))
    assert (await one.http.delete(f"/v1/responses/{made['id']}")).status_code == 200
    done = await run(one, batch)
    assert (done["request_counts"]["completed"], done["error_file_id"]) == (1, None)
    (found,) = await rows(one, done["output_file_id"])
    reservation = await one.world.ledger.reservation(OWNER, found["response"]["body"]["id"])
    assert reservation is not None
    assert reservation.status is ReservationStatus.SETTLED


async def test_a_line_that_approves_a_call_has_it_run() -> None:
    tools = FakeTools(replies={"close_shop": [answers('{"closed": true}')]})
    one = agent(calls(CLOSE), says("it is closed"), tools=tools)
    body: Json = {"model": "auto", "input": "close the shop", "tools": [{**SHOP, "require_approval": "always"}]}
    asked = (await ended(one, await create(one, [line(0, body=body)])))["output_file_id"]
    (made,) = [each["response"]["body"] for each in await rows(one, asked)]
    (request,) = [item["id"] for item in made["output"] if item["type"] == "mcp_approval_request"]
    answer = {"type": "mcp_approval_response", "approval_request_id": request, "approve": True}
    body |= {"input": [answer], "previous_response_id": made["id"]}
    done = await ended(one, await create(one, [line(0, body=body)]))
    (found,) = await rows(one, done["output_file_id"])
    assert [item["type"] for item in found["response"]["body"]["output"]] == ["mcp_call", "message"]
    assert [call.tool for call in tools.sent] == ["close_shop"]


async def test_a_key_that_was_used_with_another_file_does_not_change_the_lines() -> None:
    one = api()
    one.orchestrations.hold = True
    body = {"endpoint": "/v1/responses", "completion_window": "24h"}
    files = [await upload(one, text_of([line(number)])) for number in range(2)]
    batch, source = None, one.world.app.batches.check.source
    for file_id, status in zip(files, (200, 409), strict=True):
        source.stored.clear()
        asked = body | {"input_file_id": file_id}
        made = await one.http.post("/v1/batches", json=asked, headers={"idempotency-key": "once"})
        assert made.status_code == status
        batch = batch or await stored(one, made.json()["id"])
    assert batch
    done = await run(one, batch)
    assert [each["custom_id"] for each in await rows(one, done["output_file_id"])] == ["line-0"]


async def test_the_creation_of_a_batch_reads_no_more_blank_lines_than_others() -> None:
    one = api()
    file_id = await upload(one, b"\n" * 4_000)
    body = {"endpoint": "/v1/responses", "completion_window": "24h", "input_file_id": file_id}
    one.orchestrations.hold = True
    batch = await stored(one, (await one.http.post("/v1/batches", json=body)).json()["id"])
    found = await one.world.app.batches.check.read_lines(batch, most=1_000)
    assert found.number == 1_002


async def test_a_batch_that_could_not_be_checked_within_its_window_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    one = api(clock=clock)
    batch = await held(one, [line(0)], metadata={"window_s": "60"})

    async def fails(*_: Any) -> None:
        raise Unavailable("The server of the tools does not answer.")

    one.world.app.batches.check.source.stored.clear()
    monkeypatch.setattr(one.world.app.state.files, "read", fails)
    with pytest.raises(Unavailable):
        await BatchRun(one.world).run(batch)
    clock.advance(61)
    assert (await run(one, batch))["status"] == "expired"


async def test_a_file_of_blank_lines_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_batch, "NUMBERS_LIMIT", 50)
    one = api()
    batch = await held(one, [line(0), *[""] * 48])
    found = await one.world.app.batches.check.read_lines(batch)
    assert (found.number, len(found.starts), found.errors) == (49, 1, [])
    blank = await held(one, [line(0), *[""] * 100])
    found = await one.world.app.batches.check.read_lines(blank)
    assert (found.number, [each["code"] for each in found.errors]) == (50, ["too_many_lines"])


async def test_an_erasure_stops_batches_before_it_clears_their_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    one = api()
    batch = await checked(one, await held(one, [line(0)]))
    running, ran, clearing = one.world.app.batches.run_line, list[Any](), one.world.app.state.retention.clearing
    erase_thread = clearing.erase_thread

    async def spied(owner: Owner, thread: str) -> Sequence[str]:
        running.source.known.clear()
        ran.append(await running.run({**wire_of_batch(batch), "line": 0}))
        return await erase_thread(owner, thread)

    monkeypatch.setattr(clearing, "erase_thread", spied)
    assert (await one.http.delete("/v1/owners/me")).status_code == 200
    assert every(each == STOPPED for each in ran)


async def test_an_erasure_wakes_the_batches_that_wait_so_that_they_end() -> None:
    one = api()
    waits, begun = [await checked(one, await held(one, [line(number)])) for number in range(2)]
    starts = one.world.app.state.batches.starts
    for batch, has_begun in ((waits, False), (begun, True)):
        decision = StartDecision(starts=has_begun, reason="", latest_start=one.world.clock.now())
        await starts.save(batch, decision, looks=3)
    assert (await one.http.delete("/v1/owners/me")).status_code == 200
    assert one.orchestrations.batch_wakes == [(waits.id, 3)]
    assert (await one.world.app.batches.time.time({**wire_of_batch(waits), "looks": 4}))["delay_s"] == 0.0


@pytest.mark.parametrize("damaged", ["the batch", "its decision"])
async def test_a_damaged_record_of_a_batch_keeps_no_erasure_and_no_other_batch_from_going_on(damaged: str) -> None:
    one = api()
    bad, good = [await checked(one, await held(one, [line(number)])) for number in range(2)]
    decision = StartDecision(starts=False, reason="", latest_start=one.world.clock.now())
    for batch in (bad, good):
        await one.world.app.state.batches.starts.save(batch, decision, looks=3)
    key, name = (owner_index_key(OWNER), bad.id) if damaged == "the batch" else (lines_key(bad), "start")
    found = await one.world.store.read(key, name)
    assert found
    left = {field: found.body[field] for field in ("kind", "v", "at")}
    await one.world.store.commit(key, (Replace(id=name, body=left, etag=found.etag),))
    waiting = await lines_waiting_with(one.world.app.state.batches, good, now=one.world.clock.now() + 1.0)
    assert waiting.together == good.lines
    assert (await one.http.delete("/v1/owners/me")).status_code == 200
    assert one.orchestrations.batch_wakes == [(good.id, 3)]


async def test_no_results_stay_of_an_owner_who_was_erased_while_they_were_written() -> None:
    one = api()
    batch = await checked(one, await held(one, [line(0)]))
    steps = one.world.app.batches
    await steps.run_line.run({**wire_of_batch(batch), "line": 0})
    await one.world.store.commit(owner_index_key(OWNER), (Delete(id=batch.id),))
    with pytest.raises(NotFound):
        await steps.finish.end(batch.entered(BatchStatus.FINALIZING, at=one.world.clock.now()))
    listed = (await one.http.get("/v1/files")).json()["data"]
    assert [each["purpose"] for each in listed] == ["batch"]


class SlowModel(InsistentModel):
    """Takes minutes for each of its calls."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock

    async def play(self, script: Sequence[Act]) -> AsyncIterator[TextPiece | AnswerEnd]:
        self.clock.advance(LONGEST_S / 2 + 1)
        async for piece in super().play(script):
            yield piece


async def test_a_turn_that_takes_long_gives_its_function_back_and_repeats_no_call() -> None:
    clock = FakeClock()
    one = agent(main=(model := SlowModel(clock)), clock=clock)
    body = {"model": "auto", "input": "look", "tools": [SHOP], "max_tool_calls": 3}
    batch = await checked(one, await held(one, [line(0, body=body)]))
    waited, running = 0, one.world.app.batches.run_line
    while (await running.run({**wire_of_batch(batch), "line": 0}))["delay_s"]:
        waited += 1
    assert (waited, len(model.calls)) == (1, 4)
    done = await run(one, batch)
    (found,) = await rows(one, done["output_file_id"])
    attempts = await one.world.ledger.attempts(OWNER, found["response"]["body"]["id"])
    assert [each.number for each in attempts] == [1, 2, 3, 4]


async def test_the_timer_wakes_a_batch_that_was_cancelled_while_it_waited() -> None:
    one = api()
    batch = await held(one, [line(0)])
    store, clock = one.world.app.state.batches, one.world.clock
    await store.starts.save(batch, StartDecision(starts=False, reason="waits", latest_start=clock.now()), looks=3)
    await store.change(OWNER, batch.id, lambda each: each.entered(BatchStatus.CANCELLING, at=clock.now()))
    orchestrations = FakeOrchestrations()
    orchestrations.running.add(batch.id)
    await BatchSweep(store, one.world.app.batches.planner.decide, clock, unbegun_s=-1.0).run(orchestrations)
    assert orchestrations.batch_wakes == [(batch.id, 3)]


@pytest.mark.parametrize("has_warmed", [True, False])
async def test_the_end_of_a_turn_that_found_a_backend_warm_wakes_waiting_batches(*, has_warmed: bool) -> None:
    one = api()
    batch = await checked(one, await held(one, [line(0)]))
    store, clock = one.world.app.state.batches, one.world.clock
    await store.starts.save(batch, StartDecision(starts=False, reason="waits", latest_start=clock.now()), looks=3)
    clock.advance(1.0)
    orchestrations = FakeOrchestrations()
    if has_warmed:
        one.world.app.state.backend_states.opened.add("main")
    wake = one.world.app.follow_ups.wake_batches
    assert wake is not None
    await wake(orchestrations)
    await wake(orchestrations)
    assert orchestrations.batch_wakes == ([(batch.id, 3)] if has_warmed else [])


async def test_lines_of_all_batches_leave_places_of_a_process_to_turns() -> None:
    one = api()
    batch = await checked(one, await held(one, [line(0)]))
    running = one.world.app.batches.run_line
    running.running = MOST_OF_A_PROCESS
    assert await running.run({**wire_of_batch(batch), "line": 0}) == {"delay_s": BUSY_S, "stopped": 0}
    running.running -= 1
    assert await running.run({**wire_of_batch(batch), "line": 0}) == {"delay_s": 0.0, "stopped": 0}


async def test_a_line_that_fails_outside_of_its_turn_is_tried_later_each_time_and_ends_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = api()
    batch = await checked(one, await held(one, [line(0), line(1)]))
    running = one.world.app.batches.run_line

    def broken(*_: Any) -> None:
        raise RuntimeError("a mistake of ours")

    request = wire_of_batch(batch)
    monkeypatch.setattr(type(running.requests), "answer", broken)
    delays = [(await running.run({**request, "line": 0}))["delay_s"] for _ in range(MOST_TRIES)]
    assert delays == [10.0, 20.0, 40.0, 80.0, 160.0, 0.0]
    assert not running.failures
    monkeypatch.undo()
    done = await run(one, batch)
    assert (done["status"], done["request_counts"]) == ("completed", {"total": 2, "completed": 1, "failed": 1})
    (failed,) = await rows(one, done["error_file_id"])
    assert failed["custom_id"] == "line-0"
    assert failed["error"]["message"].endswith("failed 6 times outside of its turn: RuntimeError.")


async def test_a_row_replaces_the_parts_that_a_run_left_behind_which_died() -> None:
    one = api()
    batch = await checked(one, await held(one, [line(0)]))
    lines = one.world.app.state.batches.lines
    body = {"kind": "batch_row", "v": 1, "text": "x"}
    parts = [Create(id=f"row_00000_00_{number:04d}", body=body) for number in (0, 1)]
    await one.world.store.commit(lines_key(batch), parts)
    await lines.end_line(batch, 0, "{}", BatchTotals(failed=1))
    assert await lines.rows(batch, 0) == {0: ("{}", BatchTotals(failed=1))}
    await lines.end_line(batch, 0, "another", BatchTotals(completed=1))
    assert await lines.rows(batch, 0) == {0: ("{}", BatchTotals(failed=1))}


async def test_a_budget_that_others_use_up_in_the_middle_pauses_a_batch_until_it_is_raised() -> None:
    limit = Decimal("0.01")
    one = serving(6, budgets=Budgets(limits={BudgetScope.TENANT_DAY: limit}))
    batch = await checked(one, await held(one, [line(number) for number in range(6)]))
    running, request, clock = one.world.app.batches.run_line, wire_of_batch(batch), one.world.clock
    for number in range(2):
        assert await running.run({**request, "line": number}) == {"delay_s": 0.0, "stopped": 0}
    today = tenant_day_counter_id(Budgets(), clock.now())
    await one.world.store.commit(money_key(OWNER.tenant), (Add(id=today, amounts={TAKEN: nanos(limit)}),))
    assert (await running.run({**request, "line": 2}))["delay_s"] > 0
    paused = (await one.http.get(f"/v1/batches/{batch.id}")).json()
    assert (paused["status"], paused["request_counts"]["completed"]) == ("in_progress", 2)
    assert paused["metadata"]["ganglion_ending"].startswith("paused: Your organisation's budget for the day")
    assert (await change(one, {"values": {"tenant_day": "1"}})).status_code == 200
    clock.advance(REFRESH_S)
    done = await run(one, batch)
    assert tenant_day_counter_id(Budgets(), clock.now()) == today
    assert (done["status"], done["request_counts"], done["metadata"]) == (
        "completed",
        {"total": 6, "completed": 6, "failed": 0},
        {},
    )
    for each in await rows(one, done["output_file_id"]):
        assert len(await one.world.ledger.attempts(OWNER, each["response"]["body"]["id"])) == 1
