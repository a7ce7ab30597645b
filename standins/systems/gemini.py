"""How does Vertex AI serve Gemini to Google's own SDK, beside Chat Completions?

The product does not speak this wire. It is here so that Google's SDK takes the stand-in for the real one, by its
addresses, tokens and errors.
"""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from standins.json_values import Json
from standins.systems.chat import BadCall, ChatDoor, Operation, Refusal, choice_of, chunks_of

METHODS = {"generateContent": False, "streamGenerateContent": True}
ROLES = {"user": "user", "model": "assistant"}
REASONS = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
STATUSES = {400: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GeminiOperation(Operation):
    """A call of `models.generateContent` or `models.streamGenerateContent`, version 1 of the API."""


class VertexDoor(ChatDoor):
    """Chat Completions below `endpoints/openapi`, and Gemini's own methods below `publishers/google/models`."""

    def operation(self, path: str, body: bytes) -> Operation | None:
        model, _, method = path.rpartition(":")
        if "/publishers/google/models/" not in f"/{model}" or method not in METHODS:
            return super().operation(path, body)
        return GeminiOperation(chat=chat_of(json.loads(body)), streams=METHODS[method])

    async def encoded(self, operation: Operation, answer: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        if not isinstance(operation, GeminiOperation):
            async for part in super().encoded(operation, answer):
                yield part
            return
        texts: list[str] = []
        reason = ""
        usage: Json = {}
        async for chunk in chunks_of(answer):
            delta: Json = choice_of(chunk).get("delta") or {}
            text = str(delta.get("content") or "")
            reason, usage = choice_of(chunk).get("finish_reason") or reason, chunk.get("usage") or usage
            texts.append(text)
            if text and operation.streams:
                yield frame(content(text))
        end = {"finishReason": REASONS[reason]}
        last = {**content("" if operation.streams else "".join(texts), **end), "usageMetadata": counts(usage)}
        yield frame(last) if operation.streams else json.dumps(last).encode()

    def error(self, operation: Operation, status: int, body: bytes) -> Refusal:
        if not isinstance(operation, GeminiOperation):
            return super().error(operation, status, body)
        name = STATUSES.get(status, "INTERNAL")
        error = {"code": status, "message": body.decode(errors="replace")[:200], "status": name}
        return Refusal(status=status, body=json.dumps({"error": error}).encode())


def chat_of(given: Json) -> Json:
    """Return the chat of a request. Raises BadCall for a role that Gemini has not."""
    system: Json | None = given.get("systemInstruction")
    messages = [{"role": "system", "content": text_of(system["parts"])}] if system else []
    for each in given["contents"]:
        if each.get("role", "user") not in ROLES:
            raise BadCall("Please use a valid role: user, model.")
        messages.append({"role": ROLES[each.get("role", "user")], "content": text_of(each["parts"])})
    limit = given.get("generationConfig", {}).get("maxOutputTokens")
    usage = {"stream": True, "stream_options": {"include_usage": True}}
    return {"model": "scripted", "messages": messages, "max_tokens": limit, **usage}


def text_of(parts: Sequence[Json]) -> str:
    return "".join(part["text"] for part in parts)


def content(text: str, **more: str) -> Json:
    return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0, **more}]}


def counts(usage: Json) -> Json:
    return {
        "promptTokenCount": usage["prompt_tokens"],
        "candidatesTokenCount": usage["completion_tokens"],
        "totalTokenCount": usage["total_tokens"],
    }


def frame(body: Json) -> bytes:
    return f"data: {json.dumps(body)}\r\n\r\n".encode()
