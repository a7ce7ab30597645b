"""Does every function call have its result, and every result its call, and in which order does a model read them?"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from domain.content.items import Item, ItemKind, ItemStatus


def call_ids(items: Iterable[Item], kind: ItemKind) -> set[str]:
    return {item.call_id for item in items if item.kind is kind}


def results_without_call(new: Sequence[Item], stored: Sequence[Item]) -> Iterator[int]:
    """Yield the positions of the new results whose call is neither stored nor before them."""
    called = call_ids(stored, ItemKind.FUNCTION_CALL)
    for index, item in enumerate(new):
        if item.kind is ItemKind.FUNCTION_CALL:
            called.add(item.call_id)
        elif item.kind is ItemKind.FUNCTION_OUTPUT and item.call_id not in called:
            yield index


def calls_without_result(new: Sequence[Item], stored: Sequence[Item]) -> Iterator[Item]:
    """Yield the calls without a result: the stored ones of turns that completed, then the new ones.

    A turn that did not complete stores its calls as incomplete: its caller was not asked to run them.
    """
    answered = call_ids((*stored, *new), ItemKind.FUNCTION_OUTPUT)
    asked = (*(item for item in stored if item.status is ItemStatus.COMPLETED), *new)
    for item in asked:
        if item.kind is ItemKind.FUNCTION_CALL and item.call_id not in answered:
            yield item


def without_open_calls(items: Iterable[Item], answered: Collection[str]) -> tuple[Item, ...]:
    """Return the items without the calls that have no result: backends reject such calls."""
    return tuple(item for item in items if item.kind is not ItemKind.FUNCTION_CALL or item.call_id in answered)


IN_ONE_STEP: Final = (ItemKind.FUNCTION_CALL, ItemKind.REASONING)


def results_behind_calls(items: Iterable[Item]) -> tuple[Item, ...]:
    """Return the items with each result behind the calls among which its call is.

    A user may say something before a result is there, but servers accept nothing between calls and their results.
    """
    steps: list[list[Item]] = []
    step_of: dict[str, list[Item]] = {}
    among_calls = False
    for item in items:
        is_result = item.kind is ItemKind.FUNCTION_OUTPUT and item.call_id in step_of
        if is_result:
            step_of[item.call_id].append(item)
        elif among_calls and item.kind in IN_ONE_STEP:
            steps[-1].append(item)
        else:
            steps.append([item])
        if item.kind is ItemKind.FUNCTION_CALL:
            step_of[item.call_id] = steps[-1]
        among_calls = item.kind is ItemKind.FUNCTION_CALL or (among_calls and item.kind is ItemKind.REASONING)
    return tuple(chain.from_iterable(steps))
