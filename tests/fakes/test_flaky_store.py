"""Does the store that fails on cue fail as it says, and the same way again?"""

from random import Random

import pytest

from clients.storage.port import Container, Create, DocumentKey
from domain.errors import Retryable, Unavailable, UnknownOutcome
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import CrashError, Fault, Faults, FlakyStore, MemoryStore

KEY = DocumentKey(container=Container.MONEY, parts=("tenant",))
WRITE = [Create(id="one", body={})]


def flaky(faults: Faults, seed: int = 0, store: MemoryStore | None = None) -> FlakyStore:
    chance = Random(seed)  # noqa: S311 - faults must repeat
    return FlakyStore(store or MemoryStore(FakeClock()), chance, faults)


@pytest.mark.parametrize(
    ("fault", "error", "done"),
    [
        (Fault.UNAVAILABLE, Unavailable, False),
        (Fault.LOST_BEFORE, UnknownOutcome, False),
        (Fault.LOST_AFTER, UnknownOutcome, True),
        (Fault.CRASH_BEFORE, CrashError, False),
        (Fault.CRASH_AFTER, CrashError, True),
    ],
)
async def test_a_write_fails_with_its_error_and_is_done_or_not(
    fault: Fault, error: type[BaseException], *, done: bool
) -> None:
    store = flaky(Faults(at={1: fault}))
    assert await store.read(KEY, "one") is None
    with pytest.raises(error):
        await store.commit(KEY, WRITE)
    assert (await store.store.read(KEY, "one") is not None) is done


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.LOST_BEFORE, Fault.LOST_AFTER])
async def test_a_read_that_fails_is_unavailable(fault: Fault) -> None:
    store = flaky(Faults(at={0: fault, 1: fault, 2: fault}))
    with pytest.raises(Unavailable):
        await store.read(KEY, "one")
    with pytest.raises(Unavailable):
        await store.list(KEY, prefix="")
    with pytest.raises(Unavailable):
        await store.find(KEY.container, kind="a", status="b", before=1)


async def test_a_process_that_crashed_does_nothing_more_and_another_goes_on() -> None:
    shared = MemoryStore(FakeClock())
    dead = flaky(Faults(at={0: Fault.CRASH_BEFORE}), store=shared)
    for _ in range(2):
        with pytest.raises(CrashError):
            await dead.commit(KEY, WRITE)
    assert await shared.read(KEY, "one") is None
    await flaky(Faults(), store=shared).commit(KEY, WRITE)


async def fates(seed: int) -> list[Fault | None]:
    store = flaky(Faults(rate=0.5, kinds=(Fault.UNAVAILABLE, Fault.LOST_AFTER), pause=3), seed)
    for number in range(100):
        try:
            await store.commit(KEY, [Create(id=f"n{number}", body={})])
        except Retryable:
            continue
    return [call.fault for call in store.calls]


async def test_the_same_seed_fails_the_same_way_and_another_does_not() -> None:
    assert await fates(1) == await fates(1) != await fates(2)
    assert {*await fates(1)} == {None, Fault.UNAVAILABLE, Fault.LOST_AFTER}


async def test_the_calls_tell_what_happened() -> None:
    store = flaky(Faults(at={1: Fault.LOST_AFTER}))
    await store.read(KEY, "one")
    with pytest.raises(UnknownOutcome, match="call 1, commit Create one: unknown outcome, done"):
        await store.commit(KEY, WRITE)
    assert [(call.number, call.name, call.about, call.fault) for call in store.calls] == [
        (0, "read", "one", None),
        (1, "commit", "Create one", Fault.LOST_AFTER),
    ]
