"""Is a prompt judged by the exact tokens of the model that may answer it?"""

from pathlib import Path
from typing import Any

import pytest

from clients.tokenizers.tokenizer_file import TokenizerFile
from domain.content.items import IMAGE_PLACEHOLDER
from domain.tokens.counts import exact_measure, tokens_in_prompt
from domain.tokens.estimates import MESSAGE_TOKENS, REQUEST_TOKENS
from domain.tokens.prompt_texts import PromptTexts
from tests.api.harness import Api, api
from tests.fakes.backends import FakeBackend, says
from tests.fakes.tokenizers import WordTokenizer, train

WINDOW = 4096
OUTPUT = 96
"""The tokens that the answers of these tests may have."""

MARGIN = MESSAGE_TOKENS + REQUEST_TOKENS


def words(number: int) -> str:
    return "weather " * number


def share(percent: int) -> str:
    """Return a text that fills the window, with its answer, to so many percent."""
    return words(WINDOW * percent // 100 - OUTPUT - MARGIN)


async def asked(one: Api, text: str, **more: Any) -> Any:
    body = {"model": "model", "input": text, "max_output_tokens": OUTPUT, **more}
    return await one.create(body)


def counting(**changes: Any) -> Api:
    return api(tokenizers={"model": WordTokenizer()}, **changes)


async def test_a_prompt_of_98_percent_of_the_window_is_accepted() -> None:
    answer = await asked(counting(), share(98))
    assert (answer.status_code, answer.json()["status"]) == (200, "completed")


async def test_the_estimate_would_have_rejected_it() -> None:
    answer = await asked(api(), share(98))
    assert answer.json()["error"]["code"] == "context_length_exceeded"
    assert "estimated from its bytes" in answer.json()["error"]["message"]


@pytest.mark.parametrize(("field", "path"), [("input", "responses"), ("messages", "chat/completions")])
async def test_a_prompt_of_101_percent_is_rejected_by_its_field(field: str, path: str) -> None:
    one = counting()
    body = {
        "responses": {"input": share(101), "max_output_tokens": OUTPUT},
        "chat/completions": {"messages": [{"role": "user", "content": share(101)}], "max_tokens": OUTPUT},
    }[path]
    answer = await one.http.post(f"/v1/{path}", json={"model": "model", **body})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", field)
    assert "counted with the model's tokenizer" in error["message"]
    assert one.orchestrations.started == []


async def test_the_tokenizer_of_a_file_decides_by_the_same_figures(tmp_path: Path) -> None:
    one = api(tokenizers={"model": TokenizerFile(train(tmp_path / "tokenizer.json"))})
    assert (await asked(one, " weather" * (WINDOW * 98 // 100 - OUTPUT - MARGIN))).status_code == 200
    assert (await asked(one, " weather" * (WINDOW * 101 // 100 - OUTPUT - MARGIN))).status_code == 400


async def test_a_tokenizer_that_is_not_loaded_is_waited_for_only_where_the_estimate_would_reject() -> None:
    tokenizer = WordTokenizer(is_loaded=False)
    one = api(tokenizers={"model": tokenizer})
    assert (await asked(one, "hi")).status_code == 200
    assert tokenizer.waited_s == [0.0]
    assert (await asked(one, share(98))).status_code == 200
    assert tokenizer.waited_s == [0.0, 5.0]


async def test_the_route_record_tells_how_the_tokens_were_counted() -> None:
    one = counting()
    answer = await asked(one, words(1000))
    record = (await one.http.get(f"/v1/responses/{answer.json()['id']}/route")).json()
    counted = record["route"]["input_tokens"]["model"]
    assert counted == {
        "tokens": 1000 + MARGIN,
        "expected": 1000 + MARGIN,
        "at_most": 1000 + MARGIN,
        "counted_by": "tokenizer",
    }


async def test_without_a_tokenizer_the_record_tells_of_the_estimate() -> None:
    one = api()
    answer = await asked(one, words(100))
    record = (await one.http.get(f"/v1/responses/{answer.json()['id']}/route")).json()
    assert record["route"]["input_tokens"]["model"]["counted_by"] == "estimate"


async def test_input_tokens_are_exact_and_the_header_says_so() -> None:
    answer = await counting().http.post("/v1/responses/input_tokens", json={"model": "model", "input": words(10)})
    assert answer.json() == {"object": "response.input_tokens", "input_tokens": 10 + MARGIN}
    assert answer.headers["x-ganglion-counted-by"] == "tokenizer"
    assert answer.headers["x-ganglion-counted-for"] == "model"


async def test_an_estimate_of_input_tokens_names_no_model() -> None:
    answer = await api().http.post("/v1/responses/input_tokens", json={"model": "model", "input": words(10)})
    assert answer.headers["x-ganglion-counted-by"] == "estimate"
    assert "x-ganglion-counted-for" not in answer.headers


async def test_a_history_that_fits_by_its_tokens_is_read_whole() -> None:
    backend = FakeBackend(says("fine"), says("fine"), says("fine"))
    one = api(backend, tokenizers={"model": WordTokenizer()})
    first = (await asked(one, words(1800))).json()
    second = (await asked(one, words(1800), previous_response_id=first["id"], truncation="disabled")).json()
    assert second["status"] == "completed"
    assert len(backend.calls[1].items) == 3
    third = await asked(one, words(600), previous_response_id=second["id"], truncation="disabled")
    assert third.json()["error"]["code"] == "context_length_exceeded"


async def test_the_reservation_follows_the_exact_count() -> None:
    """The ceiling of an estimate is a token a byte."""
    costs: list[int] = []
    for one in (counting(), api()):
        answer = await asked(one, words(300))
        record = (await one.http.get(f"/v1/responses/{answer.json()['id']}/route")).json()
        costs.append(record["route"]["input_tokens"]["model"]["at_most"])
    assert costs == [300 + MARGIN, 2400 + MARGIN]


def test_images_are_estimated_and_tools_get_a_margin() -> None:
    prompt = PromptTexts(messages=("a b c",), tools=("d " * 100, IMAGE_PLACEHOLDER))
    found = tokens_in_prompt(prompt, exact_measure(lambda text: len(text.split())))
    without_image = 3 + 100 + 3 * MESSAGE_TOKENS + REQUEST_TOKENS
    assert found.expected == without_image + 25 + 984
    assert found.likely == without_image + 25 + 1475
    assert found.ceiling == without_image + 75 + 4096
