"""What must hold of every run of the whole product, whatever failed in it?"""

from collections import Counter
from decimal import Decimal
from itertools import groupby
from pathlib import Path

import pytest

from domain.errors import NotFound
from domain.log.events import EventKind
from domain.log.transcript import kept_items, read_log
from domain.money.attempt_charge import AttemptStatus
from domain.money.budgets import HELD, TAKEN, Budgets
from domain.money.ledger_records import AttemptRecord, ReservationStatus, nanos
from domain.turns.response import Response
from domain.turns.webhook_events import WebhookEndpoints
from state.money.ledger import Ledger, money_key
from state.turns.responses import TurnStore
from tests.activities.turns.test_campaign import TEXTS, events_of
from tests.devhost_campaigns.consistency import inconsistencies
from tests.simulation.callers import RESPONSES, TERMINAL, Caller
from tests.simulation.plan import Plan
from tests.simulation.product import OWNERS, Product, play
from tests.simulation.worker import ProductWorker


async def check(plan: Plan, folder: Path) -> Product:
    """Run a plan and check everything that it promises, while it runs and at its end."""
    product, worker = await play(plan, folder)
    admitted = await product.admitted()
    assert {caller.response for caller in product.callers if caller.response} <= {each.id for each in admitted}
    requests = Counter(each.options.metadata["request"] for each in admitted)
    assert max(requests.values(), default=1) == 1
    for response in admitted:
        await check_turn(product, response)
    for caller in product.callers:
        await check_caller(product, worker, caller)
    await check_counters(product)
    assert inconsistencies(product.hub.path) == []
    return product


async def check_caller(product: Product, worker: ProductWorker, caller: Caller) -> None:
    """What was streamed is what is kept, for its owner alone; nobody else gets in."""
    if not caller.response:
        return
    [end] = [event for event in caller.events if event["type"] in TERMINAL]
    path = f"{RESPONSES}/{caller.response}"
    kept = (await caller.exchange("GET", path)).json
    assert (kept["status"], kept["output"]) == (end["response"]["status"], end["response"]["output"])
    for item in kept["output"]:
        assert streamed(caller, item["id"]) == "".join(part["text"] for part in item["content"])
    [other] = [owner for owner in OWNERS if owner != caller.owner]
    assert (await caller.exchange("GET", path, token=caller.issuer.token(other))).status == 404
    assert (await caller.exchange("GET", path, token=caller.issuer.forged_token(caller.owner))).status == 401


def streamed(caller: Caller, item: str) -> str:
    """Return the text of an item as the caller read it, over all its connections."""
    parts = [event for event in caller.events if event["type"] == "response.output_text.delta"]
    return "".join(part["delta"] for part in parts if part["item_id"] == item)


async def check_counters(product: Product) -> None:
    """Nothing is held, and the counters have what the attempts cost: at least the bills of all processes."""
    key = money_key(OWNERS[0].tenant)
    attempts = [AttemptRecord.from_document(one.body) for one in await product.store.list(key, prefix="attempt_")]
    cost = sum((attempt.charge.cost or Decimal(0) for attempt in attempts), Decimal(0))
    assert cost >= sum(bill.dollars for bill in product.bills)
    for counter in await product.store.list(key, prefix="budget_tenant_"):
        assert (counter.body[HELD], counter.body[TAKEN]) == (0, nanos(cost))


async def check_turn(product: Product, response: Response) -> None:
    """One end, one writer after another, nothing lost or doubled, books settled, nothing for the other owner."""
    turns = TurnStore(product.store, product.clock, WebhookEndpoints())
    slots = await turns.slots(response.owner, response.id)
    events, log = events_of(slots), read_log(slots)
    assert [event.kind for event in events].count(EventKind.ENDED) == 1
    assert events[-1].kind is EventKind.ENDED
    writers = [writer for writer, _ in groupby(slots, key=lambda slot: slot.writer)]
    assert len(writers) == len(set(writers))
    assert all(
        any(text.startswith(item.text) for text in TEXTS) for item in log.items
    )  # may be empty: a turn may end early
    ended = await turns.read(response.owner, response.id)
    assert ended.status is log.status
    assert await turns.items(response.owner, ended.progress.output_items) == kept_items(log)
    await check_books(product, response)
    [other] = [owner for owner in OWNERS if owner != response.owner]
    with pytest.raises(NotFound):
        await turns.read(other, response.id)


async def check_books(product: Product, response: Response) -> None:
    ledger = Ledger(product.store, product.clock, Budgets())
    reservation = await ledger.reservation(response.owner, response.id)
    attempts = await ledger.attempts(response.owner, response.id)
    assert reservation is not None
    assert reservation.status is ReservationStatus.SETTLED
    assert all(
        attempt.charge.status is AttemptStatus.CLOSED for attempt in attempts
    )  # may be empty: a turn may end early
    assert reservation.cost is not None
    assert sum(attempt.charge.cost or 0 for attempt in attempts) >= reservation.cost
