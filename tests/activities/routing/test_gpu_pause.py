"""Is a GPU unpaid while a long call of its only turn runs, and up again when the call ends?"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from copy import replace
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any, cast, override

import pytest

from activities.tools import turn_watch
from api.rendering.gpu_pauses import pause_report
from clients.backends.port import AnswerEnd, BackendCall, TextPiece
from clients.tools.port import ToolAnswer, ToolRequest
from domain.content.capabilities import Capability
from domain.content.items import ItemKind
from domain.content.tools import FunctionCall, ToolConfig
from domain.fleet.instances.scaling import Scaling
from domain.log.events import ResponseStatus, TokenUsage
from domain.log.transcript import Transcript
from domain.tools.listings.listing import offered_function
from domain.tools.rounds import DEADLINE
from tests.activities.cold_starts import Cluster
from tests.activities.gpus.counted_scenes import Scene, counted
from tests.activities.routing.test_further_instances import several
from tests.domain.fleets import GPU
from tests.fakes.clocks import in_no_time
from tests.fakes.machines.counted_gpus import CountedGpu
from tests.fakes.machines.gpu_pools import GpuPool
from tests.fakes.machines.gpus import LoopClock
from tests.fakes.tools import FILE, FakeTools, says, shop
from tests.fakes.worlds import OWNER, World

TOOL_S = 1200.0
SHOP = shop(FILE.replace('effect = "read"', 'effect = "read"\ntimeout_s = 3000'))
OFFER = ToolConfig(functions=(offered_function(SHOP.known["shop"], SHOP.known["shop"].tools["find_order"]),))
OTHER_THREAD = "b" * 24
POOL = several(2)


class SlowTool(FakeTools):
    """Takes twenty minutes."""

    @override
    async def call(self, request: ToolRequest) -> ToolAnswer:
        await asyncio.sleep(TOOL_S)
        return says(f"done {request.key}")


@dataclass(slots=True, kw_only=True, eq=False)
class CallingGpu(CountedGpu):
    """Calls the tool in its first round, and answers in its second one."""

    @override
    async def speak(self, call: BackendCall) -> AsyncIterator[TextPiece | AnswerEnd]:
        usage = TokenUsage(input_tokens=300, output_tokens=4)
        await asyncio.sleep(1.0)
        if call.items[-1].text == "look it up":
            wanted = FunctionCall(name="shop__find_order", arguments=json.dumps({"number": "A-1"}), call_id="call_1")
            yield AnswerEnd(reason="stop", usage=usage, calls=(wanted,))
            return
        yield TextPiece(text="done")
        yield AnswerEnd(reason="stop", usage=usage)


class ToolCluster(Cluster):
    @override
    def new_process(self) -> World[LoopClock]:
        world = World(
            store=self.store,
            clock=self.clock,
            backends=self.backends,
            instance_counter=self.instance_counter,
            tool_servers=SHOP,
            tools=SlowTool(),
            capabilities=frozenset({Capability.TOOLS}),
        )
        world.steps = {name: self.timed(name, step) for name, step in world.steps.items()}
        return world


@dataclass(slots=True, kw_only=True)
class ToolScene(Scene):
    logs: list[Transcript] = field(default_factory=list[Transcript])
    pauses: list[Any] = field(default_factory=list[Any])
    """What the report of the first turn says of its pauses, once the story has ended."""

    @override
    def __post_init__(self) -> None:
        self.cluster = ToolCluster(backends={"gpu": (self.backend, self.gpu)}, instance_counter=self.gpu)

    async def learn(self, seconds: float = TOOL_S) -> None:
        durations = self.cluster.world.app.state.tool_durations
        for _ in range(3):
            durations.note("shop", "find_order", seconds)
        await durations.write()

    async def begin(self, deadline_s: float = 7200) -> asyncio.Task[None]:
        """Begin a turn, and return when its call has begun."""
        response = await self.cluster.world.admit("look it up", tools=OFFER, deadline_s=deadline_s)
        self.responses.append(response)
        return asyncio.create_task(self.cluster.respond(response))


def counted_gpu() -> ToolScene:
    return ToolScene(gpu=CallingGpu(start_s=lambda: 20.0))


def told(story: Callable[[ToolScene], Any], scene: Callable[[], ToolScene] = counted_gpu) -> ToolScene:
    new_scene = scene

    async def run() -> ToolScene:
        scene = new_scene()
        scene.start_timers()
        await story(scene)
        await scene.end()
        scene.logs = [await scene.cluster.world.log(response) for response in scene.responses]
        for log in scene.logs:
            assert log.status is ResponseStatus.COMPLETED, log.ending
        await scene.assert_paid()
        scene.pauses = await pauses_of(scene)
        return scene

    return in_no_time(run())


async def one_turn(scene: ToolScene) -> None:
    await (await scene.begin())


async def learned_turn(scene: ToolScene) -> None:
    await scene.learn()
    await one_turn(scene)


async def short_turn(scene: ToolScene) -> None:
    """Run a turn whose call may be short, as earlier ones were."""
    await scene.learn(60.0)
    await one_turn(scene)


@cache
def ended(story: Callable[[ToolScene], Any]) -> ToolScene:
    """Tell a story once for all the tests that ask what it left behind."""
    return told(story)


@pytest.fixture(autouse=True)
def rare_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for a cancel every minute: nobody cancels these turns, and looks were half of what the tests cost."""
    monkeypatch.setattr(turn_watch, "POLL_S", 60.0)


