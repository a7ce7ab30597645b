"""How are documents read and written in Azure Cosmos DB?

A single creation or addition is a point operation, every other commit a transactional batch: one request each. Even a
single replacement or deletion is a batch, because below the SDK aiohttp repeats a PUT or DELETE whose connection broke,
done or not. Only after a rejection is the document read: an expired one is deleted and counts as absent.
"""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from typing import Any

from azure.core.exceptions import AzureError
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from clients.clock import Clock
from clients.storage.cosmos.account import CosmosConnection, connect
from clients.storage.cosmos.errors import NOT_SET_UP, DocumentRejection, error_of, rejection_of
from clients.storage.cosmos.items import (
    FIND,
    LIST,
    CosmosOperation,
    Item,
    batch_operations,
    check_addition,
    check_numbers,
    document_of,
    etags_of,
    expired,
    found_document,
    levels,
)
from clients.storage.cosmos.settings import CosmosAccount
from clients.storage.port import Add, Container, Delete, Document, DocumentKey, FoundDocument, Operation
from clients.storage.validation import check_identifier, check_key, check_range, payloads
from domain.errors import Conflict, Terminal, Unavailable

MAX_ROUNDS = 20
RETRY_WITHIN_S = 1.0
FIRST_PAUSE_S = 0.01
PAGE = 1000
NOT_FOUND, EXISTS = 404, 409
POINTS = ("create", "patch")


