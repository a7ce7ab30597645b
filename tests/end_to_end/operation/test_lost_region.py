"""Does a second app with a hub of its own go on where a lost region stopped, as docs/runbooks.md says?

The replica of the account in the second region is a copy of all acknowledged writes: strong consistency promises
them there. The failover of the account is the second app's own address of it.
"""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from copy import replace
from pathlib import Path

import pytest

from standins.clock import now
from standins.cluster.local_cluster import LocalCluster
from standins.cosmos.restore import restore
from tests.end_to_end.callers import Reading, asking, calling, counted
from tests.end_to_end.conftest import hasty
from tests.end_to_end.stores.cosmos_books import cosmos_books_of
from tests.fakes.servers.cosmos import local_cosmos

pytestmark = [pytest.mark.campaign, pytest.mark.slow]

SLOW = 25.0
SILENT_S = "2"
FOLLOWED_S = 60


@pytest.fixture
def east(tmp_path: Path) -> Iterator[LocalCluster]:
    local_cosmos()
    options = hasty(tmp_path / "east", rate=SLOW, GANGLION_SWEEP_SILENT_S=SILENT_S)
    with LocalCluster(replace(options, store="cosmos")) as running:
        yield running


def lose(region: LocalCluster) -> None:
    """Kill what runs in a region; the issuer of tokens and the models are elsewhere."""
    region.kill_host_and_worker()
    region.kill_service("cosmos")


def west_of(east: LocalCluster, folder: Path) -> LocalCluster:
    """Return the app of the second region over the account's replica there, with a hub of its own."""
    restore(east.data, folder, at=now())
    shared = {name: value for name, value in east.environment().items() if name.startswith("GANGLION_TOKEN_")}
    options = hasty(folder, GANGLION_SWEEP_SILENT_S=SILENT_S)
    return LocalCluster(replace(options, store="cosmos", environment={**options.environment, **shared}))


async def test_turns_go_on_in_the_second_region_and_every_acknowledged_word_is_there(
    east: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, queued = Reading(body={**asking("COUNT 1000"), "stream": True}), asking("COUNT 12")
    async with calling(east) as caller, cosmos_books_of(east, monkeypatch) as books:
        first = await caller.follow(asking("COUNT 5"))
        await books.settled(caller, first.id)
        bill = (await caller.report(first.id))["bill"]
        await caller.follow_on(running, until=12)
        admitted = await books.admit(queued)
        token = caller.token
    await asyncio.to_thread(lose, east)
    with ExitStack() as stack:
        west = await asyncio.to_thread(stack.enter_context, west_of(east, tmp_path / "west"))
        async with (
            calling(west, token) as caller,
            cosmos_books_of(west, monkeypatch) as books,
            asyncio.timeout(FOLLOWED_S),
        ):
            await books.quiet(caller, within_s=FOLLOWED_S)
            await caller.follow_on(running)
            assert running.numbers == list(range(len(running.numbers)))
            assert (running.response["status"], running.response["error"]["code"]) == ("failed", "server_error")
            await books.assert_log(admitted.id, counted(12))
            assert (await caller.report(first.id))["bill"] == bill
            await books.assert_exact(await caller.follow(asking("COUNT 7")), counted(7))
