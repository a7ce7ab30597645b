"""Which arrivals, prices and machines are measured? Each cell is one fleet under one stream of requests."""

from collections.abc import Mapping
from copy import replace
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from benches.routing.arrivals import Arrivals
from domain.config.fleet_toml import fleet_from_toml
from domain.config.prices_toml import prices_from_toml
from domain.config.systems_toml import systems_from_toml
from domain.fleet.catalog import Backend, Fleet, Speed
from domain.fleet.instances.scaling import InstanceControl, Scaling
from domain.money.prices import Price, PriceComponent, PriceKind, TimePrice, TokenPrice
from settings import ROOT

API, GPU, BOX = "api", "gpu", "box"
MODEL = "model"
SPEED = Speed(prefill_tokens_s=4000, decode_tokens_s=60)
"""Tokens a second of both services: an 8B model on an L4 (43 to 79) and a small hosted model are about as fast."""

SLOWEST_START = 2.0
"""The configured 99th percentile of a start, as a multiple of its median."""

GPT_4O = "azure-openai-gpt-4o"
MINI = "azure-openai-gpt-4.1-mini"
SMALLEST = "azure-openai-gpt-4o-mini"

COUNTED_IDLE_S = 0.25
"""With which idle period the fleet file lets the product begin where it ends the GPU."""

CONTEXT_TOKENS = 131_072
MOST_ANSWER_TOKENS = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One measurement. Times are seconds; `api` names a price, `room` counts requests at once on the GPU.

    A start takes `start_s` in the median and is drawn log-normal with `spread`; the fleet file says `configured` times
    the median. Every turn may take `deadline_s`. An hour of the GPU costs `gpu_hour_usd`, or what the shipped L4 costs.
    It writes `gpu_tokens_s`. There are `gpus` of the kind, `more_apis`, and an owned box where `box_room` is set. A GPU
    that is `counted` has no idle period of its own: the product ends it, after `counted_idle_s` at first. Its service
    runs up to `instances` of it. With `kv_tokens` it has so much KV memory and writes more
    slowly under load; the fleet file `knows_memory` or not.
    """

    name: str
    arrivals: Arrivals
    api: str = GPT_4O
    start_s: float = 60.0
    spread: float = 0.25
    idle_s: float = 600.0
    room: int = 64
    configured: float = 1.0
    deadline_s: float = 1800.0
    gpu_hour_usd: float | None = None
    gpu_tokens_s: float = 60.0
    gpus: int = 1
    more_apis: tuple[str, ...] = ()
    box_room: int = 0
    counted: bool = False
    counted_idle_s: float = COUNTED_IDLE_S
    instances: int = 1
    kv_tokens: int = 0
    knows_memory: bool = False

    @property
    def token_price(self) -> TokenPrice:
        return api_price(self.api)

    @property
    def time_price(self) -> TimePrice:
        price = shipped_fleet().backends["cloud-run-l4"].price
        assert isinstance(price, TimePrice), price
        if self.gpu_hour_usd is not None:
            hour = PriceComponent(name="gpu", amount=Decimal(str(self.gpu_hour_usd)), count=Decimal(1))
            price = replace(price, components=(hour,), per_s=3600)
        return replace(price, idle_s=self.idle_s)

    @property
    def second_usd(self) -> float:
        return float(self.time_price.amount) / self.time_price.per_s

    @property
    def gpu_speed(self) -> Speed:
        return replace(SPEED, decode_tokens_s=self.gpu_tokens_s)

    def gpu(self, name: str = GPU) -> Backend:
        """Return the shipped L4 with the start, idle period and room of this cell."""
        shipped = shipped_fleet().backends["cloud-run-l4"]
        start_s = self.start_s * self.configured
        cold = replace(shipped.cold_start, p50_s=start_s, p99_s=SLOWEST_START * start_s, idle_s=self.idle_s)
        gpu = replace(sized(shipped, self.room), name=name, speed=self.gpu_speed)
        if self.knows_memory:
            gpu = replace(gpu, limits=replace(gpu.limits, kv_tokens=self.kv_tokens))
        gpu = replace(gpu, price=self.time_price, cold_start=cold, max_instances=self.instances)
        return counted_gpu(gpu, self.counted_idle_s) if self.counted else gpu

    def hosted(self, name: str = API, price: Price | None = None) -> Backend:
        api = sized(shipped_fleet().backends["azure-openai"], 1000)
        return replace(api, name=name, price=price or self.token_price)

    def box(self) -> Backend:
        """Return a machine that is always on and paid anyway."""
        owned = replace(self.time_price, name="owned", kind=PriceKind.OWNED, idle_s=0.0, bills_cold=False)
        return replace(self.hosted(BOX, owned), limits=sized(self.hosted(), self.box_room).limits)


def counted_gpu(gpu: Backend, idle_s: float = COUNTED_IDLE_S) -> Backend:
    """Return the GPU as one whose instances the product counts, which begins with this idle period."""
    cold = replace(gpu.cold_start, idle_s=idle_s)
    service = "projects/p/locations/europe-west4/services/llm"
    control = InstanceControl(service=service, maximum=gpu.max_instances)
    return replace(gpu, cold_start=cold, scaling=Scaling.COUNT, instances=control)


def sized(backend: Backend, room: int) -> Backend:
    limits = replace(
        backend.limits,
        context_tokens=CONTEXT_TOKENS,
        max_output_tokens=MOST_ANSWER_TOKENS,
        concurrency=room,
        kv_tokens=None,
    )
    return replace(backend, model=MODEL, speed=SPEED, limits=limits)


def api_price(name: str) -> TokenPrice:
    price = shipped_prices()[name]
    assert isinstance(price, TokenPrice), name
    return price


@cache
def shipped_prices() -> Mapping[str, Price]:
    return prices_from_toml((ROOT / "prices.toml").read_text(encoding="utf-8"))


@cache
def shipped_fleet() -> Fleet:
    variables = {"GANGLION_CLOUD_RUN_L4_URL": "https://gpu.example", "GANGLION_AZURE_OPENAI_URL": "https://api.example"}
    systems = systems_from_toml((ROOT / "systems.toml").read_text(encoding="utf-8"))
    text = (ROOT / "fleet.toml").read_text(encoding="utf-8")
    return fleet_from_toml(text, variables, shipped_prices(), systems)


def real(client: str, requests: int, *, day: float, days: float, seed: int = 1) -> Arrivals:
    return Arrivals(source=client, requests=requests, seed=seed, first_day=day, length_days=days)


def drawn(pattern: str, requests: int, per_hour: float, seed: int = 1) -> Arrivals:
    return Arrivals(source=pattern, requests=requests, seed=seed, per_hour=per_hour)
