"""Does the scripted model serve the OpenAI chat API by its script?"""

import json
import time
from typing import Any, cast

import httpx
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageFunctionToolCall

from tests.checks import every
from tests.standins.conftest import Opener, answer_text, chat_body, complete, last_ended_request
from tests.standins.sse import bodies_of, text_of

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3}},
            "required": ["city", "days"],
        },
    },
}
CLOCK: dict[str, Any] = {
    "type": "function",
    "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}},
}


async def test_count_has_one_number_per_token_and_reports_that_usage(model: httpx.AsyncClient) -> None:
    body = await complete(model, chat_body("COUNT 12"))
    assert body["choices"][0]["message"]["content"] == "1 2 3 4 5 6 7 8 9 10 11 12"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"] == {"prompt_tokens": 5, "completion_tokens": 12, "total_tokens": 17}


async def test_a_stream_carries_the_text_then_the_finish_then_the_usage(model: httpx.AsyncClient) -> None:
    asked = chat_body("COUNT 3", stream=True, stream_options={"include_usage": True})
    answer = await model.post("/v1/chat/completions", json=asked)
    bodies = bodies_of(answer.text)
    assert answer.headers["content-type"] == "text/event-stream"
    assert text_of(bodies) == "1 2 3"
    assert [body["choices"][0]["finish_reason"] for body in bodies[:-1]] == [None, None, None, None, "stop"]
    assert bodies[-1]["choices"] == []
    assert bodies[-1]["usage"]["completion_tokens"] == 3


async def test_a_stream_without_the_option_carries_no_usage(model: httpx.AsyncClient) -> None:
    answer = await model.post("/v1/chat/completions", json=chat_body("COUNT 3", stream=True))
    assert every("usage" not in body for body in bodies_of(answer.text))


async def test_echo_keeps_the_text_exactly(model: httpx.AsyncClient) -> None:
    text = "Grüße,  two spaces,\n\na line and a-word-much-longer-than-twelve-characters 🙂"
    assert await answer_text(model, f"ECHO {text}") == text


async def test_recall_repeats_the_first_user_message(model: httpx.AsyncClient) -> None:
    turns = [("system", "Be kind."), ("user", "My name is Ada."), ("assistant", "Hello."), ("user", "RECALL")]
    messages = [{"role": role, "content": text} for role, text in turns]
    body = await complete(model, {"messages": messages})
    assert body["choices"][0]["message"]["content"] == "My name is Ada."


async def test_content_in_parts_is_read_as_its_text(model: httpx.AsyncClient) -> None:
    parts = [{"type": "text", "text": "ECHO one"}, {"type": "text", "text": " two"}]
    body = await complete(model, {"messages": [{"role": "user", "content": parts}]})
    assert body["choices"][0]["message"]["content"] == "one two"


