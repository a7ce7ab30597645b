"""Where are the frozen documents, and how does a store get them?"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clients.storage.port import Container, Create, DocumentKey, DocumentStore

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenDocument:
    """A document as the first release stored it, with its partition and its id."""

    key: DocumentKey
    id: str
    body: dict[str, Any]


def frozen_json(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def frozen(container: Container, name: str) -> FrozenDocument:
    found = frozen_json(f"{container.value}/{name}")
    key = DocumentKey(container=container, parts=tuple(found["partition"]))
    return FrozenDocument(key=key, id=found["id"], body=found["body"])


def frozen_names(container: Container) -> list[str]:
    return sorted(file.stem for file in (FOLDER / container.value).glob("*.json"))


async def insert(store: DocumentStore, container: Container, *names: str) -> None:
    """Put frozen documents into a store."""
    for name in names:
        document = frozen(container, name)
        await store.commit(document.key, (Create(id=document.id, body=document.body),))


async def stored(store: DocumentStore, document: FrozenDocument) -> dict[str, Any] | None:
    """Return what a store has under the key and the id of a frozen document."""
    found = await store.read(document.key, document.id)
    return None if found is None else json.loads(json.dumps(found.body))


def as_json(body: object) -> Any:
    """Return a body as it is after a store has written and read it."""
    return json.loads(json.dumps(body))
