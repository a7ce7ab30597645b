"""Does the scripted model continue exactly where a partial answer stopped?"""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from standins.scripted.chat_request import request_from_body
from standins.scripted.script import answer_to, failure_in
from standins.scripted.words import filler, tokens_of
from tests.standins.conftest import Opener, answer_text, chat_body, complete


def answer(text: str, partial: str | None, limit: int | None) -> tuple[str, str]:
    more = {} if limit is None else {"max_tokens": limit}
    ask = request_from_body(chat_body(text, partial, **more))
    _, command = failure_in(ask.last_text("user"))
    made = answer_to(ask, command, attempt=1)
    return "".join(made.pieces), made.finish


@given(
    text=st.sampled_from(["COUNT 40", "ECHO über  alles,\n\n🙂 and a-word-much-longer-than-twelve", "RECALL", "hello"]),
    at=st.integers(0, 500),
)
def test_any_partial_answer_continues_to_the_same_answer(text: str, at: int) -> None:
    whole, _ = answer(text, None, None)
    partial = whole[:at]
    assert answer(text, partial, None) == (whole[at:], "stop")


@given(limit=st.integers(1, 80), cut=st.integers(1, 80))
def test_a_saga_goes_on_beyond_each_limit(limit: int, cut: int) -> None:
    first, _ = answer("a saga", None, cut)
    more, finish = answer("a saga", first, limit)
    assert first + more == answer("a saga", None, cut + limit)[0]
    assert (len(tokens_of(more)), finish) == (limit, "length")


@given(st.text())
def test_tokens_join_to_exactly_the_text(text: str) -> None:
    assert "".join(tokens_of(text)) == text


@given(st.integers(0, 200))
def test_filler_has_as_many_tokens_as_asked(count: int) -> None:
    assert len(tokens_of(filler("seed", count))) == count


async def test_a_stream_continues_in_the_middle_of_a_number(model: httpx.AsyncClient) -> None:
    assert await answer_text(model, "COUNT 12", partial="1 2 3 4 5 6 7 8 9 1") == "0 11 12"


async def test_the_continuation_fields_of_vllm_are_accepted(model: httpx.AsyncClient) -> None:
    more = {"continue_final_message": True, "add_generation_prompt": False}
    assert await answer_text(model, "COUNT 5", partial="1 2", **more) == " 3 4 5"


async def test_the_continuation_fields_of_vllm_are_required_together(model: httpx.AsyncClient) -> None:
    asked = chat_body("COUNT 5", "1 2", continue_final_message=True)
    assert (await model.post("/v1/chat/completions", json=asked)).status_code == 400


async def test_the_partial_answer_counts_as_prompt(model: httpx.AsyncClient) -> None:
    usage = (await complete(model, chat_body("COUNT 5", "1 2")))["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (7, 3)


async def test_a_complete_partial_answer_leaves_an_empty_rest(model: httpx.AsyncClient) -> None:
    assert await answer_text(model, "COUNT 5", partial="1 2 3 4 5") == ""


async def test_vary_continues_any_partial_answer(model: httpx.AsyncClient) -> None:
    first = await answer_text(model, "VARY 2")
    assert (await answer_text(model, "VARY 2", partial=first[:12])).startswith(" ")


async def test_a_partial_answer_of_another_text_is_rejected(model: httpx.AsyncClient) -> None:
    answer = await model.post("/v1/chat/completions", json=chat_body("COUNT 5", "1 3"))
    assert answer.status_code == 400


@pytest.mark.parametrize("text", ["COUNT 5", "hello"])
async def test_a_model_without_continuation_rejects_a_partial_answer(open_model: Opener, text: str) -> None:
    model = await open_model(continues=False)
    answer = await model.post("/v1/chat/completions", json=chat_body(text, "1 2"))
    assert answer.status_code == 400
    assert "continue" in answer.json()["error"]["message"]
