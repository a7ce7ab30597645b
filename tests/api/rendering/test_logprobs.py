"""Does the official SDK get log probabilities in both APIs, streamed and whole, and again after a break?"""

from collections.abc import Mapping
from copy import replace
from typing import Any

import httpx
import openai
import pytest
from openai.types.responses import Response
from openresponses_types import types as open_responses

from clients.backends.chat_request import request_body
from clients.backends.port import AnswerEnd, TextPiece
from domain.content.capabilities import Capability
from domain.content.tools import FunctionCall
from domain.fleet.catalog import Backend, LogprobsMode
from domain.log.events import TokenUsage
from tests.activities.inference.test_answer_logprobs import scored
from tests.api.abilities.test_tools import WEATHER
from tests.api.harness import Api, api, events_of
from tests.api.test_sdk import sdk
from tests.checks import every
from tests.fakes.backends import FakeBackend, interrupted, says
from tests.fakes.worlds import backend

INCLUDE: Any = ["message.output_text.logprobs"]
TEXT = "four blackbirds"
SCORED = [scored("four"), scored(" blackbirds", -1.25), AnswerEnd(reason="stop", usage=TokenUsage(output_tokens=2))]
MESSAGES: Any = [{"role": "user", "content": "hi"}]


def deployed(main: LogprobsMode = LogprobsMode.YES, spare: LogprobsMode = LogprobsMode.NO) -> dict[str, Backend]:
    modes = {"main": main, "spare": spare}
    return {name: replace(backend(name), logprobs=mode) for name, mode in modes.items()}


def scoring(*fakes: FakeBackend, backends: Mapping[str, Backend] | None = None, tools: bool = False) -> Api:
    one = api(*(fakes or (FakeBackend(SCORED),)), deployed=backends or deployed())
    abilities = {Capability.TOOLS} if tools else set[Capability]()
    model = replace(one.world.fleet.models["model"], capabilities=frozenset(abilities))
    one.world.fleet.models["model"] = model  # type: ignore[index]
    return one


def text_of(made: Response) -> Any:
    """Return the text of the message."""
    message: Any = made.output[0]
    return message.content[0]


def calls_of(one: Api, name: str = "main") -> Any:
    return one.world.backends[name][1].calls  # type: ignore[union-attr]


async def test_a_response_has_them_in_its_text() -> None:
    one = scoring()
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="hi", include=INCLUDE, top_logprobs=2)
        assert await client.responses.retrieve(made.id) == made
    part = text_of(made)
    assert [(each.token, each.logprob, len(each.top_logprobs)) for each in part.logprobs] == [
        ("four", -0.5, 2),
        (" blackbirds", -1.25, 2),
    ]
    assert part.logprobs[0].bytes == list(b"four")
    assert made.top_logprobs == 2
    open_responses.OutputTextContent.model_validate(part.to_dict())
    [call] = calls_of(one)
    body = request_body(backend("main"), call)
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)


async def test_they_come_without_options_where_none_are_asked_for() -> None:
    one = scoring()
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="hi", include=INCLUDE)
    part = text_of(made)
    assert [each.top_logprobs for each in part.logprobs] == [[], []]
    assert made.top_logprobs == 0
    assert request_body(backend("main"), calls_of(one)[0])["top_logprobs"] == 1


async def test_the_number_of_options_alone_asks_for_them() -> None:
    async with sdk(scoring()) as client:
        made = await client.responses.create(model="auto", input="hi", top_logprobs=1)
    part = text_of(made)
    assert [len(each.top_logprobs) for each in part.logprobs] == [1, 1]


