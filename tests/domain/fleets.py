"""Which small fleets do the tests of the decisions work with?"""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from domain.config.prices_toml import prices_from_toml
from domain.config.systems_toml import systems_from_toml
from domain.content.capabilities import Capability
from domain.fleet.catalog import Backend, BackendLimits, ColdStart, ContinuationMode, Fleet, Model, Speed
from domain.money.prices import Price, PriceComponent, PriceKind, PriceSource, TimePrice, TokenPrice
from domain.routing.estimates import AttemptLimits

ORIGIN = PriceSource(source="a test", date="2026-11-22", region="nowhere")

API = TokenPrice(name="api", origin=ORIGIN, input=Decimal("0.40"), cached_input=Decimal("0.10"), output=Decimal("1.60"))

GPU = TimePrice(
    name="gpu",
    origin=ORIGIN,
    kind=PriceKind.PER_SECOND,
    components=(
        PriceComponent(name="gpu", amount=Decimal("0.0001867"), count=Decimal(1)),
        PriceComponent(name="vcpu", amount=Decimal("0.000018"), count=Decimal(8)),
        PriceComponent(name="gib", amount=Decimal("0.000002"), count=Decimal(32)),
    ),
    per_s=1,
    granularity_ms=100,
    idle_s=600,
)

PRICES: Mapping[str, Price] = {"api": API, "gpu": GPU}

SMALL = Model(
    name="small",
    context_tokens=8192,
    tier=1,
    capabilities=frozenset({Capability.JSON_SCHEMA}),
    weights_gb=5.5,
    layers=32,
    kv_heads=8,
    head_dim=128,
)
LARGE = Model(name="large", context_tokens=131072, tier=3, capabilities=frozenset(Capability))


def limits(
    *,
    context_tokens: int = 8192,
    max_output_tokens: int = 4096,
    concurrency: int = 4,
    request_timeout_s: float = 600,
    request_bytes: int | None = None,
    gpu_memory_gb: float | None = None,
) -> BackendLimits:
    return BackendLimits(
        context_tokens=context_tokens,
        max_output_tokens=max_output_tokens,
        concurrency=concurrency,
        request_timeout_s=request_timeout_s,
        request_bytes=request_bytes,
        gpu_memory_gb=gpu_memory_gb,
    )


def backend(
    name: str,
    *,
    model: str = "small",
    price: str = "gpu",
    bounds: BackendLimits | None = None,
    cold: ColdStart | None = None,
    continues: ContinuationMode = ContinuationMode.ASSISTANT_PREFILL,
    residency: str | None = None,
    decode_tokens_s: float = 50,
) -> Backend:
    return Backend(
        name=name,
        model=model,
        system="vllm",
        url=f"https://{name}.example/v1",
        served_model=model,
        price=PRICES[price],
        limits=bounds or limits(),
        speed=Speed(prefill_tokens_s=1000, decode_tokens_s=decode_tokens_s),
        cold_start=cold or ColdStart(),
        continues=continues,
        residency=residency,
    )


ATTEMPT_LIMITS = AttemptLimits(hold_s=10, handover_s=480)

SERVERLESS = ColdStart(scales_to_zero=True, p50_s=60, p99_s=120, idle_s=600)


def fleet(*backends: Backend) -> Fleet:
    return Fleet(models={"small": SMALL, "large": LARGE}, backends={each.name: each for each in backends})


ROOT = Path(__file__).parents[2]

LAPTOP = {
    "GANGLION_LAPTOP_SMALL_URL": "http://127.0.0.1:8001/v1",
    "GANGLION_LAPTOP_LARGE_URL": "http://127.0.0.1:8002/v1",
}

CLOUDS = {
    "GANGLION_SCRIPTED_URL": "http://127.0.0.1:8003/v1",
    "GANGLION_SCRIPTED_AFRESH_URL": "http://127.0.0.1:8004/v1",
    "GANGLION_LAPTOP_GPU_URL": "http://127.0.0.1:8005/v1",
    "GANGLION_SCRIPTED_GPU_URL": "http://127.0.0.1:8006/v1",
    "GANGLION_CLOUD_RUN_L4_URL": "https://llama-abc-uc.a.run.app/v1",
    "GANGLION_AZURE_OPENAI_URL": "https://contoso.openai.azure.com/openai/v1",
}


def shipped_text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


SHIPPED_PRICES = prices_from_toml(shipped_text("prices.toml"))
SHIPPED_SYSTEMS = systems_from_toml(shipped_text("systems.toml"))
