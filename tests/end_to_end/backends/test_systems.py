"""Does each system survive its cold start and the death of the worker, and is the product's bill the system's own?

The product runs as it is deployed; each system is its stand-in of `standins.systems`, with the identity that the
system demands: keys and signatures of AWS, tokens of Google and Entra, secrets of the environment. Three turns wait for
one start: one is read as a stream, two are asked in the background by OpenAI's own SDK.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from decimal import Decimal
from random import Random

import pytest
from openai import AsyncOpenAI

from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from standins.cluster.process_specs import SYSTEMS
from standins.systems.doors import DOORS
from standins.systems.identities import SECRET
from tests.contracts.backends.scene import UNCOUNTED
from tests.end_to_end.backends import systems_table
from tests.end_to_end.backends.systems_fleet import FUNCTION, RATE, REPLICATE, SECRETS, files, name_of, price_of
from tests.end_to_end.books import books_of
from tests.end_to_end.callers import Caller, Json, Reading, asking, calling, counted
from tests.end_to_end.cold import UNBOUNDED
from tests.end_to_end.conftest import HASTY, SEED, Scene
from tests.end_to_end.waiting import eventually

NAMES = sorted({*DOORS, REPLICATE})
WHOLE = ("azure-ml-score", "kserve-infer", "sagemaker-serverless")
"""They answer as a whole: the worker dies while the stand-in writes."""
WORDS = 60
KILLED_AFTER = 20
FOLLOWED_S = 120
LOOK_S = 0.05
CENT = Decimal("0.01")
SAMPLE = int(os.environ.get("TEST_SYSTEMS", "4"))
ROWS: dict[str, systems_table.Row] = {}


def drawn() -> Iterator[object]:
    """Yield every system: four that are drawn by the seed are of each campaign, all of the long one."""
    sample = set(Random(SEED).sample(NAMES, min(SAMPLE, len(NAMES))))  # noqa: S311 - a test's seed
    for name in NAMES:
        yield pytest.param(name, marks=[] if name in sample else [pytest.mark.long])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    folder = tmp_path_factory.mktemp("systems")
    environment = {**HASTY, **UNBOUNDED, **files(folder), **dict.fromkeys(SECRETS, SECRET)}
    options = ClusterOptions(data=folder, rate=RATE, systems=True, environment=environment)
    with LocalCluster(options) as running:
        yield running
    if set(ROWS) == set(NAMES):
        systems_table.write([*ROWS.values()])


@pytest.fixture
async def scene(cluster: LocalCluster) -> AsyncIterator[Scene]:
    async with calling(cluster) as caller, books_of(cluster.data) as books:
        for system in NAMES:
            await books.forget_backend_state(name_of(system))
        yield Scene(cluster=cluster, caller=caller, books=books)


async def seen(caller: Caller, system: str) -> tuple[Sequence[Json], Sequence[Json]]:
    """Return what a stand-in's books have, and the lives of its instance."""
    front = caller.cluster.model_url(SYSTEMS)
    if system == REPLICATE:
        found = (await caller.http.get(f"{front}/admin/predictions")).json()["predictions"]
        return [as_asked(each) for each in found], ()
    state = (await caller.http.get(f"{front}/admin/systems")).json()
    return [each for each in state["requests"] if each["system"] == system], state["lives"][system]


def as_asked(prediction: Json) -> Json:
    """Return a prediction as the other stand-ins' books have their requests."""
    counts = {name: prediction["metrics"].get(f"{name[:-1]}_count", 0) for name in ("input_tokens", "output_tokens")}
    outcome = "done" if prediction["status"] == "succeeded" else prediction["status"]
    return {"instructions": prediction["input"].get("system_prompt", ""), "outcome": outcome, **counts}


async def of_turn(caller: Caller, system: str, body: Json) -> Sequence[Json]:
    return [each for each in (await seen(caller, system))[0] if each.get("instructions") == body["instructions"]]


