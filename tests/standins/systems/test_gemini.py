"""Does the stand-in of Vertex AI speak Gemini as Google documents it?

https://docs.cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from standins.systems.chat import BadCall
from standins.systems.gemini import GeminiOperation, VertexDoor, chat_of

type Json = dict[str, Any]

PLACE = "v1/projects/p/locations/l/publishers/google/models/gemini-2.5-flash"
GIVEN: Json = {
    "systemInstruction": {"parts": [{"text": "be "}, {"text": "brief"}]},
    "contents": [
        {"role": "user", "parts": [{"text": "hi"}]},
        {"role": "model", "parts": [{"text": "ho"}]},
        {"parts": [{"text": "again"}]},
    ],
    "generationConfig": {"maxOutputTokens": 7},
}
CHUNKS: list[Json] = [
    {"choices": [{"delta": {"role": "assistant"}}]},
    {"choices": [{"delta": {"content": "Hel"}}]},
    {"choices": [{"delta": {"content": "lo"}}]},
    {"choices": [{"delta": {}, "finish_reason": "length"}]},
    {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}},
]


def operation(method: str) -> GeminiOperation:
    found = VertexDoor().operation(f"{PLACE}:{method}", json.dumps(GIVEN).encode())
    assert isinstance(found, GeminiOperation)
    return found


async def answered(method: str) -> list[Json]:
    async def lines() -> AsyncIterator[bytes]:
        for each in CHUNKS:
            yield f"data: {json.dumps(each)}\n".encode()

    parts = [part async for part in VertexDoor().encoded(operation(method), lines())]
    return [json.loads(part.removeprefix(b"data: ")) for part in parts]


def text(body: Json) -> str:
    return "".join(part["text"] for part in body["candidates"][0]["content"]["parts"])


def test_contents_become_messages() -> None:
    chat = operation("generateContent").chat
    assert [(each["role"], each["content"]) for each in chat["messages"]] == [
        ("system", "be brief"),
        ("user", "hi"),
        ("assistant", "ho"),
        ("user", "again"),
    ]
    assert chat["max_tokens"] == 7


def test_another_role_is_refused_in_googles_words() -> None:
    with pytest.raises(BadCall, match="Please use a valid role: user, model"):
        chat_of({"contents": [{"role": "assistant", "parts": [{"text": "hi"}]}]})


@pytest.mark.parametrize("method", ["generateContent", "streamGenerateContent"])
async def test_an_answer_ends_with_its_reason_and_its_tokens(method: str) -> None:
    bodies = await answered(method)
    assert "".join(map(text, bodies)) == "Hello"
    assert bodies[-1]["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert bodies[-1]["usageMetadata"] == {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
    assert [body for body in bodies[:-1] if "usageMetadata" in body] == []
    assert len(bodies) == (3 if method == "streamGenerateContent" else 1)


@pytest.mark.parametrize(
    ("status", "name"), [(400, "INVALID_ARGUMENT"), (429, "RESOURCE_EXHAUSTED"), (500, "INTERNAL")]
)
def test_an_error_has_googles_name(status: int, name: str) -> None:
    error = json.loads(VertexDoor().error(operation("generateContent"), status, b"no").body)["error"]
    assert (error["code"], error["message"], error["status"]) == (status, "no", name)


def test_other_paths_are_those_of_chat_completions() -> None:
    door = VertexDoor()
    assert door.operation(f"{PLACE}:countTokens", b"{}") is None
    found = door.operation(door.path, b'{"messages": []}')
    assert found is not None
    assert not isinstance(found, GeminiOperation)
