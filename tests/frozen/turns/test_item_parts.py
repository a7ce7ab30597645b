"""Is an item that was stored in parts read as a whole?"""

from clients.storage.item_parts import item_creates, item_from
from clients.storage.port import Container
from domain.content.items import ImageInput, Item, Role
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.frozen.documents import frozen, insert

IMAGE = ImageInput(url="data:image/png;base64,AAAA", detail="low", at=4)


async def test_an_item_in_parts_is_read() -> None:
    store, head = MemoryStore(FakeClock()), frozen(Container.TURNS, "large_item")
    await insert(store, Container.TURNS, "large_item", "item_part_0", "item_part_1")
    document = await store.read(head.key, head.id)
    assert document
    item = await item_from(store, head.key, document)
    assert item == Item(id=head.id, role=Role.USER, text="See this.", images=(IMAGE,))


def test_parts_are_written_with_the_same_names() -> None:
    *parts, head = item_creates(Item(id=frozen(Container.TURNS, "large_item").id, text="x" * 600_000))
    part = frozen(Container.TURNS, "item_part_0")
    assert (parts[0].id, parts[0].body.keys()) == (part.id, part.body.keys())
    assert head.body.keys() == frozen(Container.TURNS, "large_item").body.keys()