def test_a_long_call_ends_the_gpu_at_once_and_it_is_up_again_when_the_call_ends() -> None:
    scene = ended(learned_turn)
    assert [count for _, count in scene.gpu.calls] == [1, 0, 1, 0]
    first, second = scene.gpu.lives
    assert first.ended == pytest.approx(21.0, abs=2.0)
    call_end = 21.0 + TOOL_S
    assert second.started == pytest.approx(call_end - 20.0, abs=2.0)
    infer = [span for span in scene.cluster.spans if span.name == "infer"][-1]
    assert infer.started == pytest.approx(call_end, abs=3.0)


def test_it_is_cheaper_than_the_idle_period_and_saves_the_wait() -> None:
    unknown, known = ended(one_turn), ended(learned_turn)
    assert known.bill < unknown.bill
    ends = [max(span.ended for span in each.cluster.spans if span.name == "infer") for each in (known, unknown)]
    assert ends[0] + 15 < ends[1]


def test_the_duration_is_learned_from_calls() -> None:
    async def story(scene: ToolScene) -> None:
        for _ in range(4):
            await one_turn(scene)

    scene = told(story)
    lengths = [(life.ended or 0.0) - life.started for life in scene.gpu.lives]
    assert lengths[0] > 100
    assert min(lengths) < 30


def test_another_conversation_prevents_it() -> None:
    async def story(scene: ToolScene) -> None:
        await scene.learn()
        other = await scene.cluster.world.admit("hello", thread=OTHER_THREAD)
        scene.responses.append(other)
        await scene.cluster.respond(other)
        await one_turn(scene)

    scene = told(story)
    first = scene.gpu.lives[0]
    assert (first.ended or 0.0) - first.started > 100


class CallingPool(GpuPool):
    """Calls the tool where it is asked to, and talks in all other turns."""

    @override
    async def speak(self, call: BackendCall) -> AsyncIterator[TextPiece | AnswerEnd]:
        calls = any(item.text == "look it up" for item in call.items)
        async for each in CallingGpu.speak(cast("CallingGpu", self), call) if calls else super().speak(call):
            yield each


@pytest.mark.slow
def test_one_of_several_instances_is_left_to_its_idle_period_and_all_are_paid() -> None:
    """The turns of a burst have begun a second instance; no count is changed for the call, only after idle periods."""

    async def story(scene: ToolScene) -> None:
        await scene.learn()
        await asyncio.gather(*(scene.turn() for _ in range(24)))
        known = (await scene.cluster.world.app.state.backend_states.read({"gpu": scene.backend}))["gpu"]
        assert known.warmth.further
        called_at = asyncio.get_running_loop().time()
        await one_turn(scene)
        lowered = [at for at, count in scene.gpu.calls if not count and at > called_at]
        assert called_at + 10 < lowered[0] < called_at + TOOL_S
        log = await scene.cluster.world.app.state.gpu_pauses.of_response(OWNER, scene.responses[-1].id)
        assert [pause_report(each)["reason"] for each in log] == ["other turns share its session"]

    told(
        story,
        lambda: ToolScene(gpu=CallingPool(start_s=lambda: 20.0, concurrency=2, words=4, word_s=5.0), backend=POOL),
    )


@pytest.mark.parametrize("at", [22.5, 500.0, 1195.0, 1205.0])
def test_a_kill_loses_nothing(at: float) -> None:
    async def story(scene: ToolScene) -> None:
        await scene.learn()
        task = await scene.begin()
        await asyncio.sleep(at)
        await scene.kill_process([task])
        await scene.cluster.respond(scene.responses[0])

    told(story)


def ended_by_provider(scaling: Scaling, idle_s: float) -> ToolScene:
    """Return a scene whose provider ends an instance after an idle period of its own."""
    backend = replace(counted(scaling, None), price=replace(GPU, idle_s=idle_s))
    if scaling is Scaling.PROVIDER:
        backend = replace(backend, cold_start=replace(backend.cold_start, idle_s=idle_s))
    return ToolScene(gpu=CallingGpu(start_s=lambda: 20.0, is_counted=False, idle_s=idle_s), backend=backend)


