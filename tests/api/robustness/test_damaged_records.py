"""Does every route answer clearly where a stored record is damaged, and does everything else go on?"""

import json
import logging
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from copy import replace
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from activities.maintenance.sweep import SweepDelays
from clients.storage.keys import response_key, slot_prefix
from clients.storage.port import DocumentKey
from tests.api.harness import Api, api
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import OWNER

DELAYS = SweepDelays(unbegun_s=30.0, silent_s=900.0, unsettled_s=60.0)
NO_JSON = {"text": b"not JSON", "no text": b"\xff\xfe", "list": b"[]", "nothing": b"", "null": b"null"}
READS = (
    *("v1/responses/{turn}", "v1/responses/{turn}/input_items", "v1/responses/{turn}/route"),
    "v1/responses/{turn}?stream=true",
    *("v1/conversations", "v1/conversations/{thread}", "v1/conversations/{thread}/items"),
    *("v1/chat/completions", "v1/chat/completions/{chat}", "v1/chat/completions/{chat}/messages"),
    *("v1/usage", "v1/budgets", "v1/turns", "v1/models"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One stored row."""

    key: DocumentKey
    identifier: str


@dataclass(slots=True, kw_only=True)
class Scene:
    one: Api
    store: MemoryStore
    ids: Mapping[str, str]

    def places(self) -> list[Place]:
        """Return the first row of each kind that has the same fields."""
        found: dict[tuple[str, ...], Place] = {}
        for key, rows in self.store.partitions.items():
            for name, row in rows.items():
                body = json.loads(row.data)
                found.setdefault((body["kind"], *sorted(body)), Place(key=key, identifier=name))
        return list(found.values())

    @contextmanager
    def holding(self, place: Place, data: bytes) -> Generator[None]:
        rows = self.store.partitions[place.key]
        before = rows[place.identifier]
        rows[place.identifier] = replace(before, data=data)
        try:
            yield
        finally:
            rows[place.identifier] = before

    async def answers(self) -> dict[str, httpx.Response]:
        paths = [template.format(**self.ids) for template in READS]
        found = {path: await self.one.http.get(f"/{path}") for path in paths}
        return found | {"v1/fleet": await self.one.http.get("/v1/fleet", headers={"authorization": "Bearer operator"})}


@asynccontextmanager
async def scene() -> AsyncGenerator[Scene]:
    """A turn in a conversation and a stored chat completion, both at their end."""
    one = api()
    thread = (await one.http.post("/v1/conversations", json={"items": [{"role": "user", "content": "hi"}]})).json()[
        "id"
    ]
    turn = (await one.create({"model": "model", "input": "hello", "conversation": thread})).json()["id"]
    message = {"role": "user", "content": "hello"}
    body = {"model": "model", "messages": [message], "store": True}
    chat = (await one.http.post("/v1/chat/completions", json=body)).json()["id"]
    await one.orchestrations.ended()
    store = one.world.store
    assert isinstance(store, MemoryStore)
    yield Scene(one=one, store=store, ids={"turn": turn, "thread": thread, "chat": chat})


def check_clear(answer: httpx.Response, place: Place) -> None:
    """A damaged record is reported by its id; nothing fails in another way."""
    if answer.status_code < 500:
        return
    error = answer.json()["error"]
    assert (error["code"], error["type"]) == ("damaged_record", "server_error"), (place, answer.text)
    assert place.identifier in error["message"]
    assert answer.headers["x-should-retry"] == "false"


def without_each_field(body: Mapping[str, Any]) -> Iterator[bytes]:
    for name in body:
        yield json.dumps({key: value for key, value in body.items() if key != name}).encode()


@pytest.mark.slow
@pytest.mark.parametrize("data", NO_JSON.values(), ids=NO_JSON)
async def test_a_row_that_is_no_json_is_named_by_the_routes_that_need_it(data: bytes) -> None:
    async with scene() as at:
        healthy = await at.answers()
        assert {answer.status_code for answer in healthy.values()} == {200}
        named = 0
        for place in at.places():
            with at.holding(place, data):
                answers = await at.answers()
            for answer in answers.values():
                check_clear(answer, place)
            named += any(answer.status_code == 500 for answer in answers.values())
        assert named > 5
        assert {answer.status_code for answer in (await at.answers()).values()} == {200}


@pytest.mark.slow
async def test_a_missing_field_of_any_record_is_no_unexpected_error() -> None:
    async with scene() as at:
        for place in at.places():
            body = json.loads(at.store.partitions[place.key][place.identifier].data)
            for data in without_each_field(body):
                with at.holding(place, data):
                    for answer in (await at.answers()).values():
                        check_clear(answer, place)


async def test_lists_leave_a_damaged_record_out_and_log_it(caplog: pytest.LogCaptureFixture) -> None:
    async with scene() as at:
        key = next(place.key for place in at.places() if place.identifier == at.ids["thread"])
        with at.holding(Place(key=key, identifier=at.ids["thread"]), b"x"), caplog.at_level(logging.ERROR):
            listed = await at.one.http.get("/v1/conversations")
    assert (listed.status_code, listed.json()["data"]) == (200, [])
    assert f"The stored record '{at.ids['thread']}' is damaged and cannot be read. It is skipped." in caplog.text


SHARED = ("budget_", "usage_", "rollup")
"""The counters of money that all turns of an owner or tenant change: no turn can pass them by."""


async def test_new_turns_run_whatever_record_of_an_older_one_is_damaged() -> None:
    async with scene() as at:
        for place in at.places():
            if place.identifier.startswith(SHARED):
                continue
            with at.holding(place, b"x"):
                answer = await at.one.create({"model": "model", "input": "hello", "max_output_tokens": 20})
                await at.one.orchestrations.ended()
            assert (answer.status_code, answer.json()["status"]) == (200, "completed"), (place, answer.text)


async def test_a_turn_fails_clearly_where_a_budget_is_damaged() -> None:
    """What was spent is unknown then, so nothing more is."""
    async with scene() as at:
        for place in at.places():
            if not place.identifier.startswith("budget_"):
                continue
            with at.holding(place, b"x"):
                answer = await at.one.create({"model": "model", "input": "hello", "max_output_tokens": 20})
                await at.one.orchestrations.ended()
            assert answer.json()["status"] == "failed"
            assert f"'{place.identifier}' is damaged" in answer.json()["error"]["message"]


async def test_the_sweep_goes_on_with_a_damaged_record() -> None:
    async with scene() as at:
        world = at.one.world
        for place in at.places():
            with at.holding(place, b"x"):
                at.one.orchestrations.hold = True
                left = (await at.one.create({"model": "model", "input": "hi", "background": True})).json()
                at.one.orchestrations.started.clear()
                at.one.world.clock.advance(60)
                sweep = world.sweep(DELAYS)
                await sweep.sweep(at.one.orchestrations)
            if "id" in left:
                assert left["id"] in at.one.orchestrations.started, place


@pytest.mark.parametrize("what", ["responses/{turn}", "conversations/{thread}"])
async def test_a_running_turn_with_a_damaged_log_and_its_conversation_can_be_deleted(what: str) -> None:
    async with scene() as at:
        at.one.orchestrations.hold = True
        body = {"model": "model", "input": "hi", "background": True, "conversation": at.ids["thread"]}
        turn = (await at.one.create(body)).json()["id"]
        key = response_key(OWNER, turn)
        for name, row in at.store.rows(key).items():
            if name.startswith(slot_prefix(turn)):
                at.store.put(key, name, replace(row, data=b"x"))
        path = what.format(turn=turn, thread=at.ids["thread"])
        assert (await at.one.http.get(f"/v1/responses/{turn}")).status_code == 500
        deleted = await at.one.http.delete(f"/v1/{path}")
        assert (deleted.status_code, deleted.json()["deleted"]) == (200, True)
        assert (await at.one.http.get(f"/v1/responses/{turn}")).status_code == 404
        assert at.one.orchestrations.cancelled == [turn]


async def test_a_log_with_a_slot_out_of_place_is_named_by_the_routes_that_need_it() -> None:
    async with scene() as at:
        log = slot_prefix(at.ids["turn"])
        key = response_key(OWNER, at.ids["turn"])
        last = max(name for name in at.store.rows(key) if name.startswith(log))
        body = {**json.loads(at.store.rows(key)[last].data), "first": 99}
        with at.holding(Place(key=key, identifier=last), json.dumps(body).encode()):
            answers = [each for each in (await at.answers()).values() if log in each.text]
    assert "damaged_record" in answers[0].text
    assert [each.status_code for each in answers] == [500, 200]
