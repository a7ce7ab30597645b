"""Which sessions are open, which were the last ones, and how seldom are they read?"""

import json
from copy import replace

import pytest

from benches.scale.metered_store import MeteredStore
from clients.storage.port import Create
from domain.fleet.warmth import Warmth
from domain.money.ledger_records import NANOS
from domain.money.sessions.gpu_sessions import GpuSession, session_cost
from state.fleet.state_documents import backend_key
from state.money import recent_sessions
from state.money.recent_sessions import REACH_S, UNPOSTED_S, EndedSession, RecentSessions
from state.money.session_documents import CLOSING, closed_id
from tests.fakes.clocks import START, FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import backend
from tests.state.money.test_gpu_sessions import ANNE, BEN, GPU, PRICE, House

KEY = backend_key(GPU)
WARM = Warmth()


class Sessions:
    """The sessions of a GPU, and how often they were read."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MeteredStore(MemoryStore(self.clock), self.clock)
        self.recent = RecentSessions(self.store, self.clock)

    async def closed(self, number: int, status: str = "closed", **changes: object) -> GpuSession:
        """Store a session that began so many seconds after the start, and ended 10 s later."""
        at = START + number
        one = GpuSession(
            id=f"{round(at * 1000):015d}", backend="gpu", price="gpu", started=at, last_end=at + 10, cold_s=0, members=1
        )
        await self.store.commit(KEY, (Create(id=closed_id(one.id), body={**one.to_document(status), **changes}),))
        return one

    async def ended(self, current: GpuSession | None = None, warmth: Warmth = WARM) -> tuple[EndedSession, ...]:
        return await self.recent.ended(GPU, current, warmth)

    @property
    def lists(self) -> int:
        return self.store.calls["list"]


@pytest.fixture
def sessions() -> Sessions:
    return Sessions()


async def test_an_ended_session_has_its_end_its_cost_and_its_work(sessions: Sessions) -> None:
    one = await sessions.closed(0, work=[[START, START + 10]])
    (found,) = await sessions.ended()
    assert (found.session.id, found.ended_at) == (one.id, START + 10 + PRICE.idle_s)
    assert (found.cost, found.work) == (session_cost(one, PRICE) / NANOS, ((START, START + 10),))
    assert found.served
    warm_up = replace(found, session=replace(one, warm_up_record="w"))
    assert not warm_up.served


async def test_sessions_are_read_again_where_the_backend_has_changed(sessions: Sessions) -> None:
    one = await sessions.closed(0)
    for current, warmth, lists in (
        (None, WARM, 1),
        (None, WARM, 1),
        (None, Warmth(warm_until=1.0), 2),
        (one, WARM, 3),
        (one, Warmth(warm_until=2.0), 3),
        (replace(one, id="next"), WARM, 4),
    ):
        assert len(await sessions.ended(current, warmth)) == 1
        assert sessions.lists == lists


async def test_a_session_whose_shares_are_not_posted_is_read_again_soon(sessions: Sessions) -> None:
    await sessions.closed(0, status=CLOSING)
    for advanced_s, lists in ((0.0, 1), (UNPOSTED_S - 1, 1), (1.0, 2)):
        sessions.clock.advance(advanced_s)
        await sessions.ended()
        assert sessions.lists == lists


async def test_a_session_is_shown_for_a_day_after_its_beginning(sessions: Sessions) -> None:
    await sessions.closed(0)
    await sessions.closed(5)
    sessions.clock.set(START + REACH_S - 1)
    assert len(await sessions.ended()) == 2
    sessions.clock.advance(2)
    assert [each.session.started for each in await sessions.ended()] == [START + 5]


async def test_the_latest_of_too_many_sessions_are_shown(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_sessions, "MOST", 2)
    for number in range(3):
        await sessions.closed(number)
    assert [each.session.started for each in await sessions.ended()] == [START + 1, START + 2]


async def test_a_damaged_session_is_left_out_and_hides_no_other(sessions: Sessions) -> None:
    await sessions.closed(1)
    await sessions.closed(2, work=5)
    await sessions.closed(3, work=[[START]])
    await sessions.store.commit(KEY, (Create(id=closed_id(f"{round((START + 4) * 1000):015d}"), body={"odd": 1}),))
    store = sessions.store.store
    assert isinstance(store, MemoryStore)
    broken = await sessions.closed(5)
    store.put(KEY, closed_id(broken.id), replace(store.rows(KEY)[closed_id(broken.id)], data=b"no JSON"))
    assert [each.session.started for each in await sessions.ended()] == [START + 1]


async def test_a_backend_that_is_not_paid_by_time_has_no_sessions(sessions: Sessions) -> None:
    assert await sessions.recent.ended(backend("main"), None, WARM) == ()
    assert sessions.lists == 0


async def test_open_sessions_have_the_parts_of_all_processes_and_a_damaged_part_hides_none() -> None:
    house = House()
    for name, owner in (("resp_1", ANNE), ("resp_2", BEN)):
        await house.process().attempt(name, owner, 0, 20)
    recent = RecentSessions(house.store, house.clock)
    before = (await recent.opened())["gpu"]
    assert before.members == 2
    part = next(each for each in house.store.rows(KEY) if each.startswith("session~"))
    row = house.store.rows(KEY)[part]
    kept = {name: json.loads(row.data)[name] for name in ("kind", "status", "at")}
    house.store.put(KEY, part, replace(row, data=json.dumps(kept).encode()))
    assert (await recent.opened())["gpu"].id == before.id