async def test_the_deltas_and_the_end_of_a_stream_have_them() -> None:
    async with sdk(scoring()) as client:
        stream = await client.responses.create(model="auto", input="hi", include=INCLUDE, top_logprobs=1, stream=True)
        events = [event async for event in stream]
    deltas = [event for event in events if event.type == "response.output_text.delta"]
    assert "".join(token.token for delta in deltas for token in delta.logprobs) == TEXT
    assert every(len(token.top_logprobs or ()) == 1 for delta in deltas for token in delta.logprobs)
    done = [event for event in events if event.type == "response.output_text.done"]
    assert [token.token for token in done[0].logprobs] == ["four", " blackbirds"]
    last: Any = events[-1]
    assert [token.token for token in last.response.output[0].content[0].logprobs] == ["four", " blackbirds"]


async def test_a_resumed_stream_has_the_same_bytes() -> None:
    one = scoring()
    body = {"model": "auto", "input": "hi", "include": INCLUDE, "top_logprobs": 2, "stream": True}
    whole = (await one.create(body)).text
    made = events_of(whole)[0]["response"]["id"]
    for after in (0, 3, 4, 5):
        again = await one.http.get(f"/v1/responses/{made}?stream=true&starting_after={after}")
        blocks = [block for block in whole.split("\n\n") if block and not block.startswith(":")]
        kept = [block for block in again.text.split("\n\n") if block and not block.startswith(":")]
        assert kept == blocks[after + 1 :]


async def test_a_chat_has_them_in_its_choice() -> None:
    async with sdk(scoring()) as client:
        chat = await client.chat.completions.create(
            model="auto", messages=MESSAGES, logprobs=True, top_logprobs=3, store=True
        )
        stored = await client.chat.completions.retrieve(chat.id)
    found = chat.choices[0].logprobs
    assert found
    assert found.content
    assert [(each.token, each.logprob, len(each.top_logprobs)) for each in found.content] == [
        ("four", -0.5, 3),
        (" blackbirds", -1.25, 3),
    ]
    assert stored.choices[0].logprobs == found


async def test_each_chunk_of_a_chat_has_those_of_its_text() -> None:
    async with sdk(scoring()) as client:
        stream = await client.chat.completions.create(model="auto", messages=MESSAGES, logprobs=True, stream=True)
        choices = [chunk.choices[0] async for chunk in stream if chunk.choices]
    for choice in choices:
        tokens = choice.logprobs.content if choice.logprobs else None
        assert "".join(token.token for token in tokens or ()) == (choice.delta.content or "")


async def test_a_continued_answer_goes_to_a_backend_that_has_them() -> None:
    broken = FakeBackend([scored("four"), *interrupted("")])
    none, has = FakeBackend(says("never")), FakeBackend([scored(" blackbirds", -1.25), SCORED[-1]])
    backends = {
        "main": replace(backend("main"), logprobs=LogprobsMode.YES),
        "none": backend("none"),
        "spare": replace(backend("spare"), logprobs=LogprobsMode.YES),
    }
    one = scoring(broken, none, has, backends=backends)
    async with sdk(one) as client:
        made = await client.responses.create(model="auto", input="hi", include=INCLUDE)
    part = text_of(made)
    assert "".join(each.token for each in part.logprobs) == made.output_text
    assert none.calls == []
    route = (await one.http.get(f"/v1/responses/{made.id}/route")).json()["route"]
    assert "this backend returns none" in str(route)


REJECTED: list[tuple[str, dict[str, Any], str]] = [
    ("responses", {"input": "hi", "include": INCLUDE}, "include[0]"),
    ("responses", {"input": "hi", "include": ["reasoning.encrypted_content", *INCLUDE]}, "include[1]"),
    ("responses", {"input": "hi", "top_logprobs": 4}, "top_logprobs"),
    ("chat/completions", {"messages": MESSAGES, "logprobs": True}, "logprobs"),
    ("chat/completions", {"messages": MESSAGES, "logprobs": True, "top_logprobs": 2}, "logprobs"),
]


