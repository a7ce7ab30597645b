"""Does a batch answer each of its lines once, as the endpoint would, and end as it should?"""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from copy import replace
from decimal import Decimal

import pytest
from openai import OpenAI
from openai.types.webhooks import BatchCompletedWebhookEvent

from activities.batches.batch_input import TRUSTED_S
from clients.backends.port import AnswerEnd, TextPiece
from clients.storage.keys import money_key
from clients.storage.port import Create
from domain.batches.line_ids import ending_id
from domain.money.budgets import TAKEN, Budgets, BudgetScope, new_counter, tenant_day_counter_id
from domain.money.ledger_records import nanos
from domain.turns.rate_limits import RateLimit, RateLimits
from domain.turns.webhook_events import WebhookEndpoint, WebhookEndpoints
from tests.api.batches.jobs import create, ended, line, rows
from tests.api.batches.test_left_behind import checked, held, run
from tests.api.harness import ANSWER, Api, api
from tests.fakes.backends import Act, FakeBackend, rejects, says
from tests.fakes.batches import BatchRun
from tests.fakes.clocks import FakeClock
from tests.fakes.worlds import OWNER

CHAT = "/v1/chat/completions"


class HeldBackend(FakeBackend):
    """Answers the first call, and all others when it is released."""

    def __init__(self) -> None:
        super().__init__(says(ANSWER))
        self.asked = asyncio.Event()
        self.release = asyncio.Event()
        self.calls_begun = 0

    async def play(self, script: Sequence[Act]) -> AsyncIterator[TextPiece | AnswerEnd]:
        self.calls_begun += 1
        if self.calls_begun > 1:
            self.asked.set()
            await self.release.wait()
        async for piece in super().play(script):
            yield piece


def chat_line(number: int) -> dict[str, object]:
    body = {"model": "model", "messages": [{"role": "user", "content": f"line {number}"}], "store": True}
    return line(number, url=CHAT, body=body)


async def shown(one: Api, batch: Mapping[str, str]) -> dict[str, dict[str, int]]:
    return (await one.http.get(f"/v1/batches/{batch['id']}")).json()


async def run_again(one: Api, identifier: str) -> BatchRun:
    """Run a batch from its beginning, as a host does that has lost its history."""
    run = BatchRun(one.world)
    await run.run(await one.world.app.state.batches.read(OWNER, identifier))
    return run


async def test_each_line_has_the_answer_of_its_endpoint() -> None:
    one = api()
    batch = await create(one, [line(number) for number in range(3)], metadata={"of": "ships"})
    assert (batch["status"], batch["metadata"]) == ("validating", {"of": "ships"})
    done = await ended(one, batch)
    assert (done["status"], done["model"]) == ("completed", "model")
    assert done["request_counts"] == {"total": 3, "completed": 3, "failed": 0}
    found = await rows(one, done["output_file_id"])
    assert [each["custom_id"] for each in found] == ["line-0", "line-1", "line-2"]
    for each in found:
        body = each["response"]["body"]
        assert each["error"] is None
        assert each["response"]["status_code"] == 200
        assert body["output"][0]["content"][0]["text"] == ANSWER
        assert body == (await one.http.get(f"/v1/responses/{body['id']}")).json()
        assert (await one.http.get(f"/v1/responses/{body['id']}/route")).json()["route"]["backend"] == "main"
    assert done["error_file_id"] is None
    assert done["usage"]["output_tokens"] == sum(each["response"]["body"]["usage"]["output_tokens"] for each in found)


async def test_a_line_of_chats_has_a_completion() -> None:
    one = api()
    done = await ended(one, await create(one, [chat_line(0)], endpoint=CHAT))
    (found,) = await rows(one, done["output_file_id"])
    assert found["response"]["body"]["choices"][0]["message"]["content"] == ANSWER
    (stored,) = (await one.http.get(CHAT)).json()["data"]
    assert stored["id"] == found["response"]["body"]["id"]


async def test_lines_without_an_answer_are_in_the_error_file() -> None:
    one = api(FakeBackend(says(ANSWER), says(ANSWER), rejects(400)))
    parent = (await one.create({"model": "model", "input": "hi"})).json()["id"]
    orphan = line(1, body={"input": "hi", "previous_response_id": parent})
    batch = await checked(one, await held(one, [line(0), orphan, line(2)]))
    assert (await one.http.delete(f"/v1/responses/{parent}")).status_code == 200
    done = await run(one, batch)
    assert done["request_counts"] == {"total": 3, "completed": 1, "failed": 2}
    found = {each["custom_id"]: each for each in await rows(one, done["error_file_id"])}
    refused = found.pop("line-1")
    assert refused["response"]["status_code"] == 400
    assert refused["error"]["message"] == refused["response"]["body"]["error"]["message"]
    (failed,) = found.values()
    assert failed["response"]["body"]["status"] == "failed"
    assert failed["error"]["code"] == failed["response"]["body"]["error"]["code"]


