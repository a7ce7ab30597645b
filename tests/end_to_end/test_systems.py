"""Does one whole turn on each system survive its cold start and the death of the worker, and is its bill the system's?

The product runs as it is deployed; each system is its front door of `standins.systems`, with the identity that the
system demands: keys and signatures of AWS, tokens of Google and Entra, secrets of the environment.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from standins.cluster.process_specs import SYSTEMS
from standins.paths import ROOT
from standins.systems.doors import DOORS
from standins.systems.identities import REGION, SECRET, Aws
from tests.contracts.backends.scene import PROMPTED, TEMPLATE, UNCOUNTED
from tests.end_to_end.books import books_of
from tests.end_to_end.callers import Caller, Json, Reading, asking, calling, counted
from tests.end_to_end.cold import UNBOUNDED
from tests.end_to_end.conftest import HASTY, SEED, Scene
from tests.standins.systems.serving import address_of

RATE = 40
WORDS = 60
KILLED_AFTER = 20
FOLLOWED_S = 90
SAMPLE = int(os.environ.get("TEST_SYSTEMS", "4"))
SECRETS = (
    "HF_TOKEN",
    "REPLICATE_API_TOKEN",
    "RUNPOD_API_KEY",
    "BEAM_TOKEN",
    "AZURE_ML_SERVERLESS_KEY",
    "MODAL_KEY",
    "MODAL_SECRET",
    "A_TOKEN",
)
OWN_AUTH = {
    "openai": 'auth = { kind = "static_bearer", setting = "A_TOKEN" }',
    "openai-responses": 'auth = { kind = "static_bearer", setting = "A_TOKEN" }',
}
INPUT_USD, CACHED_USD, WRITTEN_USD, OUTPUT_USD = Decimal(3), Decimal("0.3"), Decimal("3.75"), Decimal(15)
REQUEST_USD = Decimal("0.000002")
SECOND_USD = Decimal("0.001")
FUNCTION = "lambda-invoke"
"""Each call is billed by itself, by the milliseconds that the service reports."""
PRICED = {**dict.fromkeys(UNCOUNTED, "machines"), FUNCTION: "functions"}
PRICE = f"""
[prices.systems]
kind = "per_token"
input = "{INPUT_USD}"
cached_input = "{CACHED_USD}"
cache_write = "{WRITTEN_USD}"
request = "{REQUEST_USD}"
output = "{OUTPUT_USD}"
source = "made up"
date = 2026-11-29
region = "laptop"
[prices.functions]
kind = "per_second"
components.gb = {{ amount = "{SECOND_USD}", count = "10" }}
request = "{REQUEST_USD}"
granularity_ms = 1
source = "made up"
date = 2026-11-29
region = "laptop"
[prices.machines]
kind = "per_second"
components.machine = {{ amount = "{SECOND_USD}" }}
granularity_ms = 1
source = "made up"
date = 2026-11-29
region = "laptop"
"""
BACKEND = """
[backends.{name}]
model = "scripted"
system = "{system}"
url = "{url}"
served_model = "scripted"
price = "{price}"
{auth}
limits = {{ context_tokens = 32768, max_output_tokens = 1024, concurrency = 8, request_timeout_s = 60 }}
cold = {{ scales_to_zero = {sleeps}, p50_s = 1, p99_s = 6, warm_up_hold_s = 0.3, idle_s = 60 }}
speed = {{ prefill_tokens_s = 20000, decode_tokens_s = {rate} }}
"""


REPLICATE = BACKEND.format(
    name="of-replicate",
    system="replicate",
    price="systems",
    url="%GANGLION_SYSTEMS_URL%/systems/replicate/v1/models/owner/name",
    auth='probe = { path = "versions", up = [200] }',
    sleeps="false",
    rate=RATE,
)


def name_of(system: str) -> str:
    return f"of-{system.replace('.', '-')}"


def files(folder: Path) -> dict[str, str]:
    """Write a fleet with a backend of each system, and its prices, and return where they are."""
    fleet, prices = folder / "fleet.toml", folder / "prices.toml"
    prices.write_text((ROOT / "prices.toml").read_text(encoding="utf-8") + PRICE, encoding="utf-8")
    entries = [(ROOT / "fleet.toml").read_text(encoding="utf-8")]
    for system, door in DOORS.items():
        aws = f'auth = {{ region = "{REGION}" }}' if isinstance(door.identity, Aws) else ""
        entries.append(
            BACKEND.format(
                name=name_of(system),
                system=system,
                price=PRICED.get(system, "systems"),
                url=address_of("%GANGLION_SYSTEMS_URL%", system),
                auth=f"{OWN_AUTH.get(system, aws)}\n{TEMPLATE if system in PROMPTED else ''}",
                sleeps=json.dumps(not door.never_sleeps and system != FUNCTION),
                rate=RATE,
            )
        )
    entries.append(REPLICATE)
    fleet.write_text("\n".join(entries), encoding="utf-8")
    return {"GANGLION_FLEET": str(fleet), "GANGLION_PRICES": str(prices)}


def drawn() -> Iterator[object]:
    """Yield every system: four that are drawn by the seed are of each campaign, all of the long one."""
    names = sorted(set(DOORS) - {"tgi", "sagemaker-serverless", *UNCOUNTED})
    sample = set(Random(SEED).sample(names, min(SAMPLE, len(names))))  # noqa: S311 - a test's seed
    for name in names:
        yield pytest.param(name, marks=[] if name in sample else [pytest.mark.long])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    folder = tmp_path_factory.mktemp("systems")
    environment = {**HASTY, **UNBOUNDED, **files(folder), **dict.fromkeys(SECRETS, SECRET)}
    options = ClusterOptions(data=folder, rate=RATE, systems=True, environment=environment)
    with LocalCluster(options) as running:
        yield running


@pytest.fixture
async def scene(cluster: LocalCluster) -> AsyncIterator[Scene]:
    async with calling(cluster) as caller, books_of(cluster.data) as books:
        for system in DOORS:
            await books.forget_backend_state(name_of(system))
        yield Scene(cluster=cluster, caller=caller, books=books)


async def told(caller: Caller, system: str, instructions: str) -> tuple[Sequence[Json], Sequence[Json]]:
    """Return what a front door's books have of one turn, and the lives of its instance."""
    state = (await caller.http.get(f"{caller.cluster.model_url(SYSTEMS)}/admin/systems")).json()
    asked = [each for each in state["requests"] if each["system"] == system and each["instructions"] == instructions]
    return asked, state["lives"][system]


