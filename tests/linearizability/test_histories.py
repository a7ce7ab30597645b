"""Do the log, the ledger and the conversation lock look like one process changed them, whatever happens at once?

The clients are instances that share one store and lose replies. Their calls are recorded, and the checker looks for an
order that one process would allow.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import pytest

from clients.clock import Clock
from clients.storage.cosmos.store import CosmosStore
from clients.storage.port import DocumentStore
from clients.storage.sqlite.store import SqliteStore
from tests.contracts.conftest import MakeStore
from tests.fakes.clocks import FakeClock, InstantLoop
from tests.fakes.servers.cosmos import local_cosmos
from tests.fakes.stores import Fault, Faults, FlakyStore, MemoryStore
from tests.linearizability.checker import UNKNOWN, Operation, is_linearizable
from tests.linearizability.mutants import MUTANTS
from tests.linearizability.published_histories import FOLDER, NIL, history_of, register
from tests.linearizability.recorder import Recorder
from tests.linearizability.workloads import WORKLOADS, Client, Workload

CLIENTS = 5
LOSSES = (Fault.UNAVAILABLE, Fault.LOST_BEFORE, Fault.LOST_AFTER)
IN_MEMORY, IN_FILE, IN_COSMOS, LONG = 40, 10, 5, 2000


def in_cosmos(clock: Clock) -> DocumentStore:
    return CosmosStore(local_cosmos().emptied(), clock)


COSMOS: MakeStore = in_cosmos

type View = Callable[[DocumentStore, Random, Faults], DocumentStore]


async def record(workload: Workload, store: DocumentStore, clock: FakeClock, seed: int, view: View) -> Recorder:
    """Run the clients of one history; the seed decides what they do and which replies they lose."""
    random, recorder = Random(seed), Recorder()  # noqa: S311 - a history must repeat
    await workload.prepare(store, clock)
    clients = [
        Client(
            number=number,
            store=view(store, Random(random.getrandbits(64)), lossy(random)),  # noqa: S311 - a history must repeat
            clock=clock,
            random=Random(random.getrandbits(64)),  # noqa: S311 - a history must repeat
            recorder=recorder,
        )
        for number in range(CLIENTS)
    ]
    await asyncio.gather(*(workload.act(client) for client in clients))
    await store.close()
    return recorder


def lossy(random: Random) -> Faults:
    return Faults(rate=random.choice([0.0, 0.03]), pause=random.choice([0, 3, 10]), kinds=LOSSES)


def play(name: str, seed: int, make: MakeStore = MemoryStore, view: View = FlakyStore) -> list[Operation]:
    """Record one history; only a store that waits for another process needs a loop whose timers cost time."""
    clock = FakeClock(seed=seed)
    with asyncio.Runner(loop_factory=None if make is COSMOS else InstantLoop) as runner:
        return runner.run(record(WORKLOADS[name], make(clock), clock, seed, view)).history


def judge(name: str, seeds: range, make: Callable[[int], MakeStore] = lambda _: MemoryStore) -> None:
    workload, calls, unknown = WORKLOADS[name], 0, 0
    for seed in seeds:
        history = play(name, seed, make(seed))
        assert is_linearizable(history, workload.initial, workload.step), f"seed {seed}: {history}"
        calls += len(history)
        unknown += sum(one.output is UNKNOWN for one in history)
    print(f"{name}: {len(seeds)} histories, {calls} calls, {unknown} of unknown outcome")  # noqa: T201 - the figures


@pytest.mark.parametrize("name", WORKLOADS)
def test_histories_in_memory_are_linearizable(name: str) -> None:
    judge(name, range(IN_MEMORY))


@pytest.mark.parametrize("name", WORKLOADS)
def test_histories_in_a_file_are_linearizable(name: str, tmp_path: Path) -> None:
    judge(name, range(IN_FILE), lambda seed: partial(SqliteStore, tmp_path / f"{seed}.db"))


@pytest.mark.slow
@pytest.mark.parametrize("name", WORKLOADS)
def test_histories_in_cosmos_db_are_linearizable(name: str) -> None:
    judge(name, range(IN_COSMOS), lambda _: COSMOS)


@pytest.mark.campaign
@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", WORKLOADS)
def test_thousands_of_histories_are_linearizable(name: str, tmp_path: Path) -> None:
    judge(name, range(LONG))
    judge(name, range(LONG // 10), lambda seed: partial(SqliteStore, tmp_path / f"{seed}.db"))


@pytest.mark.parametrize(("mutant", "name"), MUTANTS.items(), ids=lambda one: getattr(one, "__name__", one))
def test_a_store_that_breaks_a_promise_is_found(mutant: View, name: str) -> None:
    workload = WORKLOADS[name]
    assert any(
        not is_linearizable(play(name, seed, view=mutant), workload.initial, workload.step) for seed in range(IN_MEMORY)
    )


PUBLISHED = {"000": False, "001": False, "005": True, "018": True, "022": False, "025": True, "053": True, "080": True}


@pytest.mark.parametrize(("name", "verdict"), PUBLISHED.items())
def test_published_histories_get_the_verdict_of_porcupine(name: str, verdict: object) -> None:
    assert is_linearizable(history_of(FOLDER / f"etcd_{name}.log"), NIL, register) is verdict
