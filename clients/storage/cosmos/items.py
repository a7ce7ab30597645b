"""How are documents and operations of the port expressed in Azure Cosmos DB?

An item is {id, the levels of its key, v, body, expires_at?, ttl?}: the body is nested, so that its fields may have any
name. Cosmos DB counts `ttl` from the last write and deletes late; readers use `expires_at`.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote, unquote

from msgspec import Struct, field

from clients.storage.cosmos.containers import LEVELS
from clients.storage.damage import stored_body
from clients.storage.port import (
    Add,
    Body,
    Container,
    Create,
    Delete,
    Document,
    DocumentKey,
    FoundDocument,
    Operation,
    Replace,
)
from clients.storage.validation import encoded, incremented
from domain.errors import Conflict, Invalid

type Item = Mapping[str, Any]

VERSION = 1
LATE_S = 60
LONGEST_TTL_S = 2**31 - 1
EXACT = 2**53
SAFE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")
ETAG = re.compile(r'(?P<etag>"[!#-~]+")(?: (?P<expires_at>[0-9.e+]+))?')
NO_ETAG = '"none"'
COUNTER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

LIST = """SELECT * FROM c WHERE STARTSWITH(c.id, @prefix) AND c.id > @after
AND (NOT IS_DEFINED(c.expires_at) OR c.expires_at > @now) ORDER BY c.id"""
FIND = """SELECT * FROM c WHERE c.body.kind = @kind AND c.body.status = @status AND c.body.at < @before
AND (NOT IS_DEFINED(c.expires_at) OR c.expires_at > @now) ORDER BY c.body.kind, c.body.status, c.body.at"""


class CosmosOperation(Struct, frozen=True, kw_only=True):
    """One operation of Cosmos DB; `origin` is the index of the port's operation that it belongs to."""

    origin: int
    name: str
    args: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict[str, Any])


def levels(key: DocumentKey) -> dict[str, str]:
    """Return the key as fields of an item; other characters than printable ASCII are percent-encoded."""
    parts = [quote(part, safe=SAFE, errors="surrogatepass") for part in key.parts]
    return dict(zip(LEVELS[key.container], parts, strict=True))


def key_of(container: Container, item: Item) -> DocumentKey:
    parts = [unquote(item[level], errors="surrogatepass") for level in LEVELS[container]]
    return DocumentKey(container=container, parts=tuple(parts))


def item_of(key: DocumentKey, operation: Create | Replace, now: float) -> dict[str, Any]:
    item: dict[str, Any] = {"id": operation.id, **levels(key), "v": VERSION, "body": dict(operation.body)}
    if operation.expires_at is not None:
        item |= {"expires_at": operation.expires_at, "ttl": ttl(operation.expires_at - now)}
    return item


def ttl(seconds: float) -> int:
    """Return a time to live that ends after `seconds`, also where the clocks differ a little."""
    return int(min(math.ceil(max(seconds, 0)) + LATE_S, LONGEST_TTL_S))


def expired(item: Item, now: float) -> bool:
    expires_at = item.get("expires_at")
    return expires_at is not None and expires_at <= now


def document_of(item: Item) -> Document:
    """Return the document; its etag carries when this version expires, so that a replacement needs no read."""
    expires_at = item.get("expires_at")
    etag = item["_etag"] if expires_at is None else f"{item['_etag']} {expires_at!r}"
    return Document(id=item["id"], body=stored_body(item["id"], item.get("body")), etag=etag)


def found_document(container: Container, item: Item) -> FoundDocument:
    return FoundDocument(key=key_of(container, item), document=document_of(item))


def etags_of(
    operations: Sequence[Operation], batch: Sequence[CosmosOperation], answers: Sequence[Item]
) -> Sequence[str]:
    """Return the etag of each document that a batch has created or replaced for good."""
    etags = {
        step.origin: answer.get("eTag") or answer.get("etag") for step, answer in zip(batch, answers, strict=False)
    }
    lasting = [isinstance(each, Create | Replace) and each.expires_at is None for each in operations]
    return [str(etags.get(origin) or "") if lasts else "" for origin, lasts in enumerate(lasting)]


def etag_condition(etag: str, now: float) -> str:
    """Return the etag for the condition; one that matches nothing where the etag is malformed or has expired."""
    parts = ETAG.fullmatch(etag)
    if not parts or (parts["expires_at"] and float(parts["expires_at"]) <= now):
        return NO_ETAG
    return parts["etag"]


