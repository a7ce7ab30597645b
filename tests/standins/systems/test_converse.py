"""Are the requests and answers of Bedrock's stand-in those of the service model of its own SDK?"""

import json
from collections.abc import AsyncIterator
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from standins.systems.chat import BadCall
from standins.systems.converse import ConverseDoor, chat_of, check, counted, events_of, whole

type Json = dict[str, Any]

SERVICE: Any = botocore.session.Session()
MODEL: Any = SERVICE.get_service_model("bedrock-runtime")
USAGE: Json = {"prompt_tokens": 17, "completion_tokens": 2, "total_tokens": 19}
CALL: Json = {"id": "c1", "function": {"name": "find", "arguments": '{"n"'}, "index": 0}
MORE: Json = {"function": {"arguments": ": 1}"}, "index": 0}
SECOND: Json = {"id": "c2", "function": {"name": "note", "arguments": ""}, "index": 1}


def chunk(delta: Json | None = None, finish: str | None = None, usage: Json | None = None) -> Json:
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish}] if usage is None else []
    return {"choices": choices, **({"usage": usage} if usage else {})}


TEXT = [chunk({"content": "Hel"}), chunk({"content": "lo"}), chunk(finish="stop"), chunk(usage=USAGE)]
CALLS = [
    chunk({"tool_calls": [CALL]}),
    chunk({"tool_calls": [MORE]}),
    chunk({"tool_calls": [SECOND]}),
    chunk(finish="tool_calls"),
    chunk(usage=USAGE),
]


def valid(value: Json, shape: Any) -> bool:
    validator: Any = ParamValidator()
    return not validator.validate(value, shape).generate_report()


def user(*content: Json) -> Json:
    return {"role": "user", "content": list(content)}


HI = user({"text": "hi"})
TOOLS: Json = {"tools": [{"toolSpec": {"name": "find", "inputSchema": {"json": {"type": "object"}}}}]}
USED: Json = {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "find", "input": {"n": 1}}}]}
RESULT = user({"toolResult": {"toolUseId": "t", "content": [{"text": "found"}]}})


@pytest.mark.parametrize("chunks", [TEXT, CALLS])
def test_every_event_and_the_whole_answer_have_the_form_of_the_service_model(chunks: list[Json]) -> None:
    stream = MODEL.operation_model("ConverseStream").output_shape.members["stream"]
    blocks: dict[int, int] = {}
    events = [event for each in chunks for event in events_of(each, blocks)]
    assert [name for name, body in events if not valid(body, stream.members[name])] == []
    assert valid(whole(chunks), MODEL.operation_model("Converse").output_shape)


def test_a_whole_answer_has_the_text_and_the_calls_of_its_chunks() -> None:
    assert whole(TEXT)["output"]["message"] == {"role": "assistant", "content": [{"text": "Hello"}]}
    assert whole(TEXT)["stopReason"] == "end_turn"
    assert whole(CALLS)["output"]["message"]["content"] == [
        {"toolUse": {"toolUseId": "c1", "name": "find", "input": {"n": 1}}},
        {"toolUse": {"toolUseId": "c2", "name": "note", "input": {}}},
    ]
    assert whole(CALLS)["stopReason"] == "tool_use"


@pytest.mark.parametrize("prompt", [0, 3, 17, 1000])
def test_the_counts_add_up_to_the_prompt(prompt: int) -> None:
    found = counted({"prompt_tokens": prompt, "completion_tokens": 2})
    assert found["inputTokens"] + found["cacheReadInputTokens"] + found["cacheWriteInputTokens"] == prompt
    assert found["totalTokens"] == prompt + 2


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"messages": [HI], "colour": "red"}, "colour"),
        ({"messages": [{"role": "user"}]}, "content"),
        ({"messages": []}, "start with a user message"),
        ({"messages": [HI, HI]}, "alternate between user and assistant"),
        ({"messages": [USED]}, "start with a user message"),
        ({"messages": [user({"text": " "})]}, "is blank"),
        ({"messages": [HI], "system": [{"text": ""}]}, "."),
        ({"messages": [HI, USED, RESULT]}, "toolConfig field must be defined"),
    ],
)
def test_what_bedrock_refuses_is_refused(given: Json, problem: str) -> None:
    with pytest.raises(BadCall, match=problem):
        check("model", given)


def test_a_conversation_with_tools_is_passed_on_as_chat() -> None:
    given = {"messages": [HI, USED, RESULT], "toolConfig": TOOLS, "inferenceConfig": {"maxTokens": 7}}
    check("model", given)
    chat = chat_of("model", {**given, "system": [{"text": "a"}, {"text": "b"}]})
    assert (chat["messages"][0], chat["max_tokens"]) == ({"role": "system", "content": "a\n\nb"}, 7)
    call = {"id": "t", "type": "function", "function": {"name": "find", "arguments": '{"n": 1}'}}
    assert chat["messages"][2:] == [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t", "content": "found"},
    ]
    assert chat["tools"] == [{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}]


@pytest.mark.parametrize(
    ("choice", "passed"),
    [
        ({"auto": {}}, None),
        ({"any": {}}, "required"),
        ({"tool": {"name": "find"}}, {"type": "function", "function": {"name": "find"}}),
    ],
)
def test_a_choice_of_tools_is_passed_on(choice: Json, passed: Any) -> None:
    given = {"messages": [HI], "toolConfig": {**TOOLS, "toolChoice": choice}}
    check("model", given)
    assert chat_of("model", given).get("tool_choice") == passed


def test_the_door_knows_two_paths_and_the_model_in_them() -> None:
    body = json.dumps({"messages": [HI]}).encode()
    door = ConverseDoor()
    for operation, streams in (("converse", False), ("converse-stream", True)):
        found = door.operation(f"model/a%3Ab/{operation}", body)
        assert found is not None
        assert (found.chat["model"], found.streams) == ("a:b", streams)
    assert door.operation("model/a/invoke", body) is None
    assert door.operation("models/a/converse", body) is None


async def lines() -> AsyncIterator[bytes]:
    for each in TEXT:
        yield f"data: {json.dumps(each)}\n".encode()
    yield b"data: [DONE]\n"


async def test_an_answer_that_is_not_streamed_is_one_document() -> None:
    door = ConverseDoor()
    found = door.operation("model/a/converse", json.dumps({"messages": [HI]}).encode())
    assert found is not None
    (body,) = [part async for part in door.encoded(found, lines())]
    assert json.loads(body) == whole(TEXT)


@pytest.mark.parametrize(
    ("status", "name"), [(400, "ValidationException"), (429, "ThrottlingException"), (418, "InternalServerException")]
)
def test_an_error_has_the_name_that_the_sdk_raises(status: int, name: str) -> None:
    found = ConverseDoor().operation("model/a/converse", json.dumps({"messages": [HI]}).encode())
    assert found is not None
    refusal = ConverseDoor().error(found, status, b"no")
    assert refusal.headers["x-amzn-errortype"].startswith(f"{name}:")
    assert json.loads(refusal.body) == {"message": "no"}
