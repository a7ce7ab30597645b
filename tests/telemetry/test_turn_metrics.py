"""Are turns, dollars, budgets and findings counted, with few time series however many tenants there are?"""

import json
from copy import replace
from decimal import Decimal

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from domain.log.events import ResponseStatus
from domain.money.costing import BillLine
from domain.money.settlement import Settlement
from telemetry.turn_metrics import count_session_cost, count_turn, measure_budget, named_tenants
from tests.activities.cold_starts import Cluster, cold_gpu, cold_of
from tests.fakes.backends import FakeBackend, rejects, says
from tests.fakes.clocks import in_no_time
from tests.fakes.machines.gpus import SleepingGpu
from tests.fakes.orchestration import FakeOrchestrations
from tests.fakes.worlds import OWNER, backend
from tests.telemetry.conventions.test_traces import traced_turn, world_of
from tests.telemetry.measuring import points, total

LINE_FIELDS = {
    "event",
    "response",
    "tenant",
    "trace_id",
    "span_id",
    "status",
    "reason",
    "backend",
    "start",
    "seconds",
    "attempts",
    "input_tokens",
    "cached_tokens",
    "output_tokens",
    "dollars",
}


def turn_lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [json.loads(each.getMessage()) for each in caplog.records if each.name == "ganglion.turns"]


async def test_an_answered_turn_is_one_line_and_one_count(
    measured: InMemoryMetricReader, caplog: pytest.LogCaptureFixture
) -> None:
    before = total(measured, "ganglion.turns", ganglion__turn__status="completed")
    tokens = total(measured, "ganglion.cost", ganglion__cost__cause="tokens", ganglion__cost__final=True)
    response_id = await traced_turn(world_of(backend("main"), FakeBackend(says("four and twenty"))))
    (line,) = turn_lines(caplog)
    assert line.keys() == LINE_FIELDS
    assert (line["response"], line["status"], line["backend"], line["start"]) == (
        response_id,
        "completed",
        "main",
        "warm",
    )
    assert (line["input_tokens"], line["output_tokens"], line["attempts"]) == (7, 3, 1)
    assert total(measured, "ganglion.turns", ganglion__turn__status="completed") == before + 1
    spent = total(measured, "ganglion.cost", ganglion__cost__cause="tokens", ganglion__cost__final=True) - tokens
    assert spent == pytest.approx(float(Decimal(str(line["dollars"]))))


async def test_a_failed_turn_names_its_reason(measured: InMemoryMetricReader, caplog: pytest.LogCaptureFixture) -> None:
    await traced_turn(world_of(backend("main"), FakeBackend(rejects(400))))
    (line,) = turn_lines(caplog)
    assert (line["status"], line["reason"]) == ("failed", "invalid_prompt")
    assert total(measured, "ganglion.turns", ganglion__turn__reason="invalid_prompt") >= 1


def test_a_repeated_settlement_counts_once_and_a_cold_turn_says_so(
    measured: InMemoryMetricReader, caplog: pytest.LogCaptureFixture
) -> None:
    before = total(measured, "ganglion.turns")

    async def story() -> None:
        gpu = SleepingGpu(start_s=lambda: 60.0)
        cluster = Cluster(backends={"gpu": (cold_gpu(cold_of(60.0), name="gpu"), gpu)})
        response = await cluster.world.admit("hello")
        await cluster.run([response])
        wire = {"tenant": OWNER.tenant, "subject": OWNER.subject, "response": response.id, "traceparent": ""}
        await cluster.world.steps["settle"](wire)

    in_no_time(story())
    assert total(measured, "ganglion.turns") == before + 1
    assert turn_lines(caplog)[0]["start"] == "cold"
    provisional = {
        str(each.told["ganglion.cost.cause"])
        for each in points(measured, "ganglion.cost")
        if each.told["ganglion.cost.final"] is False
    }
    assert provisional >= {"running", "start"}


def test_ten_thousand_tenants_are_no_more_time_series_than_one(measured: InMemoryMetricReader) -> None:
    settlement = Settlement(cost=Decimal(0), records=(), reservation=None, is_first=True)
    names = ("ganglion.turns", "ganglion.cost", "ganglion.budget.used")
    before = {name: len(points(measured, name)) for name in names}
    named_tenants.allow(frozenset({"tenant-7", "tenant-8"}))
    try:
        for number in range(10_000):
            tenant = f"tenant-{number}"
            count_turn(tenant, status="completed", reason="", seconds=1.0, settlement=settlement)
            count_session_cost(tenant, {BillLine.GPU: Decimal("0.001")}, served=True)
            measure_budget(tenant, "tenant_day", 0.5)
    finally:
        named_tenants.allow(frozenset())
    for name in names:
        named = {each.told.get("ganglion.tenant") for each in points(measured, name)}
        assert named == {None, "tenant-7", "tenant-8"}
        assert len(points(measured, name)) < before[name] + 20


def test_a_session_without_a_call_is_an_unused_warm_up(measured: InMemoryMetricReader) -> None:
    before = total(measured, "ganglion.cost", ganglion__cost__cause="unused_warm_up")
    count_session_cost("one", {BillLine.COLD: Decimal("0.25"), BillLine.TAIL: Decimal("0.5")}, served=False)
    after = total(measured, "ganglion.cost", ganglion__cost__cause="unused_warm_up")
    assert after - before == pytest.approx(0.75)


async def test_the_sweep_reports_what_is_unfinished_and_what_it_found(measured: InMemoryMetricReader) -> None:
    world = world_of(backend("main"), FakeBackend(says("one")))
    found = total(measured, "ganglion.sweeper.findings", ganglion__sweeper__finding="unbegun")
    await world.admit("never begun")
    world.clock.time += 40
    await world.admit("just admitted")
    world.clock.time += 1
    await world.app.maintenance.run(FakeOrchestrations())
    assert total(measured, "ganglion.turns.unfinished", ganglion__turn__state="queued") == 2
    assert total(measured, "ganglion.turns.oldest.age") == pytest.approx(41)
    unbegun = total(measured, "ganglion.sweeper.findings", ganglion__sweeper__finding="unbegun")
    assert unbegun == found + 1
    assert points(measured, "ganglion.sweeper.duration")
    assert total(measured, "ganglion.webhooks.pending") == 0


async def test_the_time_for_which_a_turn_waited_for_an_approval_is_no_part_of_its_age(
    measured: InMemoryMetricReader,
) -> None:
    world = world_of(backend("main"), FakeBackend())
    admitted = await world.admit("refund it")
    asked_at, decided_at = world.clock.time + 10, world.clock.time + 7210
    progress = admitted.progress.with_wait(asked_at, until=decided_at + 60).without_wait(decided_at)
    world.clock.time = decided_at + 5
    running = replace(admitted, progress=progress)
    survey = world.app.maintenance.survey
    await survey.report({ResponseStatus.QUEUED: (), ResponseStatus.IN_PROGRESS: (running,)})
    assert total(measured, "ganglion.turns.oldest.age") == pytest.approx(15)