async def pauses_of(scene: ToolScene) -> list[Any]:
    response = scene.responses[0]
    found = await scene.cluster.world.app.state.gpu_pauses.of_response(response.owner, response.id)
    return [pause_report(each) for each in found]


def test_no_more_requests_keep_a_gpu_alive_during_a_long_call() -> None:
    """Its provider ends it after 30 s instead of the 90 s for which requests would keep it alive, and longer."""

    async def story(scene: ToolScene) -> None:
        await learned_turn(scene)
        [pause] = await pauses_of(scene)
        assert pause["ends_at"] == pytest.approx(pause["released_at"] + 30.0, abs=2.0)
        assert Decimal(pause["saved_usd"]) == pytest.approx(GPU.amount / GPU.per_s * 60, rel=Decimal("0.05"))
        assert pause["started_at"] == pytest.approx(pause["at"] + TOOL_S - 20.0, abs=2.0)

    scene = told(story, scene=lambda: ended_by_provider(Scaling.REQUESTS, 30.0))
    first, second = scene.gpu.lives
    assert first.ended == pytest.approx(21.0 + 30.0, abs=3.0)
    assert second.started == pytest.approx(21.0 + TOOL_S - 20.0, abs=3.0)
    assert scene.gpu.calls == []


def test_a_kept_alive_gpu_that_another_turn_uses_is_kept_on() -> None:
    async def story(scene: ToolScene) -> None:
        await scene.learn()
        turn = await scene.begin()
        await asyncio.sleep(30.0)
        other = await scene.cluster.world.admit("hello", thread=OTHER_THREAD)
        scene.responses.append(other)
        await scene.cluster.respond(other)
        await turn

    scene = told(story, scene=lambda: ended_by_provider(Scaling.REQUESTS, 30.0))
    assert (scene.gpu.lives[0].ended or 0.0) > 30.0 + 90.0


def test_a_gpu_that_its_provider_ends_is_left_to_that_and_is_up_when_the_call_ends() -> None:
    async def story(scene: ToolScene) -> None:
        await learned_turn(scene)
        [pause] = await pauses_of(scene)
        assert (pause["released_at"], pause["saved_usd"]) == (None, "0")

    scene = told(story, scene=lambda: ended_by_provider(Scaling.PROVIDER, 60.0))
    first, second = scene.gpu.lives
    assert first.ended == pytest.approx(22.0 + 60.0, abs=3.0)
    assert second.started == pytest.approx(21.0 + TOOL_S - 20.0, abs=3.0)
    assert scene.gpu.calls == []


def test_the_report_of_a_turn_says_what_became_of_its_gpu() -> None:
    scene = ended(learned_turn)
    [pause], [log] = scene.pauses, scene.logs
    assert pause["calls"] == [item.id for item in log.items if item.kind is ItemKind.MCP_CALL]
    assert (pause["round"], pause["backend"]) == (1, "gpu")
    assert pause["reason"] == "the calls are expected to take 1200 s, and at least 1200 s"
    assert pause["ends_at"] == pause["released_at"] == pytest.approx(pause["at"], abs=1.0)
    assert pause["starts_at"] == pause["at"] + TOOL_S - 20.0
    assert pause["started_at"] == pytest.approx(pause["starts_at"], abs=1.0)
    assert Decimal(pause["saved_usd"]) > 0
    assert Decimal(pause["waiting_usd"]) > Decimal(pause["late_usd"])


def test_a_decision_against_a_release_says_why() -> None:
    [pause] = ended(short_turn).pauses
    assert pause["reason"].startswith("the calls may end within")
    assert (pause["released_at"], pause["starts_at"], pause["saved_usd"]) == (None, None, "0")


def test_what_was_decided_is_cleared_with_its_turn() -> None:
    async def story(scene: ToolScene) -> None:
        await learned_turn(scene)
        state, response = scene.cluster.world.app.state, scene.responses[0]
        assert await pauses_of(scene)
        await state.retention.delete_response(response.owner, response.id)
        assert await pauses_of(scene) == []

    async def run() -> None:
        scene = counted_gpu()
        scene.start_timers()
        await story(scene)
        await scene.end()

    in_no_time(run())


def test_a_call_that_may_be_short_changes_nothing() -> None:
    assert (ended(short_turn).gpu.lives[0].ended or 0.0) > 100


@pytest.mark.parametrize("deadline_s", [TOOL_S - 100, TOOL_S + 10])
def test_a_call_that_takes_the_time_of_the_turn_leaves_some_for_the_answer(deadline_s: float) -> None:
    async def story(scene: ToolScene) -> None:
        await (await scene.begin(deadline_s))
        log = await scene.cluster.world.log(scene.responses[0])
        [call] = [item for item in log.items if item.kind is ItemKind.MCP_CALL]
        assert "did not answer" in str(call.error)
        assert log.outcome
        assert log.outcome.limit == DEADLINE

    told(story)
