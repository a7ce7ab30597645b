"""Is a parameter passed to a model that supports it, and rejected by name where no model does?"""

from typing import Any

import pytest

from clients.backends.chat_request import request_body
from domain.content.capabilities import Capability
from domain.content.sampling_parameters import ABILITIES, NEUTRAL, needed_capabilities, supported_parameters
from tests.api.abilities.test_tools import able
from tests.api.harness import api
from tests.fakes.backends import FakeBackend, says
from tests.fakes.worlds import backend

RESPONSES: list[tuple[str, Any, str, Any]] = [
    ("frequency_penalty", 0.5, "frequency_penalty", 0.5),
    ("presence_penalty", -2, "presence_penalty", -2),
    ("reasoning_effort", "high", "reasoning", {"effort": "high", "summary": None}),
    ("verbosity", "low", "text", {"format": {"type": "text"}, "verbosity": "low"}),
]
MESSAGES: list[Any] = [{"role": "user", "content": "hi"}]
CHATS: list[tuple[str, Any]] = [
    ("frequency_penalty", 0.5),
    ("presence_penalty", -2),
    ("reasoning_effort", "minimal"),
    ("verbosity", "high"),
    ("seed", 0),
    ("seed", -(2**62)),
    ("stop", ["\n", "end"]),
    ("logit_bias", {"42": -100}),
]


def body_with(field: str, value: Any) -> dict[str, Any]:
    members = {"reasoning": {"effort": value}, "text": {"verbosity": value}}
    return {"input": "hi", field: members.get(field, value)}


@pytest.mark.parametrize(("name", "value", "field", "returned"), RESPONSES)
async def test_a_response_passes_the_parameter_to_a_model_that_supports_it(
    name: str, value: Any, field: str, returned: Any
) -> None:
    fake = FakeBackend(says("hello"))
    answer = await able(fake, ABILITIES[name]).create(body_with(field, value))
    assert (answer.status_code, answer.json()[field]) == (200, returned)
    [call] = fake.calls
    assert request_body(backend("main"), call)[name] == value


@pytest.mark.parametrize(("name", "value", "field", "_returned"), RESPONSES)
async def test_a_response_is_rejected_by_name_where_no_model_supports_the_parameter(
    name: str, value: Any, field: str, _returned: Any
) -> None:
    answer = await api().create(body_with(field, value))
    error = answer.json()["error"]
    path = {"reasoning": "reasoning.effort", "text": "text.verbosity"}.get(field, name)
    assert (answer.status_code, error["param"], error["code"]) == (400, path, "unsupported_parameter")


@pytest.mark.parametrize(("name", "value"), CHATS)
async def test_a_chat_passes_the_parameter_to_a_model_that_supports_it(name: str, value: Any) -> None:
    fake = FakeBackend(says("hello"))
    one = able(fake, ABILITIES[name])
    answer = await one.http.post("/v1/chat/completions", json={"messages": MESSAGES, name: value})
    assert answer.status_code == 200
    [call] = fake.calls
    assert request_body(backend("main"), call)[name] == value


@pytest.mark.parametrize(("name", "value"), CHATS)
async def test_a_chat_is_rejected_by_name_where_no_model_supports_the_parameter(name: str, value: Any) -> None:
    answer = await api().http.post("/v1/chat/completions", json={"messages": MESSAGES, name: value})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, name, "unsupported_parameter")


async def test_of_two_parameters_the_unsupported_one_is_named() -> None:
    fake = FakeBackend(says("hello"))
    one = able(fake, Capability.STOP)
    answer = await one.http.post("/v1/chat/completions", json={"messages": MESSAGES, "seed": 1, "stop": "x"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "seed")
    assert fake.calls == []


async def test_a_single_stop_is_a_list_of_one() -> None:
    fake = FakeBackend(says("hello"))
    one = able(fake, Capability.STOP)
    await one.http.post("/v1/chat/completions", json={"messages": MESSAGES, "stop": "x"})
    assert fake.calls[0].sampling.parameters == {"stop": ["x"]}


NEUTRAL_VALUES: dict[str, Any] = {
    "frequency_penalty": 0,
    "presence_penalty": 0.0,
    "logit_bias": {"42": 0},
    "stop": [],
    "reasoning_effort": "none",
    "verbosity": "medium",
}


async def test_a_neutral_value_needs_no_model_that_supports_it() -> None:
    fake = FakeBackend(says("hello"))
    answer = await api(fake).http.post("/v1/chat/completions", json={"messages": MESSAGES, **NEUTRAL_VALUES})
    assert answer.status_code == 200
    assert request_body(backend("main"), fake.calls[0]).keys().isdisjoint(NEUTRAL_VALUES)


WRONG: list[tuple[str, Any, str]] = [
    ("frequency_penalty", 2.5, "frequency_penalty"),
    ("presence_penalty", False, "presence_penalty"),
    ("reasoning_effort", "some", "reasoning_effort"),
    ("verbosity", 1, "verbosity"),
    ("seed", 2**63, "seed"),
    ("seed", 0.5, "seed"),
    ("stop", ["a", "b", "c", "d", "e"], "stop"),
    ("stop", [""], "stop[0]"),
    ("logit_bias", {"42": 101}, "logit_bias.42"),
]


@pytest.mark.parametrize(("name", "value", "field"), WRONG)
async def test_a_wrong_value_is_named(name: str, value: Any, field: str) -> None:
    one = able(FakeBackend(says("hello")), *ABILITIES.values())
    answer = await one.http.post("/v1/chat/completions", json={"messages": MESSAGES, name: value})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)


def test_reasoning_is_disabled_explicitly_for_a_model_that_reasons() -> None:
    assert needed_capabilities(NEUTRAL) == {}
    assert supported_parameters(NEUTRAL, frozenset({Capability.REASONING})) == {"reasoning_effort": "none"}
