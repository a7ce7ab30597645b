"""Does an operator start a backend once, within the own budgets, and know before what it may cost?"""

from collections.abc import Mapping
from copy import replace
from decimal import Decimal
from typing import Any, override

import httpx
import pytest

from clients.backends.port import BackendError
from domain.errors import Unavailable
from domain.fleet.failure_classes import Failure, FailureKind
from domain.fleet.instances.scaling import InstanceControl, Scaling
from domain.money.attempt_charge import AttemptCharge
from domain.money.budgets import Budgets, BudgetScope
from domain.money.sessions.provisional_charges import dollars, provisional_warm_up
from tests.api.endpoints.reports.test_fleet import GPU, PRICE, fleet
from tests.api.harness import OPERATOR, Api, api
from tests.fakes.backends import FakeBackend
from tests.fakes.worlds import backend

PATH = "/v1/fleet/gpu/warm_up"
WORST = sum(dollars(provisional_warm_up(PRICE, 40)).values(), Decimal(0))


class Gpu(FakeBackend):
    """Counts the requests that start it, and answers them with `failure` where there is one."""

    failure: Failure | None = None
    probes = 0

    @override
    async def probe(self) -> None:
        self.probes += 1
        if self.failure:
            raise BackendError(self.failure)
        await super().probe()


def sleeping(budgets: Budgets | None = None) -> tuple[Api, Gpu]:
    gpu = Gpu()
    return api(gpu, FakeBackend(), deployed={"gpu": GPU, "spare": backend("spare")}, budgets=budgets), gpu


async def post(one: Api, path: str = PATH, caller: str = "operator") -> httpx.Response:
    return await one.http.post(path, headers={"authorization": f"Bearer {caller}"})


async def started(one: Api, path: str = PATH) -> Mapping[str, Any]:
    answer = await post(one, path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def booked(one: Api) -> Mapping[str, Decimal]:
    """Return what the operator was charged, by the id of the warm-up."""
    uses = await one.world.app.state.budget_status.uses(OPERATOR)
    return {use.counter.scope.name: Decimal(use.taken).scaleb(-9) for use in uses}


async def test_the_cost_is_known_before_anything_is_sent() -> None:
    one, gpu = sleeping()
    planned = await started(one, f"{PATH}?dry_run=true")
    assert (planned["status"], planned["sent"], Decimal(planned["worst_usd"])) == ("asleep", False, WORST)
    assert (await fleet(one))["gpu"]["start"]["worst_warm_up_usd"] == planned["worst_usd"]
    assert (gpu.probes, set((await booked(one)).values())) == (0, {Decimal(0)})


async def test_a_counted_backend_costs_the_idle_period_of_the_product() -> None:
    control, cold = InstanceControl(service="projects/p/locations/l/services/s"), replace(GPU.cold_start, idle_s=15)
    counted = replace(GPU, scaling=Scaling.COUNT, instances=control, cold_start=cold)
    one = api(Gpu(), FakeBackend(), deployed={"gpu": counted, "spare": backend("spare")})
    planned = await started(one, f"{PATH}?dry_run=true")
    assert planned["idle_s"] == 15
    assert Decimal(planned["worst_usd"]) < WORST
    assert (await fleet(one))["gpu"]["start"]["worst_warm_up_usd"] == planned["worst_usd"]


async def test_a_warm_up_is_sent_and_booked_once_however_often_it_is_asked_for() -> None:
    one, gpu = sleeping()
    first = await started(one)
    assert (first["sent"], first["id"].startswith("warm_")) == (True, True)
    again = await started(one)
    assert (again["sent"], again["id"], again["status"]) == (False, "", "warm")
    assert gpu.probes == 1
    assert set((await booked(one)).values()) == {WORST}
    records = await one.world.app.state.ledger.records(OPERATOR, first["id"])
    assert [(each.backend, each.is_warm_up) for each in records] == [("gpu", True)]


async def test_without_room_in_a_budget_nothing_is_sent() -> None:
    one, gpu = sleeping(Budgets(limits={BudgetScope.OWNER_DAY: WORST - Decimal("0.01")}))
    answer = await post(one)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], gpu.probes) == (429, "insufficient_quota", 0)
    assert "$" in error["message"]


@pytest.mark.parametrize(
    ("path", "caller", "status", "code"),
    [
        (PATH, "mine", 403, "insufficient_permissions"),
        ("/v1/fleet/none/warm_up", "operator", 404, None),
        ("/v1/fleet/spare/warm_up", "operator", 404, None),
        (f"{PATH}?dry_run=perhaps", "operator", 400, "invalid_value"),
    ],
)
async def test_what_cannot_be_warmed_up_is_rejected(path: str, caller: str, status: int, code: str | None) -> None:
    one, gpu = sleeping()
    answer = await post(one, path, caller)
    assert (answer.status_code, answer.json()["error"]["code"], gpu.probes) == (status, code, 0)


async def test_a_backend_that_refuses_is_named_and_nothing_is_booked() -> None:
    one, gpu = sleeping()
    gpu.failure = Failure(kind=FailureKind.STATUS, status=403)
    answer = await post(one)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert answer.json()["error"]["message"].startswith("gpu could not be started: ")
    assert set((await booked(one)).values()) == {Decimal(0)}


async def test_a_store_that_fails_is_not_called_a_budget_or_an_earlier_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    one, gpu = sleeping()
    gpu.failure = Failure(kind=FailureKind.STATUS, status=403)
    await post(one)
    one.world.clock.advance(1)
    gpu.failure = None

    async def failing(*_: object, **__: object) -> None:
        raise Unavailable("the store does not answer", delay_s=1.0)

    monkeypatch.setattr(one.world.app.state.ledger, "reserve_warm_up", failing)
    answer = await post(one)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], gpu.probes) == (503, "unavailable", 1)
    assert "could not be charged" in error["message"]


async def test_what_turns_hold_leaves_no_room_for_a_warm_up() -> None:
    one, gpu = sleeping(Budgets(limits={BudgetScope.OWNER_DAY: WORST}))
    ledger = one.world.app.state.ledger
    record = await ledger.warm_up_record(OPERATOR, "resp_running", GPU)
    await ledger.open_attempt(OPERATOR, replace(record, number=1, charge=AttemptCharge(reserved=Decimal("0.001"))))
    answer = await post(one)
    assert (answer.status_code, answer.json()["error"]["code"], gpu.probes) == (429, "insufficient_quota", 0)
