"""Which of the conversation's turns does the model still read, where not all of them fit?

The oldest turns are left out first, whole; what the system and the developer said in them stays. A function's output
whose call is left out goes with it, for no model takes the one without the other.
"""

from collections.abc import Iterator, Sequence

from domain.content.items import Item, ItemKind, Role
from domain.fleet.token_estimates import MESSAGE_TOKENS, tokens_in, tokens_in_request

LASTING = (Role.SYSTEM, Role.DEVELOPER)

type Turn = tuple[Item, ...]


def turns_to_leave_out(past: Sequence[Turn], given: Turn, *, instructions: str, room: int) -> int:
    """Return how many of the oldest turns to leave out so that the rest has at most `room` tokens, by likely size.

    `given` is the new turn's input, which always stays: where it alone is too much, all the past is left out.
    """
    asked = [instructions, *(item.text for item in given)]
    size = tokens_in_request(asked).likely + sum(map(lasting_size, past))
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


def items_read(past: Sequence[Turn], given: Turn, *, left_out: int) -> Turn:
    """Return what the model reads: what lasts of the turns that are left out, the other turns, the new input."""
    lasting = (item for turn in past[:left_out] for item in turn if is_lasting(item))
    kept = [*lasting, *(item for turn in past[left_out:] for item in turn), *given]
    return tuple(with_calls(kept)) if left_out else tuple(kept)


def with_calls(items: Sequence[Item]) -> Iterator[Item]:
    """Yield items without the outputs of functions whose call is not among them."""
    called = {item.call_id for item in items if item.kind is ItemKind.FUNCTION_CALL}
    for item in items:
        if item.kind is not ItemKind.FUNCTION_OUTPUT or item.call_id in called:
            yield item
