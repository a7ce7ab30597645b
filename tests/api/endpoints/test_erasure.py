"""Can owners erase their own data, and only an application with the role that of others?"""

from copy import replace
from typing import Any

import httpx
import pytest

from clients.storage.keys import owner_index_key
from domain.identity.owners import Owner
from state.retention.erasure import SETTLED_S
from tests.api import harness
from tests.api.harness import CALLERS, Api, api
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER

ERASER = Owner(tenant=OWNER.tenant, subject="app:55555555-5555-5555-5555-555555555555", roles=("Owners.Erase",))
MINE = OWNER.subject.replace(":", "_")


async def erase(one: Api, name: str, caller: str = "mine") -> httpx.Response:
    return await one.http.delete(f"/v1/owners/{name}", headers={"authorization": f"Bearer {caller}"})


async def create_response(one: Api, **headers: str) -> str:
    answer = await one.create({"input": "hi", "model": "model"}, **headers)
    assert answer.status_code == 200
    return answer.json()["id"]


async def test_an_erased_owner_finds_none_of_his_data() -> None:
    one = api()
    response = await create_response(one)
    talk: dict[str, Any] = (await one.http.post("/v1/conversations", json={})).json()
    chat = {"model": "auto", "store": True, "messages": [{"role": "user", "content": "hi"}]}
    assert (await one.http.post("/v1/chat/completions", json=chat)).status_code == 200
    theirs = await create_response(one, authorization="Bearer strange")
    one.world.clock.advance(1)
    for _ in range(2):
        answer = await erase(one, "me")
        assert (answer.status_code, answer.json()) == (200, {"id": "me", "object": "owner.deleted", "deleted": True})
    for path in (f"responses/{response}", f"responses/{response}/route", f"conversations/{talk['id']}"):
        assert (await one.http.get(f"/v1/{path}")).status_code == 404
    assert (await one.http.get("/v1/chat/completions")).json()["data"] == []
    kept = await one.http.get(f"/v1/responses/{theirs}", headers={"authorization": "Bearer strange"})
    assert kept.status_code == 200


async def test_a_running_turn_is_cancelled_and_its_orchestration_signalled() -> None:
    one = api()
    one.orchestrations.hold = True
    running = (await one.create({"input": "hi", "model": "model", "background": True})).json()["id"]
    one.world.clock.advance(1)
    assert (await erase(one, "me")).status_code == 200
    assert one.orchestrations.cancelled == [running]


@pytest.mark.parametrize("data", [b"not JSON", b"{}"])
async def test_a_damaged_row_of_the_index_keeps_nothing_from_being_erased(data: bytes) -> None:
    """A row that cannot be read is erased too, with the thread that it names."""
    one = api()
    response = await create_response(one)
    assert isinstance(one.world.store, MemoryStore)
    rows = one.world.store.partitions[owner_index_key(OWNER)]
    for name in tuple(rows):
        rows[name] = replace(rows[name], data=data)
    one.world.clock.advance(1)
    assert (await erase(one, "me")).status_code == 200
    assert (await one.http.get(f"/v1/responses/{response}")).status_code == 404
    one.world.clock.advance(SETTLED_S)
    await one.world.app.state.retention.erasure.resume(OWNER)
    assert not one.world.store.partitions.get(owner_index_key(OWNER))


async def test_usage_rows_are_kept() -> None:
    one = api()
    await create_response(one)
    before = (await one.http.get("/v1/usage")).json()
    one.world.clock.advance(1)
    await erase(one, "me")
    assert (await one.http.get("/v1/usage")).json() == before
    assert before["data"]


async def test_an_application_with_the_role_erases_owners_of_its_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    far = replace(ERASER, tenant="99999999-9999-9999-9999-999999999999")
    more = {"eraser": ERASER, "far-eraser": far, "person": replace(OWNER, roles=ERASER.roles)}
    monkeypatch.setattr(harness, "CALLERS", {**CALLERS, **more})
    one = api()
    response = await create_response(one)
    one.world.clock.advance(1)
    for caller, status in (("strange", 404), ("reader", 404), ("person", 404), ("far-eraser", 200)):
        assert (await erase(one, MINE, caller)).status_code == status
    assert (await one.http.get(f"/v1/responses/{response}")).status_code == 200
    assert (await erase(one, MINE, "eraser")).status_code == 200
    assert (await one.http.get(f"/v1/responses/{response}")).status_code == 404


@pytest.mark.parametrize(
    "name", ["mine", "user_", "user_22222222", f"{MINE}x", "User_22222222-2222-2222-2222-222222222222"]
)
async def test_an_invalid_owner_id_is_not_found(name: str) -> None:
    assert (await erase(api(), name)).status_code == 404


async def test_an_owner_id_may_be_in_upper_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some tools of the platform print ids in upper case; tokens have them in lower case."""
    lettered = replace(OWNER, subject="user:abcdefab-cdef-abcd-efab-cdefabcdefab")
    monkeypatch.setattr(harness, "CALLERS", {**CALLERS, "eraser": ERASER, "lettered": lettered})
    one = api()
    response = await create_response(one, authorization="Bearer lettered")
    one.world.clock.advance(1)
    assert (await erase(one, "user_ABCDEFAB-CDEF-ABCD-EFAB-CDEFABCDEFAB", "eraser")).status_code == 200
    mine = {"authorization": "Bearer lettered"}
    assert (await one.http.get(f"/v1/responses/{response}", headers=mine)).status_code == 404
