"""Does every function call have its result, and every result its call?"""

from collections.abc import Collection, Iterable, Iterator, Sequence

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
