"""Does the bill of a turn include the function executions and store charges of its requests?"""

import asyncio
from decimal import Decimal

from clients.storage.port import Document, DocumentKey
from clients.storage.request_units import add_charge
from domain.money.overheads import FunctionsPrice, OverheadPrices, StorePrice
from tests.api.harness import Api, api
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import PRICE

BODY = {"input": "hi", "model": "model"}
PRICES = OverheadPrices(
    store=StorePrice(origin=PRICE.origin, million_units=Decimal(1_000_000)),
    functions=FunctionsPrice(
        origin=PRICE.origin, gb_second=Decimal(1), million_executions=Decimal(1_000_000), memory_gb=Decimal(1)
    ),
)
"""A unit, a second and an execution cost a dollar each."""


class PaidReads(MemoryStore):
    async def read(self, key: DocumentKey, identifier: str) -> Document | None:
        add_charge(0.25)
        return await super().read(key, identifier)


def paid() -> Api:
    clock = FakeClock()
    return api(FakeBackend(says("one two")), store=PaidReads(clock), clock=clock, overheads=PRICES)


async def bill(one: Api, name: str) -> tuple[Decimal, Decimal]:
    for _ in range(10):
        await asyncio.sleep(0)
    report = (await one.http.get(f"/v1/responses/{name}/route")).json()
    return Decimal(report["bill"]["functions_usd"]), Decimal(report["bill"]["store_usd"])


async def test_requests_that_create_or_stream_a_turn_are_billed_by_duration() -> None:
    one = paid()
    name = (await one.create(BODY)).json()["id"]
    await one.orchestrations.ended()
    functions, store = await bill(one, name)
    assert functions == 2
    assert store > 0
    for _ in range(2):
        await one.http.get(f"/v1/responses/{name}", params={"stream": "true"})
    again, more = await bill(one, name)
    assert again == 6
    assert more >= store
    (day,) = (await one.http.get("/v1/usage")).json()["data"]
    assert (Decimal(day["functions_usd"]), Decimal(day["store_usd"])) == (again, more)
    assert Decimal(day["cost_usd"]) == again + more + Decimal(day["backends_usd"])


async def test_a_poll_of_a_turn_is_not_billed() -> None:
    one = paid()
    name = (await one.create({**BODY, "background": True})).json()["id"]
    await one.orchestrations.ended()
    before = await bill(one, name)
    await one.http.get(f"/v1/responses/{name}")
    assert await bill(one, name) == before


async def test_costs_without_a_price_are_not_written() -> None:
    one = api(FakeBackend(says("one two")))
    name = (await one.create(BODY)).json()["id"]
    await one.orchestrations.ended()
    assert await bill(one, name) == (0, 0)