class CosmosStore:
    """The store in one database. Its client starts at first use and ends with `close`."""

    def __init__(self, account: CosmosAccount, clock: Clock) -> None:
        self.account = account
        self.clock = clock
        self.connection: CosmosConnection | None = None
        self.containers: dict[Container, ContainerProxy] = {}
        self.opening = asyncio.Lock()
        self.open_at = 0.0
        self.closed = False

    async def read(self, key: DocumentKey, identifier: str) -> Document | None:
        check_key(key)
        check_identifier(identifier)
        item = await self.item(key, identifier)
        return document_of(item) if item and not expired(item, self.clock.now()) else None

    async def list(self, key: DocumentKey, *, prefix: str, after: str = "", limit: int = PAGE) -> Sequence[Document]:
        check_key(key)
        check_range(prefix, after)
        parameters = {"prefix": prefix, "after": after, "now": self.clock.now()}
        items = await self.query(key.container, LIST, parameters, limit, partition_key=partition(key))
        return [document_of(item) for item in items]

    async def commit(self, key: DocumentKey, operations: Sequence[Operation]) -> Sequence[str]:
        payloads(key, operations)
        check_numbers(operations)
        absent: frozenset[int] = frozenset()
        for _ in range(MAX_ROUNDS):
            batch = batch_operations(key, operations, absent=absent, now=self.clock.now())
            sent = await self.send(key, batch)
            if not isinstance(sent, DocumentRejection):
                return etags_of(operations, batch, sent)
            absent = await self.after_rejection(key, operations, batch[sent.step].origin, sent.status, absent)
        raise Unavailable("the documents of a commit kept changing; try again")

    async def find(
        self, container: Container, *, kind: str, status: str, before: float, limit: int = 100
    ) -> Sequence[FoundDocument]:
        parameters = {"kind": kind, "status": status, "before": before, "now": self.clock.now()}
        return [found_document(container, item) for item in await self.query(container, FIND, parameters, limit)]

    async def close(self) -> None:
        """Close the connections; every later call raises Unavailable."""
        self.closed = True
        async with self.opening:
            connection, self.connection = self.connection, None
        if connection:
            await connection.close()

    async def container(self, container: Container) -> ContainerProxy:
        async with self.opening:
            if self.closed:
                raise Unavailable("the store is closed")
            if container not in self.containers:
                self.containers[container] = await self.open_container(container)
            return self.containers[container]

    async def open_container(self, container: Container) -> ContainerProxy:
        """Return the container after reading it once: a later 404 is about a document."""
        connection = self.connection = self.connection or await self.open_connection()
        proxy = connection.client.get_database_client(self.account.database).get_container_client(container.value)
        try:
            await proxy.read()
        except CosmosResourceNotFoundError as error:
            raise Terminal(NOT_SET_UP) from error
        return proxy

    async def open_connection(self) -> CosmosConnection:
        """Connect to the account; callers that waited for a failed try get its result at once."""
        if self.clock.now() < self.open_at:
            raise Unavailable("the store cannot be reached")
        try:
            return await connect(self.account, now=self.clock.now())
        except AzureError:
            self.open_at = self.clock.now() + RETRY_WITHIN_S
            raise

    async def item(self, key: DocumentKey, identifier: str) -> Item | None:
        async def point_read() -> Item:
            container = await self.container(key.container)
            return await container.read_item(identifier, partition_key=partition(key))

        item = await self.send_with_retries(point_read, write=False)
        return None if isinstance(item, DocumentRejection) else item

    async def query(
        self, container: Container, text: str, values: dict[str, Any], limit: int, **where: Any
    ) -> Sequence[Item]:
        """Return at most `limit` items, read page by page; a failure returns none of them."""

        async def pages() -> Sequence[Item]:
            proxy: Any = await self.container(container)
            parameters = [{"name": f"@{name}", "value": value} for name, value in values.items()]
            found = proxy.query_items(text, parameters=parameters, max_item_count=min(limit, PAGE), **where)
            return await take(found, limit)

        items = await self.send_with_retries(pages, write=False) if limit > 0 else ()
        return () if isinstance(items, DocumentRejection) else items

    async def send(
        self, key: DocumentKey, batch: Sequence[CosmosOperation]
    ) -> Sequence[Mapping[str, Any]] | DocumentRejection:
        """Return what Cosmos DB answers to each operation."""

        async def write() -> Sequence[Mapping[str, Any]]:
            container = await self.container(key.container)
            if len(batch) == 1 and batch[0].name in POINTS:
                return [await send_point_operation(container, key, batch[0])]
            calls = [(step.name, step.args, step.options) for step in batch]
            return await container.execute_item_batch(calls, partition_key=partition(key))

        return await self.send_with_retries(write, write=True)

    async def send_with_retries[T](self, request: Callable[[], Awaitable[T]], *, write: bool) -> T | DocumentRejection:
        """Send a request; a read, or a write that was certainly not done, is repeated for `RETRY_WITHIN_S` seconds."""
        started, pause_s = self.clock.now(), FIRST_PAUSE_S
        while True:
            try:
                return await request()
            except AzureError as error:
                rejection = rejection_of(error)
                if rejection:
                    return rejection
                problem = error_of(error, write=write)
                delay_s = max(problem.delay_s, pause_s) if isinstance(problem, Unavailable) else RETRY_WITHIN_S
                if self.clock.now() - started + delay_s >= RETRY_WITHIN_S:
                    raise problem from error
            await self.clock.sleep(delay_s * (1 + self.clock.fraction() / 2))
            pause_s *= 2

    async def after_rejection(
        self, key: DocumentKey, operations: Sequence[Operation], origin: int, status: int, absent: frozenset[int]
    ) -> frozenset[int]:
        """Return the deletions whose document is absent, for the next round; raises the reason of a rejection."""
        operation = operations[origin]
        if isinstance(operation, Delete) and status in (NOT_FOUND, EXISTS):
            return absent | {origin} if status == NOT_FOUND else absent - {origin}
        item = await self.item(key, operation.id) if status != NOT_FOUND else None
        if item and expired(item, self.clock.now()):
            await self.delete_expired(key, item)
            return absent
        if isinstance(operation, Add):
            check_addition(item, operations[:origin], operation, self.clock.now())
            return absent
        raise Conflict(f"{operation.id!r} is not as expected", identifier=operation.id)

    async def delete_expired(self, key: DocumentKey, item: Item) -> None:
        """Delete an expired item, unless it was written again."""
        step = CosmosOperation(origin=0, name="delete", args=(item["id"],), options={"if_match_etag": item["_etag"]})
        await self.send(key, (step,))


def partition(key: DocumentKey) -> str | Sequence[str]:
    """Return the full partition key for the SDK: a list where it has several levels."""
    values = list(levels(key).values())
    return values if len(values) > 1 else values[0]


async def take(items: AsyncIterable[Item], limit: int) -> Sequence[Item]:
    """Return the first items, without requesting a page more than needed."""
    found: list[Item] = []
    async for item in items:
        found.append(item)
        if len(found) == limit:
            break
    return found


async def send_point_operation(container: ContainerProxy, key: DocumentKey, step: CosmosOperation) -> Mapping[str, Any]:
    """Send one operation as a request of its own; return the headers of the answer, which has no body."""
    if step.name == "create":
        created = await container.create_item(*step.args)
        return created.get_response_headers()
    identifier, changes = step.args
    patched = await container.patch_item(identifier, partition(key), changes, **step.options)
    return patched.get_response_headers()
