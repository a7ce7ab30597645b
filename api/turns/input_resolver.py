"""Which items does a turn add to its conversation, and under which ids?

The id of an item is derived from the id of its response: when a request is repeated, it writes the same items.
"""

from collections.abc import Sequence
from dataclasses import replace

from api.parsing.input_items import InputItem, ItemReference
from api.turns.deliveries import digest
from domain.content.items import Item
from domain.errors import Invalid, NotFound
from domain.identity.owners import Owner
from domain.ids import member_id, own_token, thread_of
from domain.turns.conversations import PREFIXES
from state.turns.responses import TurnStore

NO_RESPONSE_TOKEN = "0" * 24
"""The token in the ids of items that are counted and never stored."""


class InputResolver:
    """Resolves references in the input of a request, and gives its items their ids."""

    def __init__(self, turns: TurnStore) -> None:
        self.turns = turns

    async def resolve_all(self, owner: Owner, inputs: Sequence[InputItem], response_id: str) -> tuple[Item, ...]:
        """Return the input of a response as items with ids; raises Invalid for an unknown reference."""
        items = [await self.resolve(owner, each) for each in inputs]
        return tuple(replace(item, id=item_id(item, response_id, index)) for index, item in enumerate(items))

    async def resolve(self, owner: Owner, item: InputItem) -> Item:
        """Return an item, or a copy of the stored item that a reference names; raises Invalid."""
        return await self.referenced(owner, item) if isinstance(item, ItemReference) else item

    async def referenced(self, owner: Owner, reference: ItemReference) -> Item:
        try:
            return (await self.turns.items(owner, (reference.id,)))[0]
        except NotFound as error:
            raise Invalid(str(error), field=f"input[{reference.index}].id", code="item_not_found") from None


def item_id(item: Item, response_id: str, index: int) -> str:
    """Return an id that is derived from the response's and sorts beside others of its time."""
    time, suffix = token_of(response_id)[:12], digest(f"{response_id}:{index}")[:12]
    return member_id(PREFIXES[item.kind], thread=thread_of(response_id) or "", token=time + suffix)


def token_of(response_id: str) -> str:
    return own_token(response_id) if response_id else NO_RESPONSE_TOKEN