async def read_until_the_stand_in_writes(scene: Scene, reading: Reading, system: str) -> None:
    """Read a stream until text has come or, of an answer that comes as a whole, until it is being written."""
    if system not in WHOLE:
        await scene.caller.follow_on(reading, until=KILLED_AFTER)
        return
    await scene.caller.follow_on(reading, until=1)

    async def writes() -> bool | None:
        return bool(await of_turn(scene.caller, system, reading.body)) or None

    await eventually(writes, what=f"a call of {system}")


async def background(sdk: AsyncOpenAI, model: str) -> str:
    """Ask in the background, as the SDK does, and return the text once it is there."""
    found = await sdk.responses.create(model=model, input="COUNT 3", background=True)
    while found.status in ("queued", "in_progress"):
        await asyncio.sleep(LOOK_S)
        found = await sdk.responses.retrieve(found.id)
    return found.output_text


async def timers_of(caller: Caller, response_id: str) -> int:
    """Return how many durable timers a turn has waited for."""
    path = f"/runtime/webhooks/durabletask/instances/{response_id}"
    history = (await caller.http.get(path, params={"showHistory": "true"})).json()["historyEvents"]
    return [event["EventType"] for event in history].count("TimerFired")


@pytest.mark.campaign
@pytest.mark.parametrize("system", list(drawn()))
async def test_cold_turns_are_answered_after_one_start_and_a_kill_and_a_warm_one_is_billed_exactly(
    scene: Scene, system: str
) -> None:
    caller, model = scene.caller, f"scripted@{name_of(system)}"
    reading = Reading(body={**asking(f"COUNT {WORDS}", model), "stream": True})
    async with asyncio.timeout(FOLLOWED_S), caller.sdk(max_retries=20) as sdk:
        others = [asyncio.create_task(background(sdk, model)) for _ in range(2)]
        await read_until_the_stand_in_writes(scene, reading, system)
        await asyncio.to_thread(scene.cluster.kill_worker)
        await caller.follow_on(reading)
        assert [await other for other in others] == [counted(3), counted(3)]
    await scene.books.assert_exact(reading, counted(WORDS))
    await scene.books.settled(caller, reading.id)
    asked, lives = await seen(caller, system)
    sleeps = system in DOORS and not DOORS[system].never_sleeps
    assert len(lives) == (1 if sleeps else 0)
    mine = [each["outcome"] for each in await of_turn(caller, system, reading.body)]
    assert mine.count("done") >= 1
    assert system != REPLICATE or mine == ["done"]
    timers = await timers_of(caller, reading.id)
    body = asking("COUNT 12", model)
    async with caller.sdk(max_retries=20) as sdk:
        warm = await sdk.responses.create(model=model, input=body["input"], instructions=body["instructions"])
    assert warm.output_text == counted(12)
    await scene.books.settled(caller, warm.id)
    (billed,) = await of_turn(caller, system, body)
    bill = (await caller.report(warm.id))["bill"]
    assert (billed["outcome"], len((await seen(caller, system))[1])) == ("done", len(lives))
    is_timed = system in UNCOUNTED or system == FUNCTION
    paid, books = Decimal(bill["gpu_usd" if is_timed else "tokens_usd"]), price_of(billed, system)
    assert 0 <= paid - books < (CENT if system in UNCOUNTED else Decimal("1e-12"))
    refused = sorted({each["status"] for each in asked if each.get("outcome") == "asleep"})
    ROWS[system] = systems_table.Row(
        system=f"`{system}`",
        asleep=", ".join(map(str, refused)) or ("held" if sleeps else "never"),
        starts="1 for 3 turns" if sleeps else "none",
        waits=str(timers),
        killed="text whole" if system != REPLICATE else "text whole, 1 prediction",
        used=used(billed, system),
        bill=f"{paid:.9f}",
        books=f"{books:.9f}",
    )


def used(billed: Json, system: str) -> str:
    if system == FUNCTION:
        return f"{billed['billed_ms']} ms"
    if system in UNCOUNTED:
        return f"{billed['busy_s']:.3f} s"
    return f"{billed['input_tokens']} + {billed['output_tokens']} tokens"
