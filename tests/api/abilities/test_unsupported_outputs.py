"""Are several answers, and log probabilities that no backend gives, rejected by the name of their field?"""

from typing import Any

import pytest

from tests.api.harness import api
from tests.fakes.backends import FakeBackend, says

RESPONSES: list[tuple[dict[str, Any], str]] = [
    ({"top_logprobs": 1}, "top_logprobs"),
    ({"top_logprobs": 20}, "top_logprobs"),
    ({"include": ["message.output_text.logprobs"]}, "include[0]"),
    ({"include": ["reasoning.encrypted_content", "message.output_text.logprobs"]}, "include[1]"),
]
CHATS: list[tuple[dict[str, Any], str]] = [
    ({"logprobs": True}, "logprobs"),
    ({"logprobs": True, "top_logprobs": 2}, "logprobs"),
    ({"n": 2}, "n"),
    ({"n": 128}, "n"),
    ({"n": 0}, "n"),
]
NEUTRAL: list[dict[str, Any]] = [{"n": 1}, {"n": None}, {"logprobs": False, "top_logprobs": 0}, {"logprobs": None}]


@pytest.mark.parametrize(("fields", "name"), RESPONSES)
async def test_log_probabilities_of_a_response_are_rejected(fields: dict[str, Any], name: str) -> None:
    fake = FakeBackend(says("never"))
    answer = await api(fake).http.post("/v1/responses", json={"model": "auto", "input": "hi", **fields})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, name, "unsupported_parameter")
    assert fake.calls == []


@pytest.mark.parametrize(("fields", "name"), CHATS)
async def test_several_answers_and_log_probabilities_of_a_chat_are_rejected(fields: dict[str, Any], name: str) -> None:
    fake = FakeBackend(says("never"))
    messages = [{"role": "user", "content": "hi"}]
    answer = await api(fake).http.post("/v1/chat/completions", json={"model": "auto", "messages": messages, **fields})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, name, "unsupported_parameter")
    assert fake.calls == []


@pytest.mark.parametrize("fields", NEUTRAL)
async def test_the_defaults_are_accepted(fields: dict[str, Any]) -> None:
    messages = [{"role": "user", "content": "hi"}]
    answer = await api().http.post("/v1/chat/completions", json={"model": "auto", "messages": messages, **fields})
    assert answer.status_code == 200
    assert len(answer.json()["choices"]) == 1
