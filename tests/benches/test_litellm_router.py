"""Do the services behind LiteLLM's router bill as in the comparison? A fake router stands in for LiteLLM."""

from collections.abc import Mapping, Sequence
from copy import replace
from types import SimpleNamespace
from typing import Any

import pytest

from benches.routing.arrivals import Arrivals
from benches.routing.cells import API, GPU, Cell
from benches.routing.comparison import baselines
from benches.routing.demand import counted_requests, demand_of
from benches.routing.litellm_router import LiteLlmRun
from tests.fakes.clocks import in_no_time

CELL = Cell(
    name="small",
    arrivals=Arrivals(source="quarters", requests=60, seed=3, per_hour=200),
    start_s=20,
    spread=0.0,
    idle_s=60,
)


class OneService:
    """Sends every request to one service."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def async_get_available_deployment(
        self, *, model: str, messages: Sequence[Mapping[str, str]], request_kwargs: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        assert model, (messages, request_kwargs)
        return {"model_info": {"id": self.name}}


def multiple_of(cell: Cell, name: str, monkeypatch: pytest.MonkeyPatch) -> float:
    monkeypatch.setattr("time.time", lambda: 0.0)  # the run sets it, and this sets it back

    def router(**_: Any) -> OneService:
        return OneService(name)

    library = SimpleNamespace(Router=router, ModelResponse=SimpleNamespace, Usage=SimpleNamespace)
    return in_no_time(LiteLlmRun(cell=cell, strategy=name, has_gpu_price=False, litellm=library).run())


@pytest.mark.parametrize(("service", "policy"), [(API, "always the API"), (GPU, "always the GPU")])
def test_a_router_that_knows_one_service_costs_what_that_service_does(
    service: str, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cell in (CELL, replace(CELL, idle_s=600)):
        requests = cell.arrivals.draw()
        demand = demand_of(cell, requests)
        expected = baselines(cell, demand, demand[-len(counted_requests(requests)) :])[policy].multiple
        assert multiple_of(cell, service, monkeypatch) == pytest.approx(expected, rel=0.02)
