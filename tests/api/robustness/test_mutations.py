"""Does a malformed body ever cause a server error, or store anything when it is rejected?"""

import os
import secrets
from random import Random
from typing import Any

import pytest

from state.rate_limits import DOCUMENT
from tests.api.harness import Api, api
from tests.api.robustness.mutations import VALID_BODIES, random_body
from tests.fakes.stores import MemoryStore

pytestmark = pytest.mark.slow

SEED = os.environ.get("TEST_SEED") or str(secrets.randbelow(10**9))
SAMPLED, ALL = 40, 250
"""The number of bodies for each path."""


def stored(one: Api) -> dict[str, Any]:
    """Return the stored documents except the rate limits, which count rejected requests too."""
    store = one.world.store
    assert isinstance(store, MemoryStore)
    rows = ((f"{key} {name}", name, row.data) for key in store.partitions for name, row in store.rows(key).items())
    return {place: data for place, name, data in rows if name != DOCUMENT}


async def send(path: str, body: bytes) -> None:
    """Send one body to a new server; an error has the API's shape and stores nothing."""
    one = api()
    conversation = (await one.http.post("/v1/conversations", json={})).json()["id"] if "{" in path else ""
    before = stored(one)
    answer = await one.http.post(path.format(conversation=conversation), content=body)
    await one.orchestrations.ended()
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert len(error["message"]) < 2000
        assert stored(one) == before


@pytest.mark.parametrize("path", VALID_BODIES)
@pytest.mark.parametrize(
    ("first", "after"), [(0, SAMPLED), pytest.param(SAMPLED, ALL, marks=pytest.mark.campaign, id="all")]
)
async def test_no_body_causes_a_server_error_and_a_rejected_body_stores_nothing(
    path: str, first: int, after: int
) -> None:
    for number in range(first, after):
        body = random_body(Random(f"{SEED}/{path}/{number}"), VALID_BODIES[path])  # noqa: S311 - a test's seed
        try:
            await send(path, body)
        except Exception as error:
            error.add_note(f"TEST_SEED={SEED}: body {number} of {path} is {body!r}")
            raise
