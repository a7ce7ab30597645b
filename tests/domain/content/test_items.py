"""Does an item survive being stored?"""

from hypothesis import given

from domain.content.items import Item, ItemKind, ItemStatus, Role
from tests.domain import logs
from tests.domain.logs import through_json


@given(logs.items)
def test_an_item_is_read_as_it_was_written(item: Item) -> None:
    assert Item.from_document(item.id, through_json(item.to_document())) == item


def test_an_item_is_stored_under_names_that_stay() -> None:
    item = Item(id="fc_1", kind=ItemKind.FUNCTION_CALL, text="{}", name="f", call_id="c")
    assert item.to_document() == {
        "kind": "item",
        "v": 1,
        "item": "function_call",
        "role": "assistant",
        "text": "{}",
        "item_status": "completed",
        "name": "f",
        "call_id": "c",
    }


def test_an_item_is_never_found_by_its_status() -> None:
    item = Item(id="msg_1", role=Role.USER, status=ItemStatus.IN_PROGRESS)
    assert "status" not in item.to_document()