def batch_operations(
    key: DocumentKey, operations: Sequence[Operation], *, absent: frozenset[int], now: float
) -> list[CosmosOperation]:
    """Return the operations of Cosmos DB for a batch; `absent` are the deletions whose document does not exist."""
    return [
        CosmosOperation(origin=origin, name=name, args=args, options=options)
        for origin, operation in enumerate(operations)
        for name, args, options in cosmos_operations(key, operation, absent=origin in absent, now=now)
    ]


type OperationCall = tuple[str, tuple[Any, ...], dict[str, Any]]


def cosmos_operations(key: DocumentKey, operation: Operation, *, absent: bool, now: float) -> list[OperationCall]:
    """Return the calls for one operation. A document that is written expired is deleted again.

    For the deletion of an absent document, a creation proves that it still does not exist.
    """
    match operation:
        case Create():
            create: OperationCall = ("create", (item_of(key, operation, now),), {})
            return [create, ("delete", (operation.id,), {})] if born_expired(operation, now) else [create]
        case Replace():
            options = {"if_match_etag": etag_condition(operation.etag, now)}
            whole = (operation.id, item_of(key, operation, now))
            gone = born_expired(operation, now)
            return [("delete", (operation.id,), options) if gone else ("replace", whole, options)]
        case Delete() if absent:
            proof = {"id": operation.id, **levels(key), "ttl": LATE_S}
            return [("create", (proof,), {}), ("delete", (operation.id,), {})]
        case Delete():
            options = {} if operation.etag is None else {"if_match_etag": etag_condition(operation.etag, now)}
            return [("delete", (operation.id,), options)]
        case Add():
            return [("patch", (operation.id, increments(operation)), {"filter_predicate": predicate(operation, now)})]


def born_expired(operation: Create | Replace, now: float) -> bool:
    return operation.expires_at is not None and operation.expires_at <= now


def increments(operation: Add) -> list[dict[str, Any]]:
    changes = [{"op": "incr", "path": f"/body/{name}", "value": by} for name, by in operation.amounts.items()]
    return changes or [{"op": "set", "path": "/v", "value": VERSION}]


def predicate(operation: Add, now: float) -> str:
    """Return the condition of an addition: counters are whole numbers, and sums stay within their limits."""
    terms = [f"(NOT IS_DEFINED(c.expires_at) OR c.expires_at > {now:.6f})"]
    for name in sorted(operation.amounts.keys() | operation.at_most.keys()):
        terms.append(f"(NOT IS_DEFINED(c.body.{name}) OR c.body.{name} % 1 = 0)")
        if name in operation.at_most:
            terms.append(limit_condition(name, operation.at_most[name] - operation.amounts.get(name, 0)))
    return f"FROM c WHERE {' AND '.join(terms)}"


def limit_condition(name: str, most: int) -> str:
    """Return the condition that a counter, which counts as 0 where it is absent, is at most `most`."""
    limit = f"c.body.{name} <= {most}"
    return f"(NOT IS_DEFINED(c.body.{name}) OR {limit})" if most >= 0 else limit


def check_numbers(operations: Sequence[Operation]) -> None:
    """Raise Invalid for whole numbers that a double cannot hold, and for counters that a path cannot name."""
    for operation in operations:
        match operation:
            case Create() | Replace():
                check_body(operation.id, dict(operation.body))
            case Add():
                names = operation.amounts.keys() | operation.at_most.keys()
                odd = [name for name in names if not COUNTER.fullmatch(name)]
                if odd:
                    raise Invalid(f"{odd[0]!a} is not a valid counter name: expected letters, digits and _")
            case Delete():
                continue


def check_body(identifier: str, value: Any) -> None:
    match value:
        case int() if abs(value) > EXACT:
            raise Invalid(f"document {identifier!r} contains {value}, which a double cannot represent exactly")
        case dict() | list() | tuple():
            for each in cast("Any", value.values() if isinstance(value, dict) else value):
                check_body(identifier, each)
        case _:
            return


def body_before(item: Item | None, before: Sequence[Operation], identifier: str, now: float) -> Body | None:
    """Return a document's body as an operation of a batch finds it, after the operations `before` it."""
    body: Body | None = None if item is None else item["body"]
    for operation in before:
        if operation.id != identifier:
            continue
        match operation:
            case Create() | Replace():
                body = None if born_expired(operation, now) else operation.body
            case Delete():
                body = None
            case Add():
                body = None if body is None else incremented(body, operation)
    return body


def check_addition(item: Item | None, before: Sequence[Operation], operation: Add, now: float) -> None:
    """Raise the reason why an addition is rejected; return where it would succeed now."""
    body = body_before(item, before, operation.id, now)
    if body is None:
        raise Conflict(f"{operation.id!r} is not as expected", identifier=operation.id)
    encoded(operation.id, incremented(body, operation))
