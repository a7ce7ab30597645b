"""Who shares the open GPU sessions, and how many of them does one summary read?"""

from collections.abc import Mapping
from copy import replace
from decimal import Decimal

import pytest

from clients.storage.port import Create
from domain.fleet.catalog import Backend
from domain.money.sessions.gpu_sessions import GpuSession, SessionSpan
from state.fleet.state_documents import backend_key
from state.money.session_documents import span_id
from state.money.session_sharers import MOST_MEMBERS, SharerReader
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.state.money.test_session_documents import GPU, PRICE

BACKENDS = {name: replace(GPU, name=name) for name in ("gpu", "gpu2", "gpu3")}


async def opened(store: MemoryStore, clock: FakeClock, name: str = "gpu", *, members: int = 2) -> GpuSession:
    """Store two members of a session that is ready at once: one that works for 30 s, and one that still works."""
    now = clock.now()
    for number, ended in ((1, now + 30), (2, None)):
        span = SessionSpan(
            record=f"r{number}", tenant="anne", subject="user:1", response=f"resp_{number}", began=now, ended=ended
        )
        await store.commit(
            backend_key(BACKENDS[name]), (Create(id=span_id(f"s_{name}", span.record), body=span.to_document()),)
        )
    return GpuSession(
        id=f"s_{name}",
        backend=name,
        price="gpu",
        started=now,
        ready_at=now,
        last_end=now + 30,
        cold_s=0,
        members=members,
        running={"r2": "anne"},
    )


async def read(
    reader: SharerReader, sessions: Mapping[str, GpuSession], backends: Mapping[str, Backend] = BACKENDS, most: int = 9
) -> list[str]:
    return sorted(await reader.of(sessions, backends, most=most))


async def test_the_parts_of_the_sharers_are_what_the_machine_cost(store: MemoryStore, clock: FakeClock) -> None:
    session = await opened(store, clock)
    clock.advance(60)
    found = (await SharerReader(store, clock).of({"gpu": session}, BACKENDS, most=1))["gpu"]
    used = {each.response: each.used for each in found.sharers}
    assert set(used) == {"resp_1", "resp_2"}
    assert sum(used.values()) == pytest.approx(PRICE.amount * Decimal(60), abs=Decimal("1e-8"))
    assert used["resp_1"] < used["resp_2"]
    assert found.work == ((clock.now() - 60, clock.now()),)


async def test_a_session_of_no_known_backend_or_of_too_many_members_has_no_sharers(
    store: MemoryStore, clock: FakeClock
) -> None:
    reader, session = SharerReader(store, clock), await opened(store, clock)
    assert await read(reader, {"gone": session}) == []
    assert await read(reader, {"gpu": replace(session, members=MOST_MEMBERS + 1)}) == []
    assert await read(reader, {"gpu": replace(session, members=MOST_MEMBERS)}) == ["gpu"]


async def test_the_sessions_that_were_read_longest_ago_are_read_next(store: MemoryStore, clock: FakeClock) -> None:
    reader = SharerReader(store, clock)
    sessions = {name: await opened(store, clock, name) for name in BACKENDS}
    for known in (["gpu"], ["gpu", "gpu2"], ["gpu", "gpu2", "gpu3"], ["gpu", "gpu2", "gpu3"]):
        clock.advance(1)
        assert await read(reader, sessions, most=1) == known
    assert sorted(each.at for each in reader.known.values()) == [clock.now() - 2, clock.now() - 1, clock.now()]
    assert reader.known["gpu"].at == clock.now(), "it was the oldest"


async def test_what_is_known_of_a_session_that_ended_is_forgotten(store: MemoryStore, clock: FakeClock) -> None:
    reader, session = SharerReader(store, clock), await opened(store, clock)
    assert await read(reader, {"gpu": session}) == ["gpu"]
    assert await read(reader, {"gpu": replace(session, id="s_next")}, most=0) == []
    assert await read(reader, {}) == []