def price_of(asked: Sequence[Json], *, system: str) -> Decimal:
    """Return what the system bills for the calls that ended.

    Bedrock reads a quarter of the input from its cache, and writes an eighth to it.
    """
    if system == FUNCTION:
        done = [each["billed_ms"] for each in asked if each["outcome"] == "done"]
        return 10 * SECOND_USD * sum(done) / 1000 + REQUEST_USD * len(done)
    tokens = [(each["input_tokens"], each["output_tokens"]) for each in asked if each["outcome"] == "done"]
    prompts = [prompt for prompt, _ in tokens]
    cached, written = (
        sum(prompt // part for prompt in prompts) if system == "bedrock-converse" else 0 for part in (4, 8)
    )
    fresh, output = sum(prompts) - cached - written, sum(output for _, output in tokens)
    dollars = INPUT_USD * fresh + CACHED_USD * cached + WRITTEN_USD * written + OUTPUT_USD * output
    return dollars / 1_000_000 + REQUEST_USD * len(tokens)


@pytest.mark.campaign
@pytest.mark.parametrize("system", list(drawn()))
async def test_a_cold_turn_is_answered_whole_after_a_kill_and_a_warm_one_is_billed_exactly(
    scene: Scene, system: str
) -> None:
    cluster, caller, model = scene.cluster, scene.caller, f"scripted@{name_of(system)}"
    reading = Reading(body={**asking(f"COUNT {WORDS}", model), "stream": True})
    async with asyncio.timeout(FOLLOWED_S):
        await caller.follow_on(reading, until=KILLED_AFTER)
        await asyncio.to_thread(cluster.kill_worker)
        await caller.follow_on(reading)
    await scene.books.assert_exact(reading, counted(WORDS))
    await scene.books.settled(caller, reading.id)
    asked, lives = await told(caller, system, reading.body["instructions"])
    assert len(lives) == (0 if DOORS[system].never_sleeps else 1)
    assert [each["outcome"] for each in asked].count("done") == 1
    warm = await caller.follow(asking("COUNT 12", model))
    await scene.books.settled(caller, warm.id)
    asked, lives = await told(caller, system, warm.body["instructions"])
    bill = (await caller.report(warm.id))["bill"]
    assert len(lives) <= 1
    assert [each["outcome"] for each in asked] == ["done"]
    assert Decimal(bill["gpu_usd" if system == FUNCTION else "tokens_usd"]) == price_of(asked, system=system)


@pytest.mark.long
async def test_a_turn_on_a_server_that_counts_nothing_is_billed_by_its_time(scene: Scene) -> None:
    """Of the start it pays the whole; of the work what lies between its call and its end, as the front door saw it."""
    reading = await scene.caller.follow(asking("COUNT 12", f"scripted@{name_of('kserve-infer')}"))
    await scene.books.assert_exact(reading, counted(12))
    await scene.books.settled(scene.caller, reading.id)
    asked, lives = await told(scene.caller, "kserve-infer", reading.body["instructions"])
    bill = (await scene.caller.report(reading.id))["bill"]
    assert len(lives) == 1
    assert [each["outcome"] for each in asked] == ["asleep", "done"] or [each["outcome"] for each in asked] == ["done"]
    assert Decimal(bill["tokens_usd"]) == 0
    assert Decimal(bill["gpu_usd"]) > 0


@pytest.mark.campaign
async def test_a_killed_worker_finds_its_prediction_and_creates_no_second_one(scene: Scene) -> None:
    reading = Reading(body={**asking(f"COUNT {WORDS}", "scripted@of-replicate"), "stream": True})
    async with asyncio.timeout(FOLLOWED_S):
        await scene.caller.follow_on(reading, until=KILLED_AFTER)
        await asyncio.to_thread(scene.cluster.kill_worker)
        await scene.caller.follow_on(reading)
    await scene.books.assert_exact(reading, counted(WORDS))
    await scene.books.settled(scene.caller, reading.id)
    listing = await scene.caller.http.get(f"{scene.cluster.model_url(SYSTEMS)}/admin/predictions")
    given = reading.body["instructions"]
    found = [each for each in listing.json()["predictions"] if each["input"]["system_prompt"] == given]
    assert [each["status"] for each in found] == ["succeeded"]