@pytest.mark.parametrize(("path", "body", "field"), REJECTED)
@pytest.mark.parametrize("model", ["auto", "model@spare"])
async def test_they_are_rejected_by_name_where_no_chosen_backend_has_them(
    path: str, body: dict[str, Any], field: str, model: str
) -> None:
    main = LogprobsMode.YES if model != "auto" else LogprobsMode.NO
    fakes = FakeBackend(SCORED), FakeBackend(SCORED)
    one = scoring(*fakes, backends=deployed(main))
    answer = await one.http.post(f"/v1/{path}", json={"model": model, **body})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, field, "unsupported_parameter")
    assert "logprobs in the fleet file" in error["message"]


async def test_a_backend_that_has_them_without_tools_takes_no_turn_with_tools() -> None:
    text = scoring(backends=deployed(LogprobsMode.TEXT), tools=True)
    body = {"model": "auto", "input": "hi", "include": INCLUDE}
    assert (await text.create(body)).status_code == 200
    answer = await text.create({**body, "tools": [WEATHER]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "no_backend_feasible")
    assert "asks for log probabilities and has tools; this backend can't do both" in answer.text
    call = FunctionCall(name="weather", arguments="{}", call_id="c1")
    called = FakeBackend([AnswerEnd(reason="stop", usage=None, calls=(call,))])
    made = await scoring(called, tools=True).create({**body, "tools": [WEATHER]})
    assert [item["type"] for item in made.json()["output"]] == ["function_call"]


async def test_a_model_that_is_held_to_a_schema_writes_an_answer_with_them_as_text() -> None:
    """Only the history has calls; otherwise its answer would be JSON, and so would be the tokens."""
    one = scoring()
    model = replace(one.world.fleet.models["model"], capabilities=frozenset({Capability.JSON_SCHEMA}))
    one.world.fleet.models["model"] = model  # type: ignore[index]
    call = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}
    answer = await one.create({"model": "auto", "input": [call, result], "include": INCLUDE})
    part = answer.json()["output"][0]["content"][0]
    assert part["text"] == "".join(token["token"] for token in part["logprobs"]) == TEXT
    assert not calls_of(one)[0].is_held
    held = await one.create({"model": "auto", "input": [call, result], "tools": [WEATHER], "include": INCLUDE})
    assert (held.status_code, "can't do both" in held.text) == (400, True)


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("responses", {"input": "hi", "top_logprobs": 21}, "top_logprobs"),
    ("responses", {"input": "hi", "top_logprobs": -1}, "top_logprobs"),
    ("responses", {"input": "hi", "top_logprobs": False}, "top_logprobs"),
    ("responses", {"input": "hi", "top_logprobs": "0"}, "top_logprobs"),
    ("chat/completions", {"messages": MESSAGES, "logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    ("chat/completions", {"messages": MESSAGES, "logprobs": "yes"}, "logprobs"),
    ("chat/completions", {"messages": MESSAGES, "top_logprobs": 2}, "top_logprobs"),
    ("chat/completions", {"messages": MESSAGES, "logprobs": False, "top_logprobs": 2}, "top_logprobs"),
]


@pytest.mark.parametrize(("path", "body", "field"), WRONG)
async def test_a_wrong_value_is_named(path: str, body: dict[str, Any], field: str) -> None:
    answer = await scoring().http.post(f"/v1/{path}", json={"model": "auto", **body})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)


async def test_a_chat_of_no_tokens_ignores_them() -> None:
    body = {"model": "auto", "messages": MESSAGES, "max_tokens": 0, "logprobs": True, "top_logprobs": 2}
    answer: httpx.Response = await api().http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200
    assert answer.headers["x-ganglion-ignored"] == "logprobs, top_logprobs"


async def test_a_backend_that_sends_none_fails_the_turn_by_name() -> None:
    async with sdk(scoring(FakeBackend([TextPiece(text="four"), SCORED[-1]]))) as client:
        made = await client.responses.create(model="auto", input="hi", include=INCLUDE)
        assert made.status == "failed"
        assert made.error
        assert "log probabilities" in made.error.message
        with pytest.raises(openai.APIError, match="log probabilities"):
            await client.chat.completions.create(model="auto", messages=MESSAGES, logprobs=True)
