"""Which open requests does an owner see, and which those who decide for a tenant?"""

from copy import replace

import pytest

from clients.storage.keys import owner_index_key
from clients.storage.port import Create
from domain.identity.owners import Owner
from domain.tools.approvals import Approval
from state.approvals.index import NAMES, ApprovalIndex, is_open_id, open_id, tenant_key
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore

ANNE, BEN = Owner(tenant="t", subject="user:anne"), Owner(tenant="t", subject="user:ben")
FIRST = Approval(
    request=f"mcpr_{'a' * 24}{'1' * 24}",
    response=f"resp_{'a' * 24}{'2' * 24}",
    server="shop",
    tool="pay",
    pin="p",
    arguments_hash="h",
    asked_at=1_800_000_000.0,
    expires_at=1_800_086_400.0,
)
SECOND = replace(FIRST, request=f"mcpr_{'b' * 24}{'1' * 24}", asked_at=FIRST.asked_at + 1)


@pytest.fixture
def index(store: MemoryStore, clock: FakeClock) -> ApprovalIndex:
    return ApprovalIndex(store, clock, is_shared=True)


async def seen(index: ApprovalIndex, caller: Owner, *, whole_tenant: bool = False, after: str = "") -> list[str]:
    async def load(owner: Owner, request: str, at: float) -> str:
        return f"{owner.subject} {request[5]} {at - FIRST.asked_at:.0f}"

    page = await index.page(caller, load, whole_tenant=whole_tenant, after=after, limit=9)
    return list(page.found)


async def test_owners_see_their_own_requests_and_those_who_decide_see_all_newest_first(index: ApprovalIndex) -> None:
    for _ in range(2):
        await index.add(ANNE, (FIRST,))
        await index.add(BEN, (SECOND,))
    assert await seen(index, ANNE) == ["user:anne a 0"]
    assert await seen(index, ANNE, whole_tenant=True) == ["user:ben b 1", "user:anne a 0"]


async def test_a_request_that_is_not_open_any_more_keeps_its_name(index: ApprovalIndex, clock: FakeClock) -> None:
    await index.add(ANNE, (FIRST,))
    for _ in range(2):
        await index.remove(ANNE, (FIRST,))
    assert await seen(index, ANNE) == await seen(index, ANNE, whole_tenant=True) == []
    assert await index.named("t", FIRST.request) == ANNE
    assert [await index.named("t", name) for name in (SECOND.request, "mcpr_x", f"{NAMES}x", "")] == [None] * 4
    clock.set(FIRST.expires_at)
    assert await index.named("t", FIRST.request) is None


async def test_nothing_is_stored_for_a_tenant_whose_owners_decide_alone(store: MemoryStore, clock: FakeClock) -> None:
    own = ApprovalIndex(store, clock, is_shared=False)
    await own.add(ANNE, (FIRST,))
    await own.remove(ANNE, (SECOND,))
    assert await seen(own, ANNE) == ["user:anne a 0"]
    assert await store.list(tenant_key("t"), prefix="") == []


async def test_a_damaged_entry_hides_no_other(index: ApprovalIndex, store: MemoryStore) -> None:
    await index.add(ANNE, (FIRST,))
    for key in (owner_index_key(ANNE), tenant_key("t")):
        await store.commit(key, (Create(id=open_id(SECOND.asked_at, SECOND.request), body={"odd": 1}),))
    for whole_tenant in (False, True):
        found = await index.entry(ANNE, FIRST.request, whole_tenant=whole_tenant)
        assert found == open_id(FIRST.asked_at, FIRST.request)
        assert await seen(index, ANNE, whole_tenant=whole_tenant) == ["user:anne a 0"]


async def test_a_list_goes_on_after_the_entry_of_a_request(index: ApprovalIndex) -> None:
    await index.add(ANNE, (FIRST, SECOND))
    after = await index.entry(ANNE, SECOND.request, whole_tenant=False)
    assert await seen(index, ANNE, after=after) == ["user:anne a 0"]
    assert await index.entry(BEN, SECOND.request, whole_tenant=False) == ""


def test_an_entry_says_its_time_and_the_request_and_nothing_else_is_one() -> None:
    entry = open_id(FIRST.asked_at, FIRST.request)
    assert is_open_id(entry)
    for other in (entry[1:], entry.replace("_8", "_x"), f"{entry}x", entry.replace("mcpr", "resp"), FIRST.request, ""):
        assert not is_open_id(other)
