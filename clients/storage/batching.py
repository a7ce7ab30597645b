"""What fits into one commit, and what is written before it?"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from clients.storage.port import BYTES_LIMIT, OPERATIONS_LIMIT, Create, Operation, Replace
from clients.storage.validation import encoded
from domain.content.items import Item, ItemStatus
from domain.errors import Invalid

MARGIN = 1000
"""Bytes left of a batch for what an adapter adds to it."""

ENDING_ROOM = 200_000
"""Bytes of a batch that the beginning of a turn leaves to its end, which repeats it and says more."""

LONGEST_TEXT = BYTES_LIMIT // 2
"""Bytes of JSON of one item's text; what is longer is cut, for no store would take it. The log has all of it."""


def create_operation(item: Item) -> Create:
    kept = storable(item)
    return Create(id=item.id, body=kept.to_document())


def storable(item: Item) -> Item:
    """Return an item that one commit has room for; a text that is cut makes it incomplete."""
    size = len(encoded(item.id, {"text": item.text}))
    if size <= LONGEST_TEXT:
        return item
    kept = item.text[: len(item.text) * LONGEST_TEXT // size]
    return storable(replace(item, text=kept, status=ItemStatus.INCOMPLETE))


def size_of(operation: Operation) -> int:
    body = encoded(operation.id, operation.body) if isinstance(operation, Create | Replace) else b""
    return len(body) + len(operation.id)


def split_to_fit(head: Sequence[Operation], rest: Sequence[Create]) -> tuple[Sequence[Create], Sequence[Create]]:
    """Return what of the rest must be written before, and what the commit of the head has room for: the last of it."""
    count = OPERATIONS_LIMIT - len(head)
    room = BYTES_LIMIT - MARGIN - sum(map(size_of, head))
    start = len(rest)
    while start > 0 and count > 0 and size_of(rest[start - 1]) <= room:
        start, count, room = start - 1, count - 1, room - size_of(rest[start - 1])
    return rest[:start], rest[start:]


def check_size(head: Sequence[Operation]) -> None:
    """Raise Invalid where the commit that ends a turn may have no room after this one, which begins it."""
    if sum(map(size_of, head)) > BYTES_LIMIT - ENDING_ROOM:
        raise Invalid("The turn is too large to be kept.", code="request_too_large")


def batches(operations: Sequence[Operation]) -> Iterator[Sequence[Operation]]:
    """Yield the operations in runs that one commit each has room for."""
    batch: list[Operation] = []
    size = MARGIN
    for operation in operations:
        if batch and (len(batch) == OPERATIONS_LIMIT or size + size_of(operation) > BYTES_LIMIT):
            yield batch
            batch, size = [], MARGIN
        batch.append(operation)
        size += size_of(operation)
    if batch:
        yield batch
