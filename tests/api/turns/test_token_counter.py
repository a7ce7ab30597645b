"""Does a backend that is up count where the estimate leaves it open whether a prompt fits, and no other backend?"""

import asyncio
from copy import replace
from typing import Any

import pytest

from api.turns.token_counter import COUNT_S, BackendCounts, is_surely_up
from clients.backends.port import BackendCall, BackendError
from domain.fleet.backend_state import initial_state
from domain.fleet.catalog import ColdStart
from domain.fleet.failure_classes import Failure, FailureKind
from domain.turns.response import Sampling
from tests.api.harness import Api, api
from tests.domain.fleets import GPU as GPU_PRICE
from tests.fakes.backends import FakeBackend, says
from tests.fakes.clocks import START
from tests.fakes.worlds import backend

WINDOW = 4096
OUTPUT = 96
SCALES = ColdStart(scales_to_zero=True, p50_s=5, p99_s=60, idle_s=600)
GPU = replace(backend("main"), price=GPU_PRICE, cold_start=SCALES)


class WordCounter:
    """Counts words, as a server with a template of 30 tokens; or does what it is told to do."""

    def __init__(self, *, fails: Failure | None = None, hangs: bool = False) -> None:
        self.fails = fails
        self.hangs = hangs
        self.calls: list[BackendCall] = []

    async def count(self, call: BackendCall) -> int:
        self.calls.append(call)
        if self.fails:
            raise BackendError(self.fails)
        if self.hangs:
            await asyncio.Event().wait()
        return 30 + sum(len(item.text.split()) for item in call.items)


def words(number: int) -> str:
    """Return a text of so many tokens, of which the estimate expects 0.8 and takes 1.2 for likely."""
    return "day " * number


async def asked(one: Api, tokens: int, **more: Any) -> Any:
    """Ask with a prompt of so many tokens, by the server's count."""
    return await one.create({"model": "model", "input": words(tokens - 30), "max_output_tokens": OUTPUT, **more})


async def counted_by(one: Api, response: Any) -> str:
    record = (await one.http.get(f"/v1/responses/{response.json()['id']}/route")).json()
    return record["route"]["input_tokens"]["model"]["counted_by"]


async def test_a_prompt_of_98_percent_is_accepted_and_one_of_101_is_not() -> None:
    counter = WordCounter()
    one = api(prompt_counters={"main": counter})
    answer = await asked(one, WINDOW * 98 // 100 - OUTPUT)
    assert answer.json()["status"] == "completed"
    assert await counted_by(one, answer) == "backend"
    rejected = await asked(one, WINDOW * 101 // 100 - OUTPUT)
    error = rejected.json()["error"]
    assert (rejected.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", "input")
    assert "counted by a backend of the model" in error["message"]


@pytest.mark.parametrize("tokens", [100, 2 * WINDOW])
async def test_no_backend_is_asked_where_the_estimate_decides(tokens: int) -> None:
    counter = WordCounter()
    await asked(api(prompt_counters={"main": counter}), tokens)
    assert counter.calls == []


async def test_input_tokens_ask_a_backend_that_is_up() -> None:
    one = api(prompt_counters={"main": WordCounter()})
    answer = await one.http.post("/v1/responses/input_tokens", json={"model": "model", "input": words(10)})
    assert answer.json()["input_tokens"] == 40
    assert answer.headers["x-ganglion-counted-by"] == "backend"
    assert answer.headers["x-ganglion-counted-for"] == "model"


async def test_a_cold_backend_is_never_asked() -> None:
    counter = WordCounter()
    one = api(deployed={"main": GPU}, prompt_counters={"main": counter})
    answer = await asked(one, WINDOW * 98 // 100 - OUTPUT)
    assert answer.json()["error"]["code"] == "context_length_exceeded"
    assert counter.calls == []


async def test_a_count_is_a_request_that_keeps_the_gpu_warm() -> None:
    one = api(deployed={"main": GPU}, prompt_counters={"main": WordCounter()})
    states, clock = one.world.app.state.backend_states, one.world.clock
    assert (await asked(one, 100)).json()["status"] == "completed"
    clock.advance(200)
    counts = await one.http.post("/v1/responses/input_tokens", json={"model": "model", "input": "hi"})
    assert counts.headers["x-ganglion-counted-by"] == "backend"
    session = (await one.world.app.state.gpu_sessions.current(GPU)).session
    assert session is not None
    assert session.last_end == clock.now()
    assert (await asked(one, WINDOW * 98 // 100 - OUTPUT)).status_code == 200
    warmth = (await states.read({"main": GPU}))["main"].warmth
    assert warmth.warm_until is not None
    assert warmth.warm_until >= clock.now() + 590


async def test_in_the_second_half_of_its_idle_time_a_gpu_is_left_alone() -> None:
    state = initial_state(GPU)
    warm = replace(state, warmth=state.warmth.warm(START + 600))
    assert is_surely_up(GPU, warm, START + 299)
    assert not is_surely_up(GPU, warm, START + 301)
    at_work = replace(warm, load=state.load.with_attempt("a", until=START + 900, now=START))
    assert is_surely_up(GPU, at_work, START + 500)
    assert not is_surely_up(GPU, state, START)


@pytest.mark.parametrize(
    "counter", [WordCounter(hangs=True), WordCounter(fails=Failure(kind=FailureKind.REFUSED))], ids=["hangs", "refuses"]
)
async def test_without_a_count_in_time_the_estimate_decides(counter: WordCounter) -> None:
    answer = await asked(api(prompt_counters={"main": counter}), WINDOW * 98 // 100 - OUTPUT)
    assert "estimated from its bytes" in answer.json()["error"]["message"]
    assert len(counter.calls) == 1


def test_a_count_has_50_milliseconds() -> None:
    assert COUNT_S == 0.05


async def test_a_history_that_the_estimate_would_cut_is_read_whole_where_a_backend_counts_it() -> None:
    fake = FakeBackend(says("fine"))
    one = api(fake, prompt_counters={"main": WordCounter()})
    first = (await asked(one, 1500)).json()
    second = (await asked(one, 1500, previous_response_id=first["id"], truncation="disabled")).json()
    assert second["status"] == "completed"
    third = (await asked(one, 700, previous_response_id=second["id"], truncation="disabled")).json()
    assert third["status"] == "completed"
    assert len(fake.calls[2].items) == 5
    fourth = await asked(one, 500, previous_response_id=third["id"], truncation="disabled")
    assert fourth.json()["error"]["code"] == "context_length_exceeded"


async def test_backends_of_another_model_are_not_asked() -> None:
    counter = WordCounter()
    one = api(prompt_counters={"main": counter})
    state = one.world.app.state
    counts = BackendCounts(
        fleet=one.world.fleet,
        counters={"main": counter},
        backend_states=state.backend_states,
        sessions=state.gpu_sessions,
        clock=one.world.clock,
    )
    call = BackendCall(instructions=None, items=(), sampling=Sampling(), max_output_tokens=1)
    assert await counts.count("other", call, among=list(one.world.fleet.backends.values())) is None
    assert counter.calls == []