async def test_lines_take_no_tokens_and_are_not_counted_as_running() -> None:
    few = RateLimit(per_minute=60, burst=5, running=1)
    one = api(limits=RateLimits(owner=few, tenant=few))
    done = await ended(one, await create(one, [line(number) for number in range(20)]))
    assert done["request_counts"]["completed"] == 20
    assert (await one.create({"model": "auto", "input": "hi"})).status_code == 200


async def test_a_cancelled_batch_keeps_what_has_ended_and_cancels_what_runs() -> None:
    held, clock = HeldBackend(), FakeClock()
    one = api(held, clock=clock)
    batch = await create(one, [line(number) for number in range(70)])
    await held.asked.wait()
    async with asyncio.timeout(60):
        while not (await shown(one, batch))["request_counts"]["completed"]:  # noqa: ASYNC110 - a step counts it
            await asyncio.sleep(0)
    cancelled = (await one.http.post(f"/v1/batches/{batch['id']}/cancel")).json()
    assert cancelled["status"] == "cancelling"
    clock.advance(TRUSTED_S)
    held.release.set()
    done = await ended(one, batch)
    assert done["status"] == "cancelled"
    assert done["request_counts"]["completed"] + done["request_counts"]["failed"] < 70
    assert [each["custom_id"] for each in await rows(one, done["output_file_id"])] == ["line-0"]
    stopped = await rows(one, done["error_file_id"])
    assert {each["response"]["body"]["status"] for each in stopped} == {"cancelled"}
    assert {each["error"]["message"] for each in stopped} == {"The turn of the line was cancelled."}
    again = await one.http.post(f"/v1/batches/{batch['id']}/cancel")
    assert (again.status_code, again.json()) == (200, done)


async def test_lines_that_were_not_reached_in_time_have_expired() -> None:
    clock = FakeClock()
    one = api(clock=clock)
    one.orchestrations.hold = True
    batch = await create(one, [line(0), line(1)], metadata={"window_s": "60"})
    clock.advance(61)
    await run_again(one, batch["id"])
    done = await ended(one, batch)
    assert (done["status"], done["request_counts"]) == ("expired", {"total": 2, "completed": 0, "failed": 2})
    assert [each["error"]["code"] for each in await rows(one, done["error_file_id"])] == ["batch_expired"] * 2


async def test_a_batch_that_no_budget_can_cover_is_refused_at_once() -> None:
    one = api(budgets=Budgets(limits={BudgetScope.OWNER_MONTH: Decimal("0.000001")}))
    with pytest.raises(AssertionError, match="insufficient_quota"):
        await create(one, [line(0)])
    assert one.orchestrations.batches == []


@pytest.mark.slow
async def test_a_batch_pauses_until_its_budget_has_room() -> None:
    clock, budgets = FakeClock(), Budgets(limits={BudgetScope.TENANT_DAY: Decimal("0.001")})
    one = api(budgets=budgets, clock=clock)
    today = tenant_day_counter_id(budgets, clock.now())
    used = {**new_counter(clock.now()), TAKEN: nanos(Decimal("0.001"))}
    await one.world.store.commit(money_key(OWNER.tenant), (Create(id=today, body=used),))
    batch = await create(one, [line(number) for number in range(4)])
    stored = await one.world.app.state.batches.read(OWNER, batch["id"])
    pauses = one.world.app.state.batches.pauses
    async with asyncio.timeout(60):
        while not await pauses.reason(stored):  # noqa: ASYNC110 - it is noted by a step of the batch
            await asyncio.sleep(0)
    paused = (await one.http.get(f"/v1/batches/{batch['id']}")).json()
    assert paused["status"] == "in_progress"
    assert paused["metadata"]["ganglion_ending"].startswith("paused: Your organisation's budget for the day")
    done = await ended(one, batch)
    assert tenant_day_counter_id(budgets, clock.now()) != today
    assert (done["status"], done["request_counts"]["completed"], done["metadata"]) == ("completed", 4, {})


async def test_the_input_of_a_batch_stays_until_it_has_ended() -> None:
    one = api()
    one.orchestrations.hold = True
    batch = await create(one, [line(0)])
    path = f"/v1/files/{batch['input_file_id']}"
    assert (await one.http.delete(path)).status_code == 409
    await run_again(one, batch["id"])
    assert (await one.http.delete(path)).status_code == 200


