"""How is an item stored that is larger than a document may be?

Its document has the beginning of the text and the number of its parts. The parts are documents of their own with the
pieces of the item's JSON; they are written before it and count only where it names them.
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Final

from clients.json_text import json_text
from clients.storage.damage import parsed
from clients.storage.paging import list_all, read_many
from clients.storage.port import BYTES_LIMIT, Body, Create, Delete, Document, DocumentKey, DocumentStore, Operation
from clients.storage.validation import encoded
from domain.content.items import Item
from domain.ids import thread_of

PARTS: Final = "part_"
PART_CHARACTERS: Final = 250_000
"""The characters of a part. In a document, each takes 6 bytes at most."""

WHOLE_BYTES: Final = BYTES_LIMIT // 4
"""An item up to this many bytes of JSON is one document."""

READ_AT_ONCE: Final = 500
"""So many items are read between two turns of the event loop."""

BEGINNING: Final = 20_000
"""The characters of a text that the document itself has; releases before this one read no more."""


def part_id(item_id: str, number: int) -> str:
    return f"{PARTS}{item_id}_{number:04d}"


def item_creates(item: Item) -> Iterator[Create]:
    """Yield what stores an item: its parts, if it has some, and its document last."""
    body = item.to_document()
    if len(item.text) + sum(len(image.url) for image in item.images) <= PART_CHARACTERS:
        whole = encoded(item.id, body)
        if len(whole) <= WHOLE_BYTES:
            yield Create(id=item.id, body=body, data=whole)
            return
    text = json_text(body)
    starts = range(0, len(text), PART_CHARACTERS)
    for number, start in enumerate(starts):
        piece = text[start : start + PART_CHARACTERS]
        yield create(part_id(item.id, number), {"kind": "item_part", "v": 1, "of": item.id, "data": piece})
    beginning = {**body, "text": item.text[:BEGINNING], "parts": len(starts)}
    beginning.pop("images", None)
    yield create(item.id, beginning)


def create(identifier: str, body: Body) -> Create:
    return Create(id=identifier, body=body, data=encoded(identifier, body))


async def items_from(store: DocumentStore, key: DocumentKey, documents: Sequence[Document]) -> Sequence[Item]:
    """Return the items of documents; those with parts are read in parallel. Others run between many of them."""
    large = [document for document in documents if document.body.get("parts")]
    joined = await asyncio.gather(*(item_from(store, key, document) for document in large))
    whole = {document.id: item for document, item in zip(large, joined, strict=True)}
    items: list[Item] = []
    for number, document in enumerate(documents):
        if number % READ_AT_ONCE == 0:
            await asyncio.sleep(0)
        items.append(whole.get(document.id) or document.read_with_id(Item.from_document))
    return items


async def item_from(store: DocumentStore, key: DocumentKey, document: Document) -> Item:
    """Return an item; only its beginning where its parts were deleted meanwhile."""
    count = document.body.get("parts", 0)
    if not count:
        return document.read_with_id(Item.from_document)
    parts = await read_many(store, key, [part_id(document.id, number) for number in range(count)])
    if not all(parts):
        return document.read_with_id(Item.from_document)
    data = "".join(part.body["data"] for part in parts if part)
    return parsed(document.id, lambda: Item.from_document(document.id, json.loads(data)))


async def delete_operations(store: DocumentStore, key: DocumentKey, names: Sequence[str]) -> Sequence[Operation]:
    """Return what deletes items with their parts; items of other threads have none in this partition."""
    own = {name for name in names if thread_of(name) in key.parts}
    parts = await list_all(store, key, prefix=PARTS) if own else ()
    return [Delete(id=name) for name in (*names, *(part.id for part in parts if item_of_part(part.id) in own))]


def item_of_part(identifier: str) -> str:
    return identifier.removeprefix(PARTS).rpartition("_")[0]
