"""Which turns of a conversation does the model read, where not all of them fit into its context window?

The oldest turns are left out first, as a whole, except for their system and developer messages. A function's output is
left out together with its call, because models reject an output without its call. An earlier call that never got an
output is left out too.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from domain.content.call_pairs import call_ids, without_open_calls
from domain.content.items import Item, ItemKind, Role
from domain.tokens.counts import TokenMeasure
from domain.tokens.estimates import MESSAGE_TOKENS, tokens_in, tokens_in_request

LASTING = (Role.SYSTEM, Role.DEVELOPER)

type Turn = tuple[Item, ...]


class WindowRoom(Struct, frozen=True, kw_only=True):
    """How many tokens of a context window are left for instructions, history and input; `measure` counts theirs."""

    tokens: int
    measure: TokenMeasure = tokens_in

    @property
    def is_counted(self) -> bool:
        """Whether a tokenizer counts, which takes longer than an estimate."""
        return self.measure is not tokens_in

    def size_of(self, turn: Turn) -> int:
        return sum(self.measure(item.prompt_text).likely + MESSAGE_TOKENS for item in turn)

    def lasting_size(self, turn: Turn) -> int:
        return self.size_of(tuple(item for item in turn if is_lasting(item)))

    def size_of_new(self, new_input: Turn, instructions: str) -> int:
        texts = [instructions, *(item.prompt_text for item in new_input)]
        return tokens_in_request(texts, self.measure).likely


def turns_to_leave_out(past: Sequence[Turn], new_input: Turn, *, instructions: str, room: WindowRoom) -> int:
    """Return how many of the oldest turns to leave out so that the others have at most `room` likely tokens.

    `new_input` is always kept: where it alone exceeds the room, all earlier turns are left out.
    """
    size = room.size_of_new(new_input, instructions) + sum(map(room.lasting_size, past))
    for kept, turn in enumerate(reversed(past)):
        size += room.size_of(turn) - room.lasting_size(turn)
        if size > room.tokens:
            return len(past) - kept
    return 0


def is_lasting(item: Item) -> bool:
    return item.kind is ItemKind.MESSAGE and item.role in LASTING


def items_read(past: Sequence[Turn], new_input: Turn, *, left_out: int) -> Turn:
    """Return the model's input: lasting items of the turns that are left out, the other turns, and the new input."""
    lasting = (item for turn in past[:left_out] for item in turn if is_lasting(item))
    earlier = [item for turn in past[left_out:] for item in turn]
    answered = call_ids((*earlier, *new_input), ItemKind.FUNCTION_OUTPUT)
    kept = [*lasting, *without_open_calls(earlier, answered), *new_input]
    return tuple(with_calls(kept)) if left_out else tuple(kept)


def with_calls(items: Sequence[Item]) -> Iterator[Item]:
    """Yield the items, except function outputs whose call is missing."""
    called = {item.call_id for item in items if item.kind is ItemKind.FUNCTION_CALL}
    for item in items:
        if item.kind is not ItemKind.FUNCTION_OUTPUT or item.call_id in called:
            yield item
