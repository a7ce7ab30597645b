"""Which turns of a conversation does the model read, where not all of them fit into its context window?

The oldest turns are left out first, as a whole, except for their system and developer messages. A function's output is
left out together with its call, because models reject an output without its call.
"""

from collections.abc import Iterator, Sequence

from domain.content.items import Item, ItemKind, Role
from domain.fleet.token_estimates import MESSAGE_TOKENS, tokens_in, tokens_in_request

LASTING = (Role.SYSTEM, Role.DEVELOPER)

type Turn = tuple[Item, ...]


def turns_to_leave_out(past: Sequence[Turn], new_input: Turn, *, instructions: str, room: int) -> int:
    """Return how many of the oldest turns to leave out so that the others have at most `room` likely tokens.

    `new_input` is always kept: where it alone exceeds the room, all earlier turns are left out.
    """
    texts = [instructions, *(item.text for item in new_input)]
    size = tokens_in_request(texts).likely + sum(map(lasting_size, past))
    for kept, turn in enumerate(reversed(past)):
        size += size_of(turn) - lasting_size(turn)
        if size > room:
            return len(past) - kept
    return 0


def size_of(turn: Turn) -> int:
    return sum(tokens_in(item.text).likely + MESSAGE_TOKENS for item in turn)


def lasting_size(turn: Turn) -> int:
    return size_of(tuple(item for item in turn if is_lasting(item)))


def is_lasting(item: Item) -> bool:
    return item.kind is ItemKind.MESSAGE and item.role in LASTING


def items_read(past: Sequence[Turn], new_input: Turn, *, left_out: int) -> Turn:
    """Return the model's input: lasting items of the turns that are left out, the other turns, and the new input."""
    lasting = (item for turn in past[:left_out] for item in turn if is_lasting(item))
    kept = [*lasting, *(item for turn in past[left_out:] for item in turn), *new_input]
    return tuple(with_calls(kept)) if left_out else tuple(kept)


def with_calls(items: Sequence[Item]) -> Iterator[Item]:
    """Yield the items, except function outputs whose call is missing."""
    called = {item.call_id for item in items if item.kind is ItemKind.FUNCTION_CALL}
    for item in items:
        if item.kind is not ItemKind.FUNCTION_OUTPUT or item.call_id in called:
            yield item