async def test_a_batch_that_runs_twice_has_each_line_once() -> None:
    one = api()
    batch = await create(one, [line(number) for number in range(5)])
    done = await ended(one, batch)
    await run_again(one, batch["id"])
    assert await ended(one, batch) == done
    for each in await rows(one, done["output_file_id"]):
        assert len(await one.world.ledger.attempts(OWNER, each["response"]["body"]["id"])) == 1


async def test_one_key_is_one_batch_and_another_body_is_a_conflict() -> None:
    one = api()
    batch = await create(one, [line(0)])
    body = {name: batch[name] for name in ("endpoint", "completion_window", "input_file_id")}
    key = {"idempotency-key": "once"}
    made = [(await one.http.post("/v1/batches", json=body, headers=key)).json()["id"] for _ in range(2)]
    assert made[0] == made[1] != batch["id"]
    other = await one.http.post("/v1/batches", json=body | {"metadata": {"a": "b"}}, headers=key)
    assert other.status_code == 409


async def test_an_erasure_removes_batches_and_their_files() -> None:
    one = api()
    batch = await create(one, [line(0)])
    done = await ended(one, batch)
    assert (await one.http.delete("/v1/owners/me")).status_code == 200
    assert (await one.http.get(f"/v1/batches/{batch['id']}")).status_code == 404
    assert (await one.http.get(f"/v1/files/{done['output_file_id']}")).status_code == 404
    assert (await one.http.get("/v1/batches")).json()["data"] == []


async def test_the_end_is_announced_to_webhooks_that_name_it_and_lines_are_not() -> None:
    wants = WebhookEndpoint(
        name="batches", url="https://a.example", secrets=(b"x" * 24,), batch_events=frozenset({"batch.completed"})
    )
    known = {"turns": replace(wants, name="turns", batch_events=frozenset()), "batches": wants}
    known["batches"] = replace(wants, events=frozenset())
    one = api(endpoints=WebhookEndpoints(known=known))
    batch = await create(one, [line(0)])
    await ended(one, batch)
    outbox = one.world.app.state.webhook_outbox
    (delivery,) = await outbox.of(OWNER, ending_id(batch["id"]))
    assert (delivery.endpoint, delivery.event) == ("batches", {"type": "batch.completed", "data": {"id": batch["id"]}})
    now = time.time()  # noqa: TID251 - the SDK compares the stamp with its own clock
    secret = f"whsec_{base64.b64encode(wants.secrets[0]).decode()}"
    headers = delivery.headers(wants.secrets, now=now)
    event = OpenAI(api_key="unused").webhooks.unwrap(delivery.body.decode(), headers, secret=secret)
    assert isinstance(event, BatchCompletedWebhookEvent)
    assert event.data.id == batch["id"]
    assert list(await outbox.overdue(before=one.world.clock.now() + 1)) == [delivery]


async def test_the_route_of_a_batch_says_when_it_begins_why_and_what_its_lines_cost() -> None:
    one = api()
    batch = await create(one, [line(0), line(1)])
    path = f"/v1/batches/{batch['id']}/route"
    before = (await one.http.get(path)).json()
    assert (before["decision"], before["cost"]["total_usd"]) == (None, "0.000000000")
    assert not before["cost"]["final"]
    done = await ended(one, batch)
    responses = [each["response"]["body"]["id"] for each in await rows(one, done["output_file_id"])]
    bills = [(await one.http.get(f"/v1/responses/{each}/route")).json()["bill"] for each in responses]
    after = (await one.http.get(path)).json()
    assert Decimal(after["cost"]["total_usd"]) == sum(Decimal(each["total_usd"]) for each in bills) > 0
    assert (after["cost"]["lines"], after["cost"]["final"]) == (2, True)
    assert Decimal(after["cost"]["line_usd"]) * 2 == Decimal(after["cost"]["total_usd"])
    decision = after["decision"]
    assert (decision["starts"], decision["reason"]) == (True, "no backend has to be started")
    assert set(decision["costs"]) == {"main"}
    assert "together" not in decision, "it counts the lines of other owners"


@pytest.mark.slow
async def test_a_long_batch_goes_on_in_new_histories() -> None:
    one = api()
    one.orchestrations.hold = True
    batch = await create(one, [line(number) for number in range(150)])
    run = await run_again(one, batch["id"])
    assert (await ended(one, batch))["request_counts"]["completed"] == 150
    assert max(run.histories) * 4 <= 200
