"""What may one request cost at most, whatever its body: memory, stored bytes and time of the event loop?

docs/decisions/0091-bounds-of-a-request.md states the bounds.
"""

import asyncio
import gc
import json
import time
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from api.parsing.input_items import ITEMS_LIMIT
from api.routes import routes
from tests.api.harness import Api, api
from tests.api.robustness.hostile_bodies import FIELDS, bomb, hostile_bodies
from tests.fakes.stores import MemoryStore

MEMORY_FACTOR, MEMORY_BASE, MEMORY_PER_ITEM = 10, 4 * 2**20, 1280
STORED_FACTOR, STORED_BASE, STORED_PER_ITEM = 3, 16 * 2**10, 256
LONGEST_STALL_S = 0.1
MEASUREMENTS = 6
"""Other work on the machine only ever adds to a stall: the shortest of so many measurements is what the body costs."""
REFERENCE, REFERENCE_S = json.dumps(["abcdefgh"] * 100_000), 0.008
"""A text, and the seconds in which an idle processor of two cores reads it: a busy one is given more time."""
BODY_LIMIT = 262_144
INPUT_LIMIT = 16_777_216


async def prepared(path: str) -> tuple[Api, str]:
    """Return an API, and the path with the ids of existing objects."""
    one = api()
    conversation = (await one.http.post("/v1/conversations", json={})).json()["id"]
    chat = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], "store": True}
    completion = (await one.http.post("/v1/chat/completions", json=chat)).json()["id"]
    await one.orchestrations.ended()
    response = (await one.create({"input": "hi"})).json()["id"]
    await one.orchestrations.ended()
    return one, path.format(conversation=conversation, completion=completion, response=response)


async def send(one: Api, path: str, body: bytes) -> int:
    answer = await one.http.post(path, content=body)
    await one.orchestrations.ended()
    return answer.status_code


@pytest.fixture(autouse=True)
def own_garbage() -> None:
    """Leave the objects of all other tests to no collection: their number is not what a request costs.

    They stay frozen: what is unfrozen would be looked at again by each collection of every later test.
    """
    gc.collect()
    gc.freeze()


def stored_bytes(one: Api) -> int:
    store = one.world.store
    assert isinstance(store, MemoryStore)
    return sum(len(row.data) for rows in store.partitions.values() for row in rows.values())


@asynccontextmanager
async def longest_stall() -> AsyncGenerator[list[float]]:
    """Measure the longest time between two turns of the event loop, in seconds of processor time of this process."""
    longest = [0.0]

    async def tick() -> None:
        before = time.process_time()
        while True:
            await asyncio.sleep(0)
            now = time.process_time()
            longest[0] = max(longest[0], now - before)
            before = now

    ticking = asyncio.create_task(tick())
    try:
        yield longest
    finally:
        ticking.cancel()


async def stall_of(one: Api, address: str, body: bytes) -> float:
    """Return the longest stall that a body causes, in seconds of an idle processor.

    Measures again where it seems to be too long.
    """
    stalls: list[float] = []
    while len(stalls) < MEASUREMENTS and min(stalls, default=1.0) > LONGEST_STALL_S:
        pace = slowness()
        async with longest_stall() as longest:
            await send(one, address, body)
        stalls.append(longest[0] / max(pace, slowness()))
    return min(stalls)


def slowness() -> float:
    """Return how many times longer than an idle processor this one takes now; never less than 1."""
    before = time.process_time()
    json.loads(REFERENCE)
    return max(1.0, (time.process_time() - before) / REFERENCE_S)


def messages_in(body: bytes) -> int:
    """Return the messages of a body as far as a request may have them."""
    return min(body.count(b'"role"'), ITEMS_LIMIT)


def items_in(body: bytes) -> int:
    return body.count(b'"role"') + body.count(b'"type"') + body.count(b'"id"')


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", FIELDS)
async def test_no_body_costs_more_than_its_bounds(path: str) -> None:
    one, address = await prepared(path)
    problems: list[str] = []
    for name, body in hostile_bodies(path, BODY_LIMIT):
        before = stored_bytes(one)
        tracemalloc.start()
        status = await send(one, address, body)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        stored = stored_bytes(one) - before
        sent = min(len(body), BODY_LIMIT)
        if peak > MEMORY_FACTOR * sent + MEMORY_BASE + MEMORY_PER_ITEM * messages_in(body):
            problems.append(f"{name}: {len(body):,} bytes took {peak:,} bytes of memory ({status})")
        if stored > STORED_FACTOR * sent + STORED_BASE + STORED_PER_ITEM * items_in(body):
            problems.append(f"{name}: {len(body):,} bytes stored {stored:,} bytes ({status})")
        if status >= 500:
            problems.append(f"{name}: {status}")
    assert not problems, "\n".join(problems)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", FIELDS)
async def test_no_body_stalls_the_event_loop(path: str) -> None:
    one, address = await prepared(path)
    problems: list[str] = []
    for name, body in hostile_bodies(path, BODY_LIMIT):
        if (stall := await stall_of(one, address, body)) > LONGEST_STALL_S:
            problems.append(f"{name}: {stall * 1000:.0f} ms")
    assert not problems, "\n".join(problems)


