"""Which finish reasons end an answer well, and what happens to a turn whose backend reports another one?"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from copy import replace
from dataclasses import dataclass

import httpx
import pytest
from aiohttp import web

from domain.fleet.catalog import FinishReason
from domain.fleet.failure_classes import Failure, FailureClass, FailureKind, FailureSignature, diagnose
from domain.log.events import ResponseStatus
from domain.turns.response import Response
from tests.clients.backends.model_server import (
    DONE,
    RESET,
    Act,
    ModelServer,
    backend_at,
    end_of,
    failure_in,
    frame,
    parsed,
    serving,
    usage,
)
from tests.fakes.backends import http_backend
from tests.fakes.clocks import FakeClock
from tests.fakes.stores import MemoryStore
from tests.fakes.worlds import PRICE, World

BAD_REASONS = ["abort", "error", "eos_token", "STOP", "cancelled", "stop "]


@pytest.mark.parametrize(
    ("reason", "end"),
    [
        ("stop", "stop"),
        ("tool_calls", "stop"),
        ("function_call", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
    ],
)
async def test_five_finish_reasons_end_an_answer_well(reason: str, end: str) -> None:
    assert end_of(await parsed(frame("a", reason=reason), DONE)).reason == end


@pytest.mark.parametrize("reason", BAD_REASONS)
@pytest.mark.parametrize("text", ["Half an ans", None])
async def test_every_other_finish_reason_is_a_failure(reason: str, text: str | None) -> None:
    failure = await failure_in(frame(text), frame(reason=reason), usage(), DONE)
    quoted = reason if reason.isidentifier() else ""
    assert failure == Failure(kind=FailureKind.FINISH_REASON, body=quoted, text_received=text is not None)
    assert diagnose(failure, ()).failure_class is FailureClass.BROKEN


@pytest.mark.parametrize("reason", ["x" * 65, "a b", "account 12\n34", "\u2028"])
async def test_a_finish_reason_that_is_not_a_word_is_not_quoted(reason: str) -> None:
    assert await failure_in(frame("a", reason=reason), DONE) == Failure(
        kind=FailureKind.FINISH_REASON, text_received=True
    )


async def test_a_failure_names_the_finish_reason() -> None:
    failure = await failure_in(frame("a", reason="abort"), DONE)
    reason = diagnose(failure, ()).reason
    assert reason == "finish reason 'abort' in mid-answer: it ended the answer without completing it"


async def test_a_signature_can_classify_one_finish_reason() -> None:
    row = FailureSignature(
        failure_class=FailureClass.THROTTLED, kinds=(FailureKind.FINISH_REASON,), body="abort", note="preempted"
    )
    failures = [await failure_in(frame("a", reason=reason), DONE) for reason in ("abort", "error")]
    classes = [diagnose(failure, (row,)).failure_class for failure in failures]
    assert classes == [FailureClass.THROTTLED, FailureClass.BROKEN]


@pytest.mark.parametrize(
    ("word", "reason", "end"),
    [
        ("eos_token", FinishReason.STOP, "stop"),
        ("end_turn", FinishReason.STOP, "stop"),
        ("max_tokens", FinishReason.LENGTH, "length"),
        ("SAFETY", FinishReason.CONTENT_FILTER, "content_filter"),
        ("tool_use", FinishReason.TOOL_CALLS, "stop"),
    ],
)
async def test_a_system_can_map_its_own_finish_reasons(word: str, reason: FinishReason, end: str) -> None:
    backend = replace(backend_at("http://model/v1"), finish_reasons={word: reason})
    assert end_of(await parsed(frame("a", reason=word), DONE, backend=backend)).reason == end


@dataclass(slots=True)
class AnsweringServer(ModelServer):
    """Performs the acts of one answer after the other, and those of the last answer for every further request."""

    answers: Sequence[Sequence[Act]] = ()

    async def exchange(self, request: web.Request) -> web.StreamResponse:
        self.acts = self.answers[min(len(self.requests), len(self.answers) - 1)]
        return await ModelServer.exchange(self, request)


@asynccontextmanager
async def served_turn(answers: Sequence[Sequence[Act]]) -> AsyncGenerator[tuple[ModelServer, Response, World]]:
    """Serve these answers, and give an admitted turn that requests them."""
    async with serving(AnsweringServer(answers=answers)) as server, httpx.AsyncClient(trust_env=False) as http:
        clock = FakeClock()
        backend = replace(backend_at(server.url), price=PRICE)
        client = http_backend(backend, http, silence_s=5)
        world = World(store=MemoryStore(clock), clock=clock, backends={"main": (backend, client)})
        yield server, await world.admit("hello", max_output_tokens=64), world


async def test_a_turn_tries_again_after_an_aborted_answer() -> None:
    aborted = [frame("Half an ans"), frame(reason="abort"), usage(), DONE]
    whole = [frame("Half an answer"), frame(reason="stop"), usage(), DONE]
    async with served_turn([aborted, whole]) as (server, response, world):
        await world.run(response)
        log = await world.log(response)
    assert (log.status, log.items[-1].text, len(server.requests)) == (ResponseStatus.COMPLETED, "Half an answer", 2)


@pytest.mark.parametrize("reason", ["abort", "error", "end_turn"])
async def test_a_turn_fails_when_every_answer_is_aborted(reason: str) -> None:
    async with served_turn([[frame("Half an ans"), frame(reason=reason), usage(), DONE]]) as (server, response, world):
        await world.run(response)
        log = await world.log(response)
    assert log.ending
    assert (log.status, log.ending.code) == (ResponseStatus.FAILED, "server_error")
    assert f"finish reason '{reason}'" in log.ending.message
    assert len(server.requests) > 1


async def test_a_bad_finish_reason_is_reported_even_when_the_connection_breaks_after_it() -> None:
    async with served_turn([[frame("one", reason="abort"), 0.05, RESET]]) as (_, response, world):
        await world.run(response)
        log = await world.log(response)
    assert log.status is ResponseStatus.FAILED
