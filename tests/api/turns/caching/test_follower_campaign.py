"""Do turns of one key keep their guarantees when workers and readers die, with cancels and deletions in between?

Every seed is one story of a few turns that ask the same. Their steps and their readers run in processes that share a
store and die at any call of it. See `tests.activities.turns.test_campaign`, which tells the same of one turn.
"""

from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import pytest

from activities.guard import tolerate_deletion
from api.rendering.sse_events import frames
from domain.errors import GanglionError, NotFound
from domain.fleet.catalog import ContinuationMode
from domain.log.events import ResponseStatus
from domain.log.transcript import kept_items
from domain.log.writers import COPIER
from domain.turns.response import Response
from domain.turns.webhook_events import WebhookEndpoints
from state.retention.deletion import Retention
from state.turns.responses import TurnStore
from tests.activities.turns.test_campaign import CAPS, Story, settled, tolerate, verified
from tests.api.harness import api
from tests.api.turns.caching.followers import BODY, log_stream
from tests.fakes.clocks import LoopClock, in_no_time
from tests.fakes.histories import NamedSeed
from tests.fakes.stores import CrashError, MemoryStore
from tests.fakes.worlds import OWNER, World

pytestmark = pytest.mark.slow

NORMAL = range(16)
CHUNK, CHUNKS = 250, 20


@dataclass(slots=True)
class Peer(Story):
    """One of several turns with the same key."""

    peers: dict[str, "Peer"] = field(default_factory=dict[str, "Peer"])
    streams: list[bytearray] = field(default_factory=list[bytearray])
    is_deleted: bool = False

    def worker(self) -> World[Any]:
        world = Story.worker(self)
        world.steps = {name: tolerate_deletion(name, step) for name, step in world.steps.items()}
        return world

    async def start(self, response: Response) -> None:
        await Story.start(self.peers[response.id], response)

    async def is_running(self, instance_id: str) -> bool:
        return await Story.is_running(self.peers[instance_id], instance_id)

    async def delete(self) -> None:
        """Delete the turn; a process that dies meanwhile leaves a part, which a repeated call deletes."""
        self.is_deleted = True
        world = self.worker()
        await Retention(world.store, world.turns, self.clock).delete_response(OWNER, self.response.id)

    async def watch(self) -> None:
        """Read the stream to its end, again and again from its beginning where the process of the reader dies."""
        while True:
            seen = bytearray()
            self.streams.append(seen)
            try:
                if await self.watched(seen):
                    return
            except NotFound:
                return
            except (GanglionError, CrashError):
                await self.clock.sleep(0.1)

    async def watched(self, seen: bytearray) -> bool:
        """Return whether the stream has come to its end before the reader hung up."""
        patience = self.random.choice([3, 10, 1000])
        parts = log_stream(self.worker()).parts(self.response, partial(frames, after=-1))
        async with aclosing(parts):
            async for part in parts:
                seen += b"" if part.startswith(b":") else part
                patience -= 1
                if patience < 0 and not self.is_calm:
                    return False
        return True


async def play(seed: int) -> list[Peer]:
    """Run one story to its end."""
    chance = Random(seed)  # noqa: S311 - a story must repeat
    clock = LoopClock(seed=seed)
    store = MemoryStore(clock)
    one = api(clock=clock, store=store, cache_s=3600.0)
    one.orchestrations.hold = True
    peers = dict[str, Peer]()
    continues = chance.choice([ContinuationMode.ASSISTANT_PREFILL, ContinuationMode.NO])
    for _ in range(chance.randint(2, 4)):
        created = (await one.create(BODY)).json()
        response = await one.world.turns.read(OWNER, created["id"])
        peers[response.id] = peer = Peer(
            random=chance,
            clock=clock,
            store=store,
            response=response,
            continues=continues,
            cap=CAPS[seed % len(CAPS)],
            peers=peers,
        )
        begin(peer, chance)
        await clock.sleep(chance.choice([0, 0.05, 1.0]))
    await ended(list(peers.values()))
    return list(peers.values())


def begin(peer: Peer, chance: Random) -> None:
    peer.spawn(peer.execute())
    peer.spawn(peer.now_and_then(peer.sweep, chance.randint(0, 2)))
    if chance.random() < 0.3:
        peer.spawn(peer.now_and_then(peer.cancel, 1))
    if chance.random() < 0.1:
        peer.spawn(peer.now_and_then(peer.delete, 1))
    for _ in range(chance.choice([0, 1, 2])):
        peer.spawn(peer.watch())


async def ended(peers: list[Peer]) -> None:
    """Let all turns end, at last with processes that live."""
    clock = peers[0].clock
    await clock.sleep(120)
    for peer in peers:
        peer.is_calm = True
    for peer in peers:
        await settled(peer, set())
        if peer.is_deleted:
            await tolerate(lambda peer=peer: tolerate_missing(peer))
    for _ in range(2):
        await clock.sleep(60)
        await peers[0].sweep()
        for peer in peers:
            await settled(peer, set())


async def tolerate_missing(peer: Peer) -> None:
    try:
        await peer.delete()
    except NotFound:
        return


async def check(seed: int) -> list[Peer]:
    """Run a story and check its guarantees."""
    peers = await play(seed)
    for peer in peers:
        if not peer.is_deleted:
            await verified(peer)
            await verify_answer(peer)
    return peers


async def verify_answer(peer: Peer) -> None:
    """Check that a turn took an answer over without a call, and that all its readers saw the same bytes."""
    turns = TurnStore(peer.store, peer.clock, WebhookEndpoints())
    response = await turns.read(OWNER, peer.response.id)
    log = await turns.transcript(OWNER, response.id)
    use = response.options.cache
    assert use is not None
    if use.first:
        assert (response.status, peer.attempts, log.outcome) == (ResponseStatus.COMPLETED, 0, None)
        if not peer.peers[use.first].is_deleted:
            first = await turns.transcript(OWNER, use.first)
            assert [item.text for item in kept_items(log)] == [item.text for item in kept_items(first)]
    longest = max(peer.streams, key=len, default=bytearray())
    assert all(longest.startswith(seen) for seen in peer.streams)  # may be empty: not every turn is read


def run(seed: int) -> list[Peer]:
    with NamedSeed(seed):
        return in_no_time(check(seed))


def has_copied(peer: Peer) -> bool:
    return any(f'"writer":"{COPIER}' in row.data.decode() for row in rows_of(peer))


def rows_of(peer: Peer) -> list[Any]:
    return [row for rows in peer.store.partitions.values() for row in rows.values()]


def test_every_story_of_turns_with_one_key_ends_once_and_completely() -> None:
    stories = [run(seed) for seed in NORMAL]
    assert sum(has_copied(story[0]) for story in stories) > len(stories) / 4
    assert sum(any(peer.crashes for peer in story) for story in stories) > len(stories) / 4
    assert sum(sum(peer.attempts > 0 for peer in story) > 1 for story in stories) > len(stories) / 10


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_story_of_five_thousand_with_one_key_ends_once_and_completely(chunk: int) -> None:
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        run(seed)
