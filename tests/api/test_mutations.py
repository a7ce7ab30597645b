"""Does any body, however wrong, break the server or leave something behind where it is refused?"""

import os
import secrets
from random import Random
from typing import Any

import pytest

from state.rate_limits import DOCUMENT
from tests.api.harness import Api, api
from tests.api.mutations import GOOD, drawn
from tests.fakes.stores import MemoryStore

SEED = os.environ.get("GANGLION_SEED") or str(secrets.randbelow(10**9))
SAMPLED, ALL = 40, 250
"""Bodies for each path."""


def kept(one: Api) -> dict[str, Any]:
    """Return what the store holds, but for how often somebody called, which a refused call counts towards too."""
    store = one.world.store
    assert isinstance(store, MemoryStore)
    rows = ((f"{key} {name}", name, row.data) for key in store.partitions for name, row in store.rows(key).items())
    return {place: data for place, name, data in rows if name != DOCUMENT}


async def tried(path: str, body: bytes) -> None:
    """Send one body to a server of its own; a refusal has the API's shape and leaves nothing."""
    one = api()
    made = (await one.http.post("/v1/conversations", json={})).json()["id"] if "{" in path else ""
    before = kept(one)
    answer = await one.http.post(path.format(conversation=made), content=body)
    await one.orchestrations.ended()
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert len(error["message"]) < 2000
        assert kept(one) == before


@pytest.mark.parametrize("path", GOOD)
@pytest.mark.parametrize(
    ("first", "after"), [(0, SAMPLED), pytest.param(SAMPLED, ALL, marks=pytest.mark.campaign, id="all")]
)
async def test_no_body_breaks_the_server_and_no_refused_one_leaves_anything(path: str, first: int, after: int) -> None:
    for number in range(first, after):
        body = drawn(Random(f"{SEED}/{path}/{number}"), GOOD[path])  # noqa: S311 - a test's seed
        try:
            await tried(path, body)
        except Exception as error:
            error.add_note(f"GANGLION_SEED={SEED}: body {number} of {path} is {body!r}")
            raise
