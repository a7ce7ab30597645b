"""Does the real model behave in the way that its callers rely on?"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.standins.conftest import chat_body
from tests.standins.programs import started_program
from tests.standins.sse import bodies_of, text_of

NO_REUSE = httpx.Limits(max_keepalive_connections=0)
QUESTION = "What is the capital of France?"


@pytest.fixture(scope="module")
def llama() -> Iterator[httpx.Client]:
    with (
        started_program("standins.llama", "--context", "512", "--slots", "2") as (_, port),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, limits=NO_REUSE) as client,
    ):
        yield client


def complete(client: httpx.Client, text: str, partial: str | None = None, **more: Any) -> dict[str, Any]:
    body = chat_body(text, partial, temperature=0, max_tokens=12, **more)
    return client.post("/v1/chat/completions", json=body).raise_for_status().json()


def test_it_serves_one_model_and_is_healthy(llama: httpx.Client) -> None:
    assert llama.get("/health").json() == {"status": "ok"}
    assert [model["id"] for model in llama.get("/v1/models").json()["data"]] == ["smollm2-135m-instruct"]


def test_a_stream_carries_text_a_finish_and_usage(llama: httpx.Client) -> None:
    more: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
    body = chat_body(QUESTION, temperature=0, max_tokens=12, **more)
    bodies = bodies_of(llama.post("/v1/chat/completions", json=body).text)
    assert len(text_of(bodies)) > 0
    assert bodies[-2]["choices"][0]["finish_reason"] == "length"
    assert bodies[-1]["usage"]["completion_tokens"] == 12
    assert bodies[-1]["usage"]["prompt_tokens"] > 10


def test_it_counts_a_prompt_as_its_usage_does(llama: httpx.Client) -> None:
    """The path and the field are those of `token_counting` in systems.toml."""
    for text in (QUESTION, "Die Donau fließt langsam weiter, 42 km. " * 8):
        prompt = {"model": "smollm2-135m-instruct", "messages": [{"role": "user", "content": text}]}
        counted = llama.post("/v1/chat/completions/input_tokens", json=prompt).raise_for_status().json()
        assert counted["input_tokens"] == complete(llama, text)["usage"]["prompt_tokens"]


def test_temperature_zero_gives_the_same_answer_each_time(llama: httpx.Client) -> None:
    answers = [complete(llama, QUESTION)["choices"][0]["message"]["content"] for _ in range(3)]
    assert len(set(answers)) == 1


def test_a_stream_continues_a_partial_answer(llama: httpx.Client) -> None:
    body = chat_body(QUESTION, "The capital of", temperature=0, max_tokens=12, stream=True)
    answer = llama.post("/v1/chat/completions", json=body)
    assert text_of(bodies_of(answer.text)).startswith(" France is Paris")


def test_without_a_stream_the_partial_answer_is_repeated(llama: httpx.Client) -> None:
    text = complete(llama, QUESTION, "The capital of")["choices"][0]["message"]["content"]
    assert text.startswith("The capital of France is Paris")


def test_a_prompt_that_is_too_long_is_rejected_with_the_sizes(llama: httpx.Client) -> None:
    answer = llama.post("/v1/chat/completions", json=chat_body("word " * 600))
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert error["type"] == "exceed_context_size_error"
    assert (error["n_ctx"], error["n_prompt_tokens"] > 600) == (512, True)


def logprobs_of(client: httpx.Client, **more: Any) -> tuple[str, str]:
    """Return the text of a stream and the tokens that its frames name."""
    body = chat_body(QUESTION, temperature=0, max_tokens=12, stream=True, logprobs=True, **more)
    bodies = bodies_of(client.post("/v1/chat/completions", json=body).raise_for_status().text)
    scored: list[Any] = [choice.get("logprobs") for body in bodies for choice in body["choices"]]
    named: list[str] = [token["token"] for each in scored if each for token in each["content"]]
    return text_of(bodies), "".join(named)


def test_its_log_probabilities_are_those_of_its_text(llama: httpx.Client) -> None:
    """This is the row `logprobs` in systems.toml; without options it returns none."""
    text, named = logprobs_of(llama, top_logprobs=1)
    assert named == text != ""
    assert logprobs_of(llama, top_logprobs=0) == (text, "")


def test_it_rejects_log_probabilities_together_with_tools(llama: httpx.Client) -> None:
    tool: Any = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    body = chat_body(QUESTION, max_tokens=1, stream=True, logprobs=True, top_logprobs=1, tools=[tool])
    answer = llama.post("/v1/chat/completions", json=body)
    assert (answer.status_code, "logprobs is not supported with tools" in answer.text) == (400, True)
