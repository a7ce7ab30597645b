"""What did an item of a batch, of a pipeline and of the cache cost, and how did its GPU come to be warm?"""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from tests.api.batches.jobs import create, ended, line
from tests.api.endpoints.test_usage import usage
from tests.api.harness import Api, api
from tests.api.pipelines.events import APP, EVENT, piped, send
from tests.fakes.backends import FakeBackend, says
from tests.fakes.worlds import OWNER

CACHED: dict[str, Any] = {"model": "model", "input": "sing", "temperature": 0, "metadata": {"cache_s": "60"}}
COUNTS = ("items", "warm_ups", "joins", "hits")


def counts(group: Any) -> dict[str, int]:
    return {name: group[name] for name in COUNTS}


async def test_each_batch_has_its_items_and_what_each_of_them_cost() -> None:
    one = api(FakeBackend(says("one two")))
    batches = [await create(one, [line(at) for at in range(number)]) for number in (3, 1)]
    await asyncio.gather(*(ended(one, each) for each in batches))
    await one.create({"model": "model", "input": "no item"})
    await one.orchestrations.ended()
    groups = {each["batch"]: each for each in (await usage(one, group_by="batch"))["data"]}
    assert set(groups) == {each["id"] for each in batches}
    for batch, number in zip(batches, (3, 1), strict=True):
        group = groups[batch["id"]]
        assert counts(group) == {"items": number, "warm_ups": 0, "joins": 0, "hits": 0}
        assert group["attempts"] == number
        assert Decimal(group["cost_per_item_usd"]) * number == Decimal(group["cost_usd"]) > 0
    (day,) = (await usage(one))["data"]
    assert day["attempts"] == 5
    assert "items" not in day


async def test_batches_are_paged_and_can_be_divided_by_backend() -> None:
    one = api(FakeBackend(says("one two")))
    made = [await create(one, [line(0)]) for _ in range(3)]
    await one.orchestrations.ended()
    first = await usage(one, group_by="batch", limit="2")
    second = await usage(one, group_by="batch", limit="2", after=first["last_id"])
    assert sorted(each["batch"] for page in (first, second) for each in page["data"]) == sorted(
        each["id"] for each in made
    )
    groups = (await usage(one, group_by="batch,backend"))["data"]
    assert {(each["backend"], each["items"], each["attempts"]) for each in groups} == {("", 1, 0), ("main", 0, 1)}
    assert {each["cost_per_item_usd"] for each in groups if each["backend"]} == {None}


async def test_a_pipeline_has_its_events_as_items_for_its_owner_and_its_tenant() -> None:
    one = piped(model=FakeBackend(says("one two")))
    for number in range(2):
        await send(one, EVENT | {"id": str(number)})
    for caller in ("reader", "operator"):
        (group,) = (await usage(one, caller, group_by="pipeline"))["data"]
        assert (group["pipeline"], group["items"], group["attempts"]) == ("tickets", 2, 2)
    rows = await one.world.app.state.usage_rows.of_owner(APP, first="2027-01-15", last="2027-01-15")
    assert {each.dimensions["origin"] for each in rows} == {"pipeline:tickets"}
    assert (await usage(one, group_by="pipeline"))["data"] == []


async def test_hits_of_the_cache_are_items_that_cost_no_call() -> None:
    one = api(FakeBackend(says("one two")), cache_s=3600.0)
    for _ in range(3):
        await one.create(CACHED)
        await one.orchestrations.ended()
    hit, miss = (await usage(one, group_by="cache"))["data"]
    assert (hit["cache"], counts(hit), hit["attempts"]) == (
        "hit",
        dict.fromkeys(COUNTS, 0) | {"items": 2, "hits": 2},
        0,
    )
    assert (miss["cache"], miss["items"], miss["hits"], miss["attempts"]) == ("miss", 1, 0, 1)
    assert Decimal(hit["cost_per_item_usd"]) < Decimal(miss["cost_per_item_usd"])


async def test_nobody_else_sees_the_batches_of_an_owner() -> None:
    one = api(FakeBackend(says("one two")))
    await ended(one, await create(one, [line(0)]))
    for caller in ("strange", "foreign", "accepter"):
        assert (await usage(one, caller, group_by="batch"))["data"] == []
    (seen,) = (await usage(one, "reader", group_by="owner,batch"))["data"]
    assert seen["owner"] == OWNER.subject


@pytest.mark.parametrize("by", ["batch,pipeline", "cache,batch", "origin"])
async def test_one_kind_of_item_is_reported_at_a_time(by: str) -> None:
    answer = await api().http.get("/v1/usage", params={"group_by": by})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "group_by")


async def lines_of_csv(one: Api, **query: str) -> list[str]:
    return (await one.http.get("/v1/usage", params=query)).text.splitlines()


async def test_items_are_part_of_the_csv_and_change_nothing_of_focus() -> None:
    one = api(FakeBackend(says("one two")))
    batch = await ended(one, await create(one, [line(0)]))
    header, row = await lines_of_csv(one, group_by="batch", format="csv")
    assert row.startswith(f"{batch['id']},1,")
    assert header.endswith(",items,cost_per_item_usd,warm_ups,joins,hits")
    assert await lines_of_csv(one, group_by="batch", format="focus") == await lines_of_csv(one, format="focus")
