"""Which results of the server's tools are left out of a prompt before whole turns are?

The oldest ones first, and never those of the turn before the new one. The call stays, with a note for its result.
"""

from collections.abc import Iterable, Sequence
from copy import replace
from typing import Final

from domain.content.items import SERVER_CALLS, Item
from domain.turns.context_window import Turn, WindowRoom

LEFT_OUT: Final = "[This result was left out, because the conversation is too long.]"


def is_result(item: Item) -> bool:
    """Tell whether an item has a result that is longer than the note, or images."""
    return item.kind in SERVER_CALLS and (len(item.output or "") > len(LEFT_OUT) or bool(item.images))


def slim(item: Item) -> Item:
    return replace(item, output=LEFT_OUT, images=())


def results_in(turns: Iterable[Turn]) -> int:
    return sum(is_result(item) for turn in turns for item in turn)


def without_results(past: Sequence[Turn], count: int) -> tuple[Turn, ...]:
    """Return the turns without their `count` oldest results; the last turn keeps its own."""
    left, turns = count, list[Turn]()
    for turn in past[:-1]:
        kept: list[Item] = []
        for item in turn:
            leaves_out = left > 0 and is_result(item)
            left -= leaves_out
            kept.append(slim(item) if leaves_out else item)
        turns.append(tuple(kept))
    return (*turns, *past[-1:])


def results_to_leave_out(past: Sequence[Turn], *, room: WindowRoom) -> int:
    """Return how many of the oldest results to leave out so that the turns fit into a room.

    Where that is not enough, all of them but those of the last turn.
    """
    over, count = sum(map(room.size_of, past)) - room.tokens, 0
    for item in (item for turn in past[:-1] for item in turn if is_result(item)):
        if over <= 0:
            break
        over -= room.size_of((item,)) - room.size_of((slim(item),))
        count += 1
    return count