WEIGHED = ("empty arrays", "names", "a wide text with an escape", "escapes", "messages of empty parts")
"""The kinds of large bodies whose memory is measured too: that takes ten times as long as to send them."""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "path", ["/v1/responses", pytest.param("/v1/chat/completions", marks=pytest.mark.campaign), "/v1/conversations"]
)
async def test_the_largest_bodies_cost_no_more_than_their_bounds(path: str) -> None:
    one, address = await prepared(path)
    problems: list[str] = []
    for name, body in hostile_bodies(path, INPUT_LIMIT):
        if "bomb" not in name:
            found = await problems_of(one, address, body, weighed=name.endswith(WEIGHED))
            problems += [f"{name}: {problem}" for problem in found]
    assert not problems, "\n".join(problems)


async def problems_of(one: Api, address: str, body: bytes, *, weighed: bool) -> list[str]:
    stall = await stall_of(one, address, body)
    found = [f"{stall * 1000:.0f} ms"] if stall > LONGEST_STALL_S else []
    if not weighed:
        return found
    tracemalloc.start()
    status = await send(one, address, body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    if peak > MEMORY_FACTOR * min(len(body), INPUT_LIMIT) + MEMORY_BASE:
        found.append(f"{len(body):,} bytes took {peak:,} bytes of memory ({status})")
    return found


def test_every_path_that_reads_a_body_is_tried() -> None:
    """`/v1/limits` reads a body, of `GANGLION_BODY_LIMIT` at most, only for those who may change limits.

    So do events, for those who may send them; tests/api/pipelines sends hostile ones.

    Forms of files have tests of their own. The others read no body.
    """
    posts = {f"/{route.template}" for route in routes(api().world.app.http) if route.methods == ("POST",)}
    tried = {
        path.replace("{conversation}", "{conversation_id}")
        .replace("{completion}", "{completion_id}")
        .replace("{response}", "{response_id}")
        for path in FIELDS
    }
    assert posts - tried == {
        "/v1/responses/{response_id}/cancel",
        "/v1/batches/{batch_id}/cancel",
        "/v1/fleet/{backend}/warm_up",
        "/v1/limits",
        "/v1/events/{pipeline}",
        "/v1/pipelines/{pipeline}/dead/{dead_id}",
        "/v1/files",
        "/v1/tools/{server_label}/{fingerprint}",
    }


BEGINNING = b'--B\r\nContent-Disposition: form-data; name="%s"; filename="a"\r\n\r\n'
FORMS: Mapping[str, Callable[[int], bytes]] = {
    "a file": lambda size: BEGINNING % b"file" + b"x" * size + b"\r\n--B--\r\n",
    "a field": lambda size: BEGINNING % b"other" + b"x" * size + b"\r\n--B--\r\n",
    "parts": lambda size: (BEGINNING % b"a" + b"\r\n") * (size // 60) + b"--B--\r\n",
    "headers": lambda size: b"--B\r\n" + b"a: b\r\n" * (size // 6) + b"\r\n",
    "a header": lambda size: b"--B\r\na: " + b"b" * size + b"\r\n\r\n",
    "almost boundaries": lambda size: BEGINNING % b"file" + b"\r\n--" * (size // 4) + b"\r\n--B--\r\n",
    "no boundary": lambda size: b"x" * size,
}
FORM_MEMORY = 8 * 2**20


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", FORMS)
async def test_no_form_costs_more_than_its_bounds(name: str) -> None:
    """A form arrives in pieces, so that its memory is bounded whatever its size is."""
    one, body = api(), FORMS[name](4_000_000)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    before = stored_bytes(one)
    tracemalloc.start()
    headers = {"content-type": "multipart/form-data; boundary=B"}
    answer = await one.http.post("/v1/files", content=pieces(), headers=headers)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    stored = stored_bytes(one) - before
    assert answer.status_code == 400
    assert stored <= STORED_BASE, "a form without a purpose leaves nothing"
    assert peak <= FORM_MEMORY + MEMORY_FACTOR // 2 * len(body), f"{peak:,} bytes"


async def test_copies_of_stored_items_are_bounded() -> None:
    one, address = await prepared("/v1/conversations/{conversation}/items")
    large = {"role": "user", "content": "x" * 100_000}
    added = (await one.http.post(address, json={"items": [large]})).json()["data"][0]["id"]
    before = stored_bytes(one)
    answer = await one.http.post(address, json={"items": [{"type": "item_reference", "id": added}] * 3})
    assert (answer.status_code, answer.json()["error"]["param"]) == (413, "items[0]")
    assert stored_bytes(one) - before < STORED_BASE


@pytest.mark.slow
async def test_sixty_bombs_store_nothing() -> None:
    one, address = await prepared("/v1/conversations")
    before = stored_bytes(one)
    for _ in range(60):
        assert (await one.http.post(address, json={"items": [bomb()]})).status_code == 400
    assert stored_bytes(one) - before < STORED_BASE
