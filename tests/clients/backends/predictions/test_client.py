"""Is a prediction created once, read by its id to its end, and cancelled when its reader leaves?"""

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from copy import replace
from typing import Any

import httpx
import pytest

from clients.backends.credentials import HttpCall
from clients.backends.images import NoImages
from clients.backends.port import BackendCall, BackendError
from clients.backends.predictions.client import PredictionBackend, backend_client, billed_in, usage_in
from clients.backends.predictions.request import prediction_input
from domain.content.tools import FunctionTool, ToolConfig
from domain.fleet.catalog import Adapter, Backend
from domain.fleet.failure_classes import FailureClass, FailureKind, diagnose
from standins.systems.identities import SECRET
from standins.systems.predictions import Prediction
from tests.clients.backends.model_server import all_pieces, backend_at, call, end_of, text_of
from tests.contracts.backends.scene import asking
from tests.standins.systems.serving import ServedSystems, served_systems

pytestmark = pytest.mark.slow


class Token:
    def __init__(self, token: str) -> None:
        self.token = token

    async def header(self, backend: Backend, call: HttpCall) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    def rejected(self, backend: Backend) -> None:
        """Nothing is cached."""


@asynccontextmanager
async def replicate(
    *, rate: float = 0.0, token: str = SECRET
) -> AsyncGenerator[tuple[PredictionBackend, ServedSystems]]:
    async with served_systems(rate=rate) as served, httpx.AsyncClient(trust_env=False) as http:
        url = f"{served.origin}/v1/systems/replicate/v1/models/owner/name"
        backend = replace(backend_at(url), adapter=Adapter.REPLICATE)
        client = backend_client(backend, http, silence_s=5, credentials=Token(token), images=NoImages())
        assert isinstance(client, PredictionBackend)
        yield client, served


def predictions(served: ServedSystems) -> list[Prediction]:
    return list(served.systems.predictions.known.values())


async def test_a_prediction_is_read_to_its_end() -> None:
    async with replicate() as (client, served):
        answer = await all_pieces(client, asking("COUNT 20"))
        (found,) = predictions(served)
    assert text_of(answer) == " ".join(str(number) for number in range(1, 21))
    end = end_of(answer)
    assert (end.reason, len(answer)) == ("stop", 21)
    assert end.usage is not None
    assert (end.usage.input_tokens, end.usage.output_tokens) == (
        found.metrics["input_token_count"],
        found.metrics["output_token_count"],
    )
    assert end.billed_s == found.metrics["predict_time"]
    assert found.input["system_prompt"] == "Be brief."


@pytest.mark.parametrize("figure", [None, "3", -1, math.nan, math.inf, 10**400])
def test_a_figure_that_is_no_time_is_as_missing(figure: Any) -> None:
    assert billed_in({"predict_time": figure}) is None


@pytest.mark.parametrize("counts", [(-1, 5), (5, -1), ("5", 5), (5, None)])
def test_counts_that_are_none_are_as_missing(counts: tuple[Any, Any]) -> None:
    read, written = counts
    assert usage_in({"input_token_count": read, "output_token_count": written}) is None


async def test_a_prediction_that_exists_is_read_and_no_second_one_is_created() -> None:
    async with replicate(rate=200) as (client, served):
        name = await client.create(asking("COUNT 20"))
        for _ in range(2):
            assert text_of(await all_pieces(client, asking("COUNT 20", prediction=name))).endswith("19 20")
        assert len(predictions(served)) == 1


async def test_a_caller_that_leaves_cancels_its_prediction() -> None:
    async with replicate(rate=20) as (client, served):
        async with client.stream(asking("COUNT 500")) as pieces:
            await anext(pieces)
        (found,) = predictions(served)
        assert found.status == "canceled"


async def test_an_answer_at_its_limit_is_cut_off() -> None:
    async with replicate() as (client, _):
        assert end_of(await all_pieces(client, asking("COUNT 40", max_output_tokens=16))).reason == "length"


@pytest.mark.parametrize(
    ("prompt", "failure_class", "text_received"),
    [
        ("FAIL 429", FailureClass.THROTTLED, False),
        ("FAIL 500", FailureClass.BROKEN, False),
        ("FAIL reset @5 COUNT 20", FailureClass.BROKEN, True),
    ],
)
async def test_a_failure_has_its_class(prompt: str, failure_class: FailureClass, *, text_received: bool) -> None:
    async with replicate() as (client, _):
        with pytest.raises(BackendError) as caught:
            await all_pieces(client, asking(prompt))
    found = diagnose(caught.value.failure, ())
    assert (found.failure_class, caught.value.failure.text_received) == (failure_class, text_received)


async def test_a_wrong_token_and_a_forgotten_prediction_are_failures() -> None:
    async with replicate(token="another") as (client, _):
        with pytest.raises(BackendError) as caught:
            await all_pieces(client, asking("COUNT 2"))
    assert caught.value.failure.status == 401
    async with replicate() as (client, _):
        with pytest.raises(BackendError) as caught:
            await all_pieces(client, asking("COUNT 2", prediction="gone"))
    assert caught.value.failure.status == 404


def test_a_conversation_becomes_a_dialogue() -> None:
    found = prediction_input(backend_at("http://127.0.0.1:1/v1"), call(temperature=0.5))
    assert found["system_prompt"] == "Be brief.\n\nanswer in one word"
    assert found["prompt"] == "User: hello\n\nAssistant: hi\n\nUser: who?\n\nAssistant:"
    assert (found["max_tokens"], found["temperature"]) == (32, 0.5)


async def test_functions_have_no_form() -> None:
    request: BackendCall = asking("x", tools=ToolConfig(functions=(FunctionTool(name="look"),)))
    async with replicate() as (client, served):
        with pytest.raises(BackendError) as caught:
            await all_pieces(client, request)
        assert predictions(served) == []
    assert caught.value.failure.kind is FailureKind.INEXPRESSIBLE
