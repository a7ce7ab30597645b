"""Is a GPU that the product counts unpaid while a long call of its only turn runs, in real processes?"""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from clients.storage.port import Create
from domain.tools.pauses.durations import ENOUGH, ToolDurations, tool_name
from standins.cluster.local_cluster import ClusterOptions, LocalCluster
from standins.paths import ROOT
from state.tools.durations import DURATIONS_ID, TOOLS
from tests.end_to_end.bills.test_counted_bill import LATE, NEVER_S, CountedCluster, counted
from tests.end_to_end.bills.test_session_bill import RATE, TAIL_S, asleep, finals, gpu_usage, sessions
from tests.end_to_end.books import Books, books_of
from tests.end_to_end.callers import Json, asking, calling
from tests.end_to_end.cold import COLD_MODEL, GPU, UNBOUNDED
from tests.end_to_end.conftest import HASTY
from tests.end_to_end.tools.test_agent import SHOP, plan, shop_of
from tests.end_to_end.waiting import eventually

CALL_S = 30.0
LEARNED_S = 60.0
IDLE_S = 8
"""The GPU is not kept for so long after a turn; a call of `LEARNED_S` outlasts that and a start."""

pytestmark = [pytest.mark.campaign, pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture(params=[1, 3])
def cluster(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[LocalCluster]:
    """Yield a product whose GPU may have so many instances, and whose shop may take long."""
    most = int(request.param)
    settings, tools = counted(tmp_path), tmp_path / "tools.toml"
    fleet = Path(settings["GANGLION_FLEET"])
    before, mark, after = fleet.read_text(encoding="utf-8").partition(f"[backends.{GPU}]\n")
    after = after.replace(f"idle_s = {TAIL_S}", f"idle_s = {IDLE_S}", 1)
    fleet.write_text(f"{before}{mark}max_instances = {most}\n{after}", encoding="utf-8")
    text = (ROOT / "tools.toml").read_text(encoding="utf-8")
    tools.write_text(text.replace('effect = "read"', 'effect = "read"\ntimeout_s = 120', 1), encoding="utf-8")
    options = ClusterOptions(
        data=tmp_path,
        cold="1",
        gpu=("--max-instances", most, "--tail", NEVER_S, "--count-delay", "0.5"),
        rate=20,
        warm_models=True,
        environment={**HASTY, **UNBOUNDED, **settings, "GANGLION_TOOLS": str(tools)},
    )
    with CountedCluster(options) as running:
        yield running


async def make_slow(cluster: LocalCluster, books: Books) -> None:
    """Let the shop take long for an order, and the product know that it does."""
    learned = ToolDurations().with_calls([(tool_name("shop", "find_order"), LEARNED_S)] * ENOUGH)
    await books.store.commit(TOOLS, (Create(id=DURATIONS_ID, body=learned.to_document()),))
    async with httpx.AsyncClient() as http:
        fault = {"path": "/v1/orders", "fault": {"delay_s": CALL_S}}
        assert (await http.put(f"{cluster.model_url('shop')}/__faults", json=fault)).is_success


async def test_a_counted_gpu_is_ended_during_a_long_call_and_started_for_the_next_round(cluster: LocalCluster) -> None:
    async with calling(cluster, cluster.token()) as caller, books_of(cluster.data) as books:
        await make_slow(cluster, books)
        body = asking(plan([("find_order", {"number": "A-1001"})]), COLD_MODEL, tools=[SHOP], background=True)
        turn = (await caller.create(body)).json()["id"]

        async def ended() -> Json | None:
            found = await caller.poll(turn)
            return None if found["status"] in {"queued", "in_progress"} else found

        made = await eventually(ended, within_s=240, what="the turn has ended")
        await eventually(lambda: asleep(caller), within_s=120, what="the count is 0")
        await eventually(lambda: finals([caller], [turn]), within_s=120, what="the bill is final")
        (call,), lives = (await shop_of(cluster))["requests"], await sessions(caller)
        used, report = await gpu_usage(caller), await caller.report(turn)
    assert (made["status"], made["output"][-1]["type"]) == ("completed", "message")
    assert [life["why"] for life in lives] == ["count", "count"]
    first, second = lives
    assert call["started"] < first["ended"] < call["ended"] < second["ended"]
    [pause] = report["pauses"]
    assert (pause["backend"], pause["released_at"] is not None) == (GPU, True)
    billed = RATE * sum(LATE.from_float(life["billed_s"]) for life in lives)
    assert abs(used - billed) <= RATE * LATE * len(lives)
