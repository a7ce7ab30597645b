"""Which operations fit into one commit, and which are written before it?"""

from collections.abc import Iterator, Sequence

from clients.storage.port import BYTES_LIMIT, OPERATIONS_LIMIT, Create, Operation, Replace
from clients.storage.validation import written
from domain.errors import Invalid

MARGIN = 1000
"""Bytes of a batch that are left free for the fields that an adapter adds."""

COMPLETION_MARGIN = 200_000
"""Bytes that the first commit of a turn leaves free for its last commit, which writes the same documents with more."""


def size_of(operation: Operation) -> int:
    body = written(operation) if isinstance(operation, Create | Replace) else b""
    return len(body) + len(operation.id)


def split_to_fit(head: Sequence[Operation], rest: Sequence[Create]) -> tuple[Sequence[Create], Sequence[Create]]:
    """Return the part of the rest that must be written before, and the last part, which fits into the head's commit."""
    count = OPERATIONS_LIMIT - len(head)
    room = BYTES_LIMIT - MARGIN - sum(map(size_of, head))
    start = len(rest)
    while start > 0 and count > 0 and (size := size_of(rest[start - 1])) <= room:
        start, count, room = start - 1, count - 1, room - size
    return rest[:start], rest[start:]


def check_size(head: Sequence[Operation]) -> None:
    """Raise Invalid where the first commit of a turn is so large that its last commit may exceed the limit."""
    if sum(map(size_of, head)) > BYTES_LIMIT - COMPLETION_MARGIN:
        raise Invalid("The request is too large to be stored; send a shorter input.", code="request_too_large")


def batches(operations: Sequence[Operation]) -> Iterator[Sequence[Operation]]:
    """Yield the operations in batches that each fit into one commit."""
    batch: list[Operation] = []
    size = MARGIN
    for operation in operations:
        own = size_of(operation)
        if batch and (len(batch) == OPERATIONS_LIMIT or size + own > BYTES_LIMIT):
            yield batch
            batch, size = [], MARGIN
        batch.append(operation)
        size += own
    if batch:
        yield batch
