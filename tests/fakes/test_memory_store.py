"""Does the store in memory stay small?"""

from clients.storage.port import Container, Create, DocumentKey
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore

KEY = DocumentKey(container=Container.FLEET, parts=("_fleet",))


async def test_a_list_forgets_what_has_expired_and_its_id_is_free() -> None:
    clock = FakeClock()
    store = MemoryStore(clock)
    for number in range(5):
        body = {"kind": "load", "status": "open", "at": 1}
        await store.commit(KEY, [Create(id=f"a{number}", body=body, expires_at=clock.now() + number)])
    clock.advance(3)
    assert [each.id for each in await store.list(KEY, prefix="a")] == ["a4"]
    assert (store.ids[KEY], list(store.partitions[KEY])) == (["a4"], ["a4"])
    assert [each.document.id for each in await store.find(Container.FLEET, kind="load", status="open", before=9)] == [
        "a4"
    ]
    await store.commit(KEY, [Create(id="a0", body={})])
    assert [each.id for each in await store.list(KEY, prefix="a", after="a0")] == ["a4"]
