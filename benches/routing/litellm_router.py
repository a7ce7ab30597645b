"""What does the router of LiteLLM cost on the cells? It runs offline, and its figures are recorded.

LiteLLM is no dependency of the project. `python -m venv V`, `V/bin/pip install litellm msgspec`, then
`V/bin/python -m benches.routing.litellm_router` in the root of the project adds each final cell that is not in
`benches/data/routing-litellm.json` yet; where that is of another version of LiteLLM, all of them.
Its own router picks the deployment of each request and hears how the request fared; the services and their bills are
those of the benchmark, in virtual time.
"""

import asyncio
import json
import logging
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from random import Random
from typing import Any, Final

from benches.routing.arrivals import DATA, TrafficRequest
from benches.routing.cells import API, GPU, MODEL, SPEED, Cell
from benches.routing.demand import counted_requests, demand_of, terms_of
from benches.routing.measured_cells import FINAL, fortnights
from benches.routing.optimum import optimum
from benches.routing.services import GpuService, token_dollars
from tests.fakes.clocks import START, in_no_time

RECORDED: Final = DATA / "routing-litellm.json"

FULL: Final = 8
"""The operator's price of a token of the GPU: what it costs with so many answers at once."""

STRATEGIES: Mapping[str, tuple[str, bool]] = {
    "shuffle": ("simple-shuffle", True),
    "least busy": ("least-busy", True),
    "latency": ("latency-based-routing", True),
    "cost, GPU priced by the token": ("cost-based-routing", True),
    "cost, GPU without a price": ("cost-based-routing", False),
}


@dataclass(slots=True, kw_only=True)
class LiteLlmRun:
    """One run of a cell under one strategy."""

    cell: Cell
    strategy: str
    has_gpu_price: bool
    litellm: Any
    gpu: GpuService = field(init=False)
    bills: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])

    def __post_init__(self) -> None:
        draws = Random(f"starts {self.cell.name}")  # noqa: S311 - draws start times
        self.gpu = GpuService(
            requests={},
            speed=SPEED,
            start_s=lambda: self.cell.start_s * draws.lognormvariate(0, self.cell.spread),
            average_s=100 * self.cell.start_s,
            concurrency=self.cell.room,
            idle_s=self.cell.idle_s,
            is_counted=False,
        )

    async def run(self) -> float:
        """Return the multiple of the optimum that the counted requests cost."""
        requests = self.cell.arrivals.draw()
        loop = asyncio.get_running_loop()
        setattr(time, "time", lambda: START + loop.time())  # noqa: B010 - its caches expire in virtual time
        self.litellm.callbacks, self.litellm.input_callback = [], []
        router = self.litellm.Router(model_list=self.deployments(), routing_strategy=self.strategy)
        await asyncio.gather(*(self.turn(router, number, each) for number, each in enumerate(requests)))
        await asyncio.sleep(2 * self.cell.idle_s)
        counted = counted_requests(requests)
        since = counted[0].at
        idle_since = self.gpu.idle_since(since)
        paid_s = 0.0 if idle_since is None else idle_since + self.cell.idle_s - since
        gpu_usd = (self.gpu.seconds_after(since) - paid_s) * self.cell.second_usd
        api_usd = sum(dollars for at, dollars in self.bills if at >= since)
        least = optimum(demand_of(self.cell, counted), terms_of(self.cell), idle_since=idle_since)
        return (gpu_usd + api_usd) / least

    def deployments(self) -> Sequence[Mapping[str, Any]]:
        price, per_token = self.cell.token_price, self.cell.second_usd / (SPEED.decode_tokens_s * FULL)
        api = {"input_cost_per_token": float(price.input) / 1e6, "output_cost_per_token": float(price.output) / 1e6}
        gpu = {"input_cost_per_token": per_token, "output_cost_per_token": per_token} if self.has_gpu_price else {}
        return [
            {
                "model_name": MODEL,
                "litellm_params": {"model": f"openai/{name}", "api_key": "none", "api_base": f"http://{name}", **costs},
                "model_info": {"id": name},
            }
            for name, costs in ((API, api), (GPU, gpu))
        ]

    async def turn(self, router: Any, number: int, request: TrafficRequest) -> None:
        await asyncio.sleep(request.at)
        kwargs: dict[str, Any] = {"metadata": {"model_group": MODEL}, "litellm_call_id": f"call-{number}"}
        messages = [{"role": "user", "content": "hello"}]
        deployment = await router.async_get_available_deployment(model=MODEL, messages=messages, request_kwargs=kwargs)
        name = deployment["model_info"]["id"]
        call = {"litellm_params": {"metadata": {"model_group": MODEL}, "model_info": {"id": name}}, **kwargs}
        for each in self.litellm.input_callback:
            each.log_pre_api_call(model=MODEL, messages=messages, kwargs=call)
        began = asyncio.get_running_loop().time()
        await self.serve(name, request)
        ended = asyncio.get_running_loop().time()
        answer = self.litellm.ModelResponse(
            usage=self.litellm.Usage(
                prompt_tokens=request.input_tokens,
                completion_tokens=request.output_tokens,
                total_tokens=request.input_tokens + request.output_tokens,
            )
        )
        for each in self.litellm.callbacks:
            await each.async_log_success_event(call, answer, moment(began), moment(ended))

    async def serve(self, name: str, request: TrafficRequest) -> None:
        work_s = request.input_tokens / SPEED.prefill_tokens_s + request.output_tokens / SPEED.decode_tokens_s
        if name == API:
            self.bills.append((asyncio.get_running_loop().time(), token_dollars(self.cell.token_price, request)))
            await asyncio.sleep(work_s)
            return
        async with self.gpu.request():
            began = self.gpu.now
            await asyncio.sleep(work_s)
            self.gpu.work.append((began, self.gpu.now))


def moment(at: float) -> datetime:
    return datetime.fromtimestamp(START + at, tz=UTC)


def recorded_of(litellm: str) -> dict[str, Any]:
    """Return what is recorded of a version of LiteLLM."""
    known: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.exists() else {}
    return known if known.get("litellm") == litellm else {"litellm": litellm, "cells": {}}


def main() -> None:
    """Run every strategy on each final cell that is not recorded, and write their multiples of the optimum."""
    logging.disable(logging.CRITICAL)
    litellm = import_module("litellm")
    found = recorded_of(version("litellm"))
    for cell in (*FINAL, *fortnights()):
        if cell.name in found["cells"]:
            continue
        multiples: dict[str, float] = {}
        for name, (strategy, has_gpu_price) in STRATEGIES.items():
            random.seed(1)
            run = LiteLlmRun(cell=cell, strategy=strategy, has_gpu_price=has_gpu_price, litellm=litellm)
            multiples[name] = round(in_no_time(run.run()), 4)
        found["cells"][cell.name] = multiples
        print(cell.name, multiples, flush=True)
        RECORDED.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