async def test_a_limit_cuts_the_answer_with_finish_reason_length(model: httpx.AsyncClient) -> None:
    choice = (await complete(model, chat_body("COUNT 20", max_tokens=4)))["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("1 2 3 4", "length")


async def test_a_limit_that_fits_exactly_has_finish_reason_stop(model: httpx.AsyncClient) -> None:
    choice = (await complete(model, chat_body("COUNT 4", max_completion_tokens=4)))["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("1 2 3 4", "stop")


@pytest.mark.parametrize("question", ["Why is the sky blue?", "Hello!", "Tell me a story.", "And then?", "x"])
async def test_a_plain_question_gets_a_short_answer_with_finish_reason_stop(
    model: httpx.AsyncClient, question: str
) -> None:
    first = await complete(model, chat_body(question, max_tokens=1000))
    second = await complete(model, chat_body(question, max_tokens=1000))
    assert 20 <= first["usage"]["completion_tokens"] <= 40
    assert first["choices"][0]["finish_reason"] == "stop"
    assert first["choices"][0]["message"]["content"].endswith(".")
    assert first["choices"] == second["choices"]


async def test_plain_answers_have_different_lengths(model: httpx.AsyncClient) -> None:
    answers = [await answer_text(model, f"question {number}") for number in range(12)]
    assert {len(answer.split()) for answer in answers} == {20, 30, 40}


async def test_a_saga_fills_the_limit_and_is_the_same_each_time(model: httpx.AsyncClient) -> None:
    first = await complete(model, chat_body("Tell me a saga.", max_tokens=100))
    second = await complete(model, chat_body("Tell me a saga.", max_tokens=100))
    assert first["usage"]["completion_tokens"] == 100
    assert first["choices"] == second["choices"]
    assert first["choices"][0]["finish_reason"] == "length"


async def test_a_saga_without_a_limit_ends_after_five_thousand_tokens(model: httpx.AsyncClient) -> None:
    body = await complete(model, chat_body("Tell me a saga."))
    assert (body["usage"]["completion_tokens"], body["choices"][0]["finish_reason"]) == (5000, "stop")


async def test_other_messages_get_other_filler(model: httpx.AsyncClient) -> None:
    assert await answer_text(model, "one story") != await answer_text(model, "another story")


async def test_vary_differs_each_time_after_the_count(model: httpx.AsyncClient) -> None:
    first, second = await answer_text(model, "VARY 3"), await answer_text(model, "VARY 3")
    assert first.startswith("1 2 3 take 1 ")
    assert second.startswith("1 2 3 take 2 ")


async def test_tokens_come_at_the_rate(open_model: Opener) -> None:
    model = await open_model(rate=50, first_token_s=0.2)
    started = time.monotonic()
    await answer_text(model, "COUNT 20")
    assert time.monotonic() - started >= 0.6


async def test_required_calls_the_first_tool_with_arguments_by_its_schema(model: httpx.AsyncClient) -> None:
    body = await complete(model, chat_body("Will it rain?", tools=[WEATHER, CLOCK], tool_choice="required"))
    choice = body["choices"][0]
    call = choice["message"]["tool_calls"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "city", "days": 3}


async def test_a_named_tool_is_called(model: httpx.AsyncClient) -> None:
    named = {"type": "function", "function": {"name": "clock"}}
    body = await complete(model, chat_body("What time is it?", tools=[WEATHER, CLOCK], tool_choice=named))
    assert body["choices"][0]["message"]["tool_calls"][0]["function"] == {"name": "clock", "arguments": "{}"}


async def test_auto_answers_with_text(model: httpx.AsyncClient) -> None:
    assert await answer_text(model, "ECHO hello", tools=[WEATHER], tool_choice="auto") == "hello"


@pytest.mark.parametrize("prompt", ["Use clock.", "what does the Clock say?", "Please call the clock function now."])
async def test_a_prompt_that_names_a_tool_calls_it(model: httpx.AsyncClient, prompt: str) -> None:
    body = await complete(model, chat_body(prompt, tools=[WEATHER, CLOCK], tool_choice="auto"))
    (call,) = body["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "clock"


@pytest.mark.parametrize(
    ("prompt", "finish"),
    [
        ("What's the weather like in San Francisco?", "tool_calls"),
        ("Get weather for Oslo.", "tool_calls"),
        ("The weather is fine.", "stop"),
        ("Will it rain?", "stop"),
    ],
)
async def test_a_question_about_what_a_tool_gets_calls_it(model: httpx.AsyncClient, prompt: str, finish: str) -> None:
    function = {**cast("dict[str, object]", WEATHER["function"]), "name": "get_weather"}
    body = await complete(model, chat_body(prompt, tools=[{"type": "function", "function": function}]))
    assert body["choices"][0]["finish_reason"] == finish


@pytest.mark.parametrize("prompt", ["What is the clockwork?", "ECHO clock", "Hello."])
async def test_a_prompt_that_names_no_tool_is_answered(model: httpx.AsyncClient, prompt: str) -> None:
    body = await complete(model, chat_body(prompt, tools=[WEATHER, CLOCK], tool_choice="auto"))
    assert body["choices"][0]["finish_reason"] == "stop"


async def test_a_json_schema_is_answered_by_schema(model: httpx.AsyncClient) -> None:
    schema = {"type": "object", "properties": {"mood": {"enum": ["calm", "wild"]}}, "required": ["mood"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "mood", "schema": schema, "strict": True}}
    assert json.loads(await answer_text(model, "How are you?", response_format=wanted)) == {"mood": "calm"}


async def test_call_calls_a_tool_and_then_repeats_its_result(model: httpx.AsyncClient) -> None:
    asked = chat_body("CALL clock", tools=[WEATHER, CLOCK])
    called = (await complete(model, asked))["choices"][0]["message"]
    assert called["tool_calls"][0]["function"] == {"name": "clock", "arguments": "{}"}
    result = {"role": "tool", "tool_call_id": called["tool_calls"][0]["id"], "content": "noon"}
    told = await complete(model, asked | {"messages": [*asked["messages"], called, result]})
    assert told["choices"][0]["message"]["content"] == "clock said: noon"


async def test_call_passes_arguments_and_sees_the_images_of_the_result(model: httpx.AsyncClient) -> None:
    asked = chat_body('CALL clock {"zone": "UTC"}', tools=[CLOCK])
    called = (await complete(model, asked))["choices"][0]["message"]
    assert called["tool_calls"][0]["function"] == {"name": "clock", "arguments": '{"zone": "UTC"}'}
    result = {"role": "tool", "tool_call_id": called["tool_calls"][0]["id"], "content": "noon "}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    shown = {"role": "user", "content": [{"type": "text", "text": "see "}, image]}
    told = await complete(model, asked | {"messages": [*asked["messages"], called, result, shown]})
    assert told["choices"][0]["message"]["content"] == "clock said: see [image/png, 3 bytes]"


async def test_an_image_of_the_user_is_named_in_the_answer(model: httpx.AsyncClient) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/gif;base64,AAAA"}}
    body = chat_body("") | {"messages": [{"role": "user", "content": [{"type": "text", "text": "What?"}, image]}]}
    assert "I see [image/gif, 3 bytes]" in (await complete(model, body))["choices"][0]["message"]["content"]


async def test_the_openai_sdk_reads_a_streamed_tool_call(model: httpx.AsyncClient) -> None:
    async with AsyncOpenAI(base_url=f"{model.base_url}/v1", api_key="none") as client:
        tools: Any = [WEATHER]
        messages: Any = [{"role": "user", "content": "Will it rain?"}]
        async with client.chat.completions.stream(
            model="scripted", messages=messages, tools=tools, tool_choice="required"
        ) as stream:
            final = await stream.get_final_completion()
    call = (final.choices[0].message.tool_calls or [])[0]
    assert isinstance(call, ChatCompletionMessageFunctionToolCall)
    assert json.loads(call.function.arguments) == {"city": "city", "days": 3}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ([], None),
        ({"messages": []}, "messages"),
        ({"messages": ["hello"]}, "messages"),
        (chat_body("hello", max_tokens=0), "max_tokens"),
        (chat_body("hello", tools=[CLOCK], tool_choice={"function": {"name": "moon"}}), "tool_choice"),
        (chat_body("COUNT many"), "messages"),
        (chat_body("FAIL gently"), "messages"),
        (chat_body("hello", continue_final_message=True), "continue_final_message"),
    ],
)
async def test_a_bad_request_is_rejected_with_the_name_of_its_field(
    model: httpx.AsyncClient, body: Any, param: str | None
) -> None:
    answer = await model.post("/v1/chat/completions", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_a_body_that_is_not_json_is_rejected(model: httpx.AsyncClient) -> None:
    assert (await model.post("/v1/chat/completions", content=b"{")).status_code == 400


async def test_models_and_health_answer(model: httpx.AsyncClient) -> None:
    assert (await model.get("/v1/models")).json()["data"][0]["id"] == "scripted"
    assert (await model.get("/health")).json() == {"status": "ok"}


async def test_a_served_request_is_recorded(model: httpx.AsyncClient) -> None:
    headers = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    await model.post("/v1/chat/completions", json=chat_body("COUNT 7", model="m", max_tokens=9), headers=headers)
    entry = await last_ended_request(model)
    assert (entry["how"], entry["tokens"], entry["limit"], entry["model"]) == ("done", 7, 9, "m")
    assert entry["messages"] == [{"role": "user", "content": "COUNT 7"}]
    assert entry["traceparent"] == headers["traceparent"]


async def test_a_client_that_disconnects_is_recorded_long_before_the_answer_would_end(open_model: Opener) -> None:
    model = await open_model(rate=50)
    async with model.stream("POST", "/v1/chat/completions", json=chat_body("COUNT 500", stream=True)) as answer:
        await anext(answer.aiter_bytes())
    entry = await last_ended_request(model)
    assert entry["how"] == "client-closed"
    assert entry["tokens"] < 100


async def test_delete_clears_the_record(model: httpx.AsyncClient) -> None:
    await answer_text(model, "COUNT 1")
    assert (await model.delete("/admin/requests")).status_code == 204
    assert (await model.get("/admin/requests")).json() == {"requests": []}
