"""How does Bedrock's stand-in speak Converse, by the service model of its own SDK?"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

import botocore.session
from botocore.validate import ParamValidator

from standins.json_values import Json
from standins.systems.chat import BadCall, Operation, Refusal, choice_of, chunks_of
from standins.systems.event_frames import CONTENT_TYPE, json_event

ERRORS = {
    400: "ValidationException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


@cache
def input_shape() -> Any:
    session: Any = botocore.session.Session()
    return session.get_service_model("bedrock-runtime").operation_model("ConverseStream").input_shape


class ConverseDoor:
    """`/model/{id}/converse` and `/model/{id}/converse-stream`."""

    def operation(self, path: str, body: bytes) -> Operation | None:
        start, _, rest = path.partition("/")
        model, _, operation = rest.rpartition("/")
        if start != "model" or operation not in {"converse", "converse-stream"}:
            return None
        given = json.loads(body)
        check(unquote(model), given)
        return Operation(chat=chat_of(unquote(model), given), streams=operation == "converse-stream")

    def headers(self, operation: Operation) -> Mapping[str, str]:
        return {"content-type": CONTENT_TYPE if operation.streams else "application/json"}

    async def encoded(self, operation: Operation, answer: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        if not operation.streams:
            yield json.dumps(whole([chunk async for chunk in chunks_of(answer)])).encode()
            return
        yield json_event("messageStart", {"role": "assistant"})
        blocks: dict[int, int] = {}
        async for chunk in chunks_of(answer):
            for kind, body in events_of(chunk, blocks):
                yield json_event(kind, body)

    def error(self, operation: Operation, status: int, body: bytes) -> Refusal:  # noqa: ARG002 - the protocol's own
        name = ERRORS.get(status, "InternalServerException")
        headers = {"content-type": "application/json", "x-amzn-errortype": f"{name}:http://internal.amazon.com/"}
        text = json.dumps({"message": body.decode(errors="replace")[:200]}).encode()
        return Refusal(status=status, headers=headers, body=text)


def check(model: str, given: Json) -> None:
    """Raise BadCall for what the service model or the documentation of the API forbids."""
    validator: Any = ParamValidator()
    if report := validator.validate({"modelId": model, **given}, input_shape()).generate_report():
        raise BadCall(report)
    roles = [each["role"] for each in given["messages"]]
    if roles[:1] != ["user"] or any(one == other for one, other in pairwise(roles)):
        raise BadCall("A conversation must start with a user message and alternate between user and assistant roles.")
    blocks = [block for each in given["messages"] for block in each["content"]]
    if any("text" in block and not block["text"].strip() for block in [*blocks, *given.get("system", [])]):
        raise BadCall("The text field in the ContentBlock object is blank.")
    if any({"toolUse", "toolResult"} & block.keys() for block in blocks) and not given.get("toolConfig"):
        raise BadCall("The toolConfig field must be defined when using toolUse and toolResult content blocks.")


def chat_of(model: str, given: Json) -> Json:
    config, tools = given.get("inferenceConfig", {}), given.get("toolConfig", {})
    system = "\n\n".join(block["text"] for block in given.get("system", []))
    messages = [message for each in given["messages"] for message in chat_messages(each)]
    chat: Json = {
        "model": model,
        "messages": [*([{"role": "system", "content": system}] if system else []), *messages],
        "max_tokens": config.get("maxTokens"),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if tools:
        chat["tools"] = [chat_tool(each["toolSpec"]) for each in tools["tools"]]
        choice = tools.get("toolChoice", {})
        if "any" in choice:
            chat["tool_choice"] = "required"
        if "tool" in choice:
            chat["tool_choice"] = {"type": "function", "function": {"name": choice["tool"]["name"]}}
    if form := given.get("outputConfig", {}).get("textFormat"):
        schema = json.loads(form["structure"]["jsonSchema"]["schema"])
        chat["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    return chat


def chat_tool(spec: Json) -> Json:
    function = {"name": spec["name"], "parameters": spec["inputSchema"]["json"]}
    return {"type": "function", "function": function}


def chat_messages(message: Json) -> Iterator[Json]:
    """Yield the messages of Chat Completions: each result of a tool is one of its own."""
    parts: list[Json] = []
    calls: list[Json] = []
    for block in message["content"]:
        if "toolResult" in block:
            found = block["toolResult"]
            text = "".join(each.get("text", "") for each in found["content"])
            yield {"role": "tool", "tool_call_id": found["toolUseId"], "content": text}
        elif "toolUse" in block:
            used = block["toolUse"]
            function = {"name": used["name"], "arguments": json.dumps(used["input"])}
            calls.append({"id": used["toolUseId"], "type": "function", "function": function})
        elif "image" in block:
            url = f"data:image/{block['image']['format']};base64,{block['image']['source']['bytes']}"
            parts.append({"type": "image_url", "image_url": {"url": url}})
        else:
            parts.append({"type": "text", "text": block["text"]})
    if parts or calls:
        yield {"role": message["role"], "content": parts or None, **({"tool_calls": calls} if calls else {})}


def events_of(chunk: Json, blocks: dict[int, int]) -> Iterator[tuple[str, Json]]:
    """Yield the events of one chunk. `blocks` numbers the blocks of calls; the text has the number 0."""
    choice = choice_of(chunk)
    delta: Json = choice.get("delta") or {}
    if delta.get("content"):
        yield "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": delta["content"]}}
    for call in delta.get("tool_calls") or ():
        index = blocks.setdefault(call["index"], len(blocks) + 1)
        function = call["function"]
        if call.get("id"):
            start = {"toolUse": {"toolUseId": call["id"], "name": function["name"]}}
            yield "contentBlockStart", {"contentBlockIndex": index, "start": start}
        if part := function.get("arguments"):
            yield "contentBlockDelta", {"contentBlockIndex": index, "delta": {"toolUse": {"input": part}}}
    if reason := choice.get("finish_reason"):
        for index in sorted({0, *blocks.values()}):
            yield "contentBlockStop", {"contentBlockIndex": index}
        yield "messageStop", {"stopReason": REASONS[reason]}
    if usage := chunk.get("usage"):
        yield "metadata", {"usage": counted(usage), "metrics": {"latencyMs": 1}}


def counted(usage: Json) -> Json:
    """Return the counts as Bedrock splits them: a quarter of the input is read from its cache, an eighth written."""
    prompt, output = usage["prompt_tokens"], usage["completion_tokens"]
    read, written = prompt // 4, prompt // 8
    return {
        "inputTokens": prompt - read - written,
        "outputTokens": output,
        "totalTokens": prompt + output,
        "cacheReadInputTokens": read,
        "cacheWriteInputTokens": written,
    }


def whole(chunks: list[Json]) -> Json:
    """Return the answer of Converse that these chunks add up to."""
    blocks: dict[int, int] = {}
    events = [event for chunk in chunks for event in events_of(chunk, blocks)]
    text = "".join(body["delta"].get("text", "") for kind, body in events if kind == "contentBlockDelta")
    calls: dict[int, Json] = {}
    for kind, body in events:
        if kind == "contentBlockStart":
            calls[body["contentBlockIndex"]] = {**body["start"]["toolUse"], "input": ""}
        elif kind == "contentBlockDelta" and "toolUse" in body["delta"]:
            calls[body["contentBlockIndex"]]["input"] += body["delta"]["toolUse"]["input"]
    used = [{"toolUse": {**call, "input": json.loads(call["input"] or "{}")}} for call in calls.values()]
    last = {kind: body for kind, body in events if kind in {"messageStop", "metadata"}}
    message = {"role": "assistant", "content": [*([{"text": text}] if text else []), *used]}
    return {"output": {"message": message}, **last["messageStop"], **last["metadata"]}
