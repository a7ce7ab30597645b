"""Is an answer without a limit of the caller written to its end, whatever an attempt reserves at first?"""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.end_to_end.callers import AFRESH, PINNED, counted
from tests.end_to_end.conftest import Scene, hasty
from tests.end_to_end.kills.crashing_clusters import CrashingCluster, crashing_cluster
from tests.end_to_end.kills.test_crashes import survived

CAP = 20
LENGTH = 3 * CAP


@pytest.fixture(scope="module")
def crashing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrashingCluster]:
    options = hasty(tmp_path_factory.mktemp("capped"), GANGLION_DEFAULT_OUTPUT_TOKENS=str(CAP))
    with crashing_cluster(tmp_path_factory.mktemp("app"), options) as one:
        yield one


@pytest.fixture
async def scene(crashing_scene: Scene) -> Scene:
    await crashing_scene.books.forget_answer_lengths()
    return crashing_scene


async def test_the_sdk_streams_three_times_the_first_reservation_as_one_text(scene: Scene) -> None:
    async with scene.caller.sdk(max_retries=0) as sdk:
        async with sdk.responses.stream(model=PINNED, input=f"COUNT {LENGTH}") as stream:
            events = [event async for event in stream]
            response = await stream.get_final_response()
        stored = await sdk.responses.retrieve(response.id)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events].count("response.output_item.added") == 1
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == counted(LENGTH)
    assert (response.status, response.output_text, response.max_output_tokens) == ("completed", counted(LENGTH), None)
    assert stored.output_text == counted(LENGTH)
    assert stored.usage
    assert stored.usage.output_tokens == LENGTH
    report = await scene.caller.report(response.id)
    assert [(each["result"], each["output_tokens"]) for each in report["attempts"]] == [
        ("handover", CAP),
        ("handover", CAP),
        ("done", CAP),
    ]
    costs = [Decimal(each["cost_usd"]) for each in report["attempts"]]
    bill = report["bill"]
    assert sum(costs) == sum(Decimal(bill[line]) for line in ("tokens_usd", "gpu_usd") if line in bill)
    assert [each["backend"] for each in report["routes"]] == ["scripted"] * 3


async def test_a_chat_without_a_limit_is_whole_too(scene: Scene) -> None:
    async with scene.caller.sdk(max_retries=0) as sdk:
        chat = await sdk.chat.completions.create(
            model=PINNED, messages=[{"role": "user", "content": f"COUNT {LENGTH + 1}"}]
        )
    assert (chat.choices[0].message.content, chat.choices[0].finish_reason) == (counted(LENGTH + 1), "stop")


async def test_a_backend_that_cannot_continue_ends_incomplete(scene: Scene) -> None:
    async with scene.caller.sdk(max_retries=0) as sdk:
        response = await sdk.responses.create(model=AFRESH, input=f"COUNT {LENGTH + 2}")
    assert response.status == "incomplete"
    assert response.incomplete_details
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.output_text == counted(CAP)


@pytest.mark.parametrize(
    ("step", "when"),
    [
        ("create outcome", "before"),
        ("create outcome", "after"),
        pytest.param("replace attempt", "before", marks=pytest.mark.campaign),
        pytest.param("replace attempt", "after", marks=pytest.mark.campaign),
        pytest.param("create route", "after", marks=pytest.mark.campaign),
    ],
)
async def test_a_worker_that_dies_at_the_cap_loses_and_repeats_nothing(
    scene: Scene, crashing: CrashingCluster, step: str, when: str
) -> None:
    await survived(scene, crashing, (step, when), LENGTH + 3)
