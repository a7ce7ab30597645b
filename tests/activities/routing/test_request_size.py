"""Has the size of a turn of `auto` the signs of how hard it is, through all rounds?"""

from activities.routing.request_size import added_size, size_of, with_added, with_added_tokens
from domain.content.items import Item, Role
from domain.fleet.catalog import AUTO
from tests.activities.test_route import world

CODE = Item(id="item", role=Role.USER, text="```x```")


async def test_the_size_of_a_turn_of_auto_has_its_signs() -> None:
    response = await world().admit("hello", model=AUTO)
    size = size_of(response, [CODE])
    grown = with_added_tokens(with_added(size, added_size(["a result"])), 100)
    assert size.get("signs") == grown.get("signs") == {"code": True, "turns": 0}


async def test_the_size_of_a_turn_that_names_its_model_has_none() -> None:
    assert "signs" not in size_of(await world().admit("hello", model="model"), [CODE])
