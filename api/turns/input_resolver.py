"""Which items does a turn add to its conversation, and under which ids?

The id of an item is derived from the id of its response: when a request is repeated, it writes the same items.
"""

from collections.abc import Sequence
from copy import replace

from api.parsing.input_items import InputItem, ItemReference
from api.turns.deliveries import digest
from domain.content.items import SERVER_CALLS, Item, ItemKind
from domain.errors import Invalid, NotFound
from domain.identity.owners import Owner
from domain.ids import member_id, own_token, thread_of
from domain.turns.conversations import PREFIXES
from state.turns.responses import TurnStore

NO_RESPONSE_TOKEN = "0" * 24
"""The token in the ids of items that are counted and never stored."""


READS = 8
"""So many referenced items are read before their size is checked."""

COPIED_BYTES = 262_144
"""The text and images that one request may copy by references, as many bytes as a body has by default."""

TOO_MUCH = f"The referenced items have more than {COPIED_BYTES:,} bytes together; send fewer references."


class InputResolver:
    """Resolves references in the input of a request, and gives its items their ids."""

    def __init__(self, turns: TurnStore) -> None:
        self.turns = turns

    async def resolve_all(self, owner: Owner, inputs: Sequence[InputItem], response_id: str) -> tuple[Item, ...]:
        """Return the input of a response as items with ids; raises Invalid for an unknown reference."""
        items = await self.resolve(owner, inputs)
        return tuple(with_ids(item, response_id, index) for index, item in enumerate(items))

    async def resolve(self, owner: Owner, inputs: Sequence[InputItem]) -> tuple[Item, ...]:
        """Return items, with copies of the stored items that references name; raises Invalid."""
        references = [each for each in inputs if isinstance(each, ItemReference)]
        found = await self.referenced(owner, references) if references else {}
        return tuple(copy_of(found[each.id]) if isinstance(each, ItemReference) else each for each in inputs)

    async def referenced(self, owner: Owner, references: Sequence[ItemReference]) -> dict[str, Item]:
        """Return the items that references name; raises Invalid for an unknown one, and where they are too large."""
        found: dict[str, Item] = {}
        copied = 0
        for start in range(0, len(references), READS):
            some = references[start : start + READS]
            found |= await self.turns.history_reader.existing_items(owner, {each.id for each in some} - found.keys())
            for reference in some:
                if reference.id not in found:
                    raise unknown_reference(reference)
                copied += size_of(found[reference.id])
            if copied > COPIED_BYTES:
                raise Invalid(TOO_MUCH, field=references[start].field, code="request_too_large")
        return found


def copy_of(item: Item) -> Item:
    """Return an item as another turn gets it: a request for an approval remains the same request."""
    return replace(item, approval=item.request_id) if item.kind is ItemKind.APPROVAL_REQUEST else item


def unknown_reference(reference: ItemReference) -> Invalid:
    error = NotFound.by_id("Item", reference.id)
    return Invalid(str(error), field=f"{reference.field}.id", code="item_not_found")


def size_of(item: Item) -> int:
    """Return the characters of an item's text and images."""
    return len(item.text) + sum(len(image.url) for image in item.images)


def with_ids(item: Item, response_id: str, index: int) -> Item:
    """Return an item with its id; a call that a server ran gets the id by which a model knows it."""
    named = replace(item, id=item_id(item, response_id, index))
    if item.kind not in (*SERVER_CALLS, ItemKind.APPROVAL_REQUEST) or item.call_id:
        return named
    return replace(named, call_id=f"call_{digest(named.id)[:24]}")


def item_id(item: Item, response_id: str, index: int) -> str:
    """Return an id that is derived from the response's and sorts beside others of its time."""
    time, suffix = token_of(response_id)[:12], digest(f"{response_id}:{index}")[:12]
    return member_id(PREFIXES[item.kind], thread=thread_of(response_id) or "", token=time + suffix)


def token_of(response_id: str) -> str:
    return own_token(response_id) if response_id else NO_RESPONSE_TOKEN
