r"""Are these operations valid, and as which bytes are they stored?

Every adapter enforces the limits of Azure Cosmos DB, so that code which works on one works on all: ids of printable
ASCII without / \ ? #, at most 255 characters; batches of 1 to 100 operations and 2 MB; at most ten counters an Add;
bodies nested at most 128 deep.
"""

import re
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from clients.json_text import LONG, dumped, json_bytes
from clients.storage.port import (
    BYTES_LIMIT,
    OPERATIONS_LIMIT,
    Add,
    Body,
    Container,
    Create,
    DocumentKey,
    Operation,
    Replace,
)
from domain.errors import Exhausted, Invalid

IDENTIFIER = re.compile(r"[^/\\?#]{1,255}")
TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')
COUNTERS_LIMIT = 10
NESTING_LIMIT = 128
PARTS = {Container.TURNS: 3, Container.MONEY: 1, Container.FLEET: 1}


def check_key(key: DocumentKey) -> None:
    """Raise ValueError where a key is not the full key of its container."""
    if len(key.parts) != PARTS[key.container] or not all(key.parts):
        raise ValueError(
            f"{key.parts!r} is not a full partition key of {key.container}: expected {PARTS[key.container]} parts"
        )


def check_identifier(identifier: str) -> None:
    if not (IDENTIFIER.fullmatch(identifier) and identifier.isascii() and identifier.isprintable()):
        raise Invalid(
            f"{identifier!a} is not a valid document id: expected 1 to 255 printable ASCII characters without / \\ ? #"
        )


def check_range(prefix: str, after: str) -> None:
    if not (prefix + after).isascii():
        raise Invalid(f"document ids are ASCII, but {prefix + after!a} is not")


def encoded(identifier: str, body: Body) -> bytes:
    """Return a body as JSON in UTF-8; raises Invalid for numbers that are not finite, lone surrogates and depth."""
    is_long = has_long_text(body)
    try:
        data = json_bytes(dict(body)) if is_long else dumped(dict(body)).encode()
    except (ValueError, RecursionError) as error:
        raise Invalid(f"document {identifier!r} cannot be written as JSON in UTF-8: {type(error).__name__}") from error
    if is_long and is_flat(body):
        return data
    if data.count(b"[") + data.count(b"{") > NESTING_LIMIT and depth(data) > NESTING_LIMIT:
        raise Invalid(f"document {identifier!r} is nested more than {NESTING_LIMIT} deep")
    return data


def has_long_text(body: Body) -> bool:
    for value in body.values():  # noqa: SIM110 - a generator takes twice as long, for every document that is written
        if isinstance(value, str) and len(value) >= LONG:
            return True
    return False


def is_flat(body: Body) -> bool:
    return not any(isinstance(value, dict | list | tuple) for value in body.values())


def written(operation: Create | Replace) -> bytes:
    """Return the stored bytes of the body that an operation writes."""
    known = operation.data if isinstance(operation, Create) else None
    return encoded(operation.id, operation.body) if known is None else known


def depth(data: bytes) -> int:
    """Return how deep JSON is nested."""
    brackets = (token for token in TOKENS.findall(data) if not token.startswith(b'"'))
    return max(accumulate(1 if bracket in b"[{" else -1 for bracket in brackets))


def payload(operation: Operation) -> bytes:
    """Return the stored bytes of an operation's body."""
    check_identifier(operation.id)
    match operation:
        case Create() | Replace():
            return written(operation)
        case Add() if len(operation.amounts.keys() | operation.at_most.keys()) > COUNTERS_LIMIT:
            raise Invalid(f"an Add changes at most {COUNTERS_LIMIT} counters")
        case _:
            return b""


def payloads(key: DocumentKey, operations: Sequence[Operation]) -> list[bytes]:
    """Return the bytes of every operation; raises Invalid where the batch exceeds a limit."""
    check_key(key)
    if not 1 <= len(operations) <= OPERATIONS_LIMIT:
        raise Invalid(f"a batch has 1 to {OPERATIONS_LIMIT} operations, not {len(operations)}")
    found = [payload(operation) for operation in operations]
    size = sum(map(len, found)) + sum(len(operation.id) for operation in operations)
    if size > BYTES_LIMIT:
        raise Invalid(f"a batch has at most {BYTES_LIMIT} bytes, not {size}")
    return found


def incremented(body: Body, operation: Add) -> dict[str, Any]:
    """Return a body with its counters increased; raises Exhausted where a sum would exceed its limit."""
    counters = operation.amounts.keys() | operation.at_most.keys()
    sums = {name: counter(body, name, operation.id) + operation.amounts.get(name, 0) for name in counters}
    exceeded = sorted(name for name, limit in operation.at_most.items() if sums[name] > limit)
    if exceeded:
        raise Exhausted(f"{operation.id!r} has reached its limit in {', '.join(exceeded)}", identifier=operation.id)
    return {**body, **{name: sums[name] for name in operation.amounts}}


def counter(body: Body, name: str, identifier: str) -> int:
    value = body.get(name, 0)
    if type(value) is not int:
        raise Invalid(f"field {name!r} of {identifier!r} is not a counter: expected a whole number")
    return value
