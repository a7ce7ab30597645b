"""How does a test open the books of a cluster whose store is Cosmos DB?"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from clients.clock import SystemClock
from clients.storage.cosmos.settings import account_from
from clients.storage.cosmos.store import CosmosStore
from domain.money.budgets import Budgets
from domain.turns.webhook_events import WebhookEndpoints
from standins.cluster.local_cluster import LocalCluster
from state.money.ledger import Ledger
from state.turns.responses import TurnStore
from tests.end_to_end.books import Books


@asynccontextmanager
async def cosmos_books_of(cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Books]:
    """The store signs in as the application does: with a token of the managed identity."""
    settings = cluster.environment()
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        monkeypatch.setenv(name, settings[name])
    clock = SystemClock()
    store = CosmosStore(account_from(settings), clock)
    try:
        yield Books(
            store=cast("Any", store),
            turns=TurnStore(store, clock, WebhookEndpoints()),
            ledger=Ledger(store, clock, Budgets()),
        )
    finally:
        await store.close()
