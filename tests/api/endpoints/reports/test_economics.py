"""Is the last published comparison shown to those of its tenant alone who may see the tenant's money?"""

from typing import Any

import httpx

from clients.storage.keys import money_key
from clients.storage.port import Create
from state.money.economics_runs import DOCUMENT
from tests.api.harness import OPERATOR, READER, Api, api

REPORT = {"usd": {"API alone": "0.070000000"}, "cheapest": "API alone"}


async def economics(one: Api, caller: str = "reader", **headers: str) -> httpx.Response:
    return await one.http.get("/v1/economics", headers={"authorization": f"Bearer {caller}", **headers})


async def publish(one: Api, report: dict[str, Any]) -> None:
    await one.world.app.state.economics_runs.publish(READER.tenant, report)


async def test_nothing_is_published_at_first() -> None:
    body = (await economics(api())).json()
    assert body == {"object": "economics", "published_at": None, "report": None}


async def test_the_last_published_run_is_shown_with_its_time() -> None:
    one = api()
    await publish(one, {"cheapest": "an earlier run"})
    one.world.clock.advance(60)
    await publish(one, REPORT)
    body = (await economics(one)).json()
    assert (body["published_at"], body["report"]) == (one.world.clock.now(), REPORT)


async def test_an_unchanged_run_is_not_sent_again() -> None:
    one = api()
    await publish(one, REPORT)
    tag = (await economics(one)).headers["etag"]
    assert (await economics(one, **{"if-none-match": tag})).status_code == 304
    await publish(one, {**REPORT, "cheapest": "GPU always on"})
    assert (await economics(one, **{"if-none-match": tag})).status_code == 200


async def test_it_needs_the_role_and_another_tenant_sees_nothing_of_it() -> None:
    one = api()
    await publish(one, REPORT)
    refused = await economics(one, "mine")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "insufficient_permissions")
    assert "Usage.Read" in refused.json()["error"]["message"]
    assert (await economics(one, "foreign")).json()["report"] is None
    assert OPERATOR.tenant == READER.tenant


async def test_a_damaged_run_is_none() -> None:
    one = api()
    await one.world.store.commit(money_key(READER.tenant), (Create(id=DOCUMENT, body={"kind": DOCUMENT, "v": 1}),))
    assert (await economics(one)).json()["report"] is None
