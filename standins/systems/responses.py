"""How does a stand-in of the Responses API answer?"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from standins.json_values import Json, json_list
from standins.systems.chat import BadCall, Operation, Refusal, choice_of, chunks_of

FEWEST_TOKENS = 16
INPUT_ITEMS = ("message", "function_call", "function_call_output")


class ResponsesDoor:
    """`/responses`."""

    def operation(self, path: str, body: bytes) -> Operation | None:
        if path != "responses":
            return None
        given = json.loads(body)
        if (limit := given.get("max_output_tokens")) is not None and limit < FEWEST_TOKENS:
            raise BadCall(f"Invalid 'max_output_tokens': expected a value >= {FEWEST_TOKENS}, but got {limit} instead.")
        return Operation(chat=chat_of(given), streams=bool(given.get("stream")))

    def headers(self, operation: Operation) -> Mapping[str, str]:
        return {"content-type": "text/event-stream" if operation.streams else "application/json"}

    async def encoded(self, operation: Operation, answer: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        writer = ResponseWriter(operation.chat["model"])
        events = [writer.begun()]
        if operation.streams:
            yield sse(events[0])
        async for chunk in chunks_of(answer):
            for event in writer.events_of(chunk):
                if operation.streams:
                    yield sse(event)
        if operation.streams:
            yield sse(writer.ended())
        else:
            yield json.dumps(writer.response).encode()

    def error(self, operation: Operation, status: int, body: bytes) -> Refusal:  # noqa: ARG002 - the protocol's own
        return Refusal(status=status, body=body)


def sse(event: Json) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def chat_of(given: Json) -> Json:
    items = json_list(given["input"]) or [{"role": "user", "content": given["input"]}]
    if unknown := {str(each.get("type", "message")) for each in items} - set(INPUT_ITEMS):
        raise BadCall(f"Invalid value for 'input[].type': {', '.join(unknown)}.")
    chat: Json = {
        "model": given["model"],
        "messages": [chat_message(each) for each in items],
        "max_tokens": given.get("max_output_tokens"),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if given.get("tools"):
        chat["tools"] = [{"type": "function", "function": {**each, "type": None}} for each in given["tools"]]
    if choice := given.get("tool_choice"):
        chat["tool_choice"] = {"type": "function", "function": choice} if isinstance(choice, dict) else choice
    form = given.get("text", {}).get("format", {})
    if form.get("type") == "json_schema":
        chat["response_format"] = {"type": "json_schema", "json_schema": form}
    return chat


def chat_message(item: Json) -> Json:
    match item.get("type", "message"):
        case "function_call":
            function = {"name": item["name"], "arguments": item["arguments"]}
            call = {"id": item["call_id"], "type": "function", "function": function}
            return {"role": "assistant", "content": None, "tool_calls": [call]}
        case "function_call_output":
            return {"role": "tool", "tool_call_id": item["call_id"], "content": item["output"]}
        case _:
            content = item["content"]
            return {"role": item["role"], "content": content if isinstance(content, str) else [*map(part_of, content)]}


def part_of(part: Json) -> Json:
    if part["type"] == "input_image":
        return {"type": "image_url", "image_url": {"url": part["image_url"]}}
    return {"type": "text", "text": part["text"]}


class ResponseWriter:
    """Writes the events of one response, and keeps the response that they add up to."""

    def __init__(self, model: str) -> None:
        self.number = 0
        self.finish = ""
        self.text: Json | None = None
        self.calls: dict[int, Json] = {}
        self.response: Json = {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "model": model,
            "status": "in_progress",
            "output": [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
        }

    def event(self, kind: str, **fields: Any) -> Json:
        self.number += 1
        return {"type": f"response.{kind}", "sequence_number": self.number - 1, **fields}

    def begun(self) -> Json:
        return self.event("created", response={**self.response})

    def events_of(self, chunk: Json) -> Iterator[Json]:
        choice = choice_of(chunk)
        delta: Json = choice.get("delta") or {}
        if delta.get("content"):
            yield from self.text_events(delta["content"])
        for call in delta.get("tool_calls") or ():
            yield from self.call_events(call)
        if usage := chunk.get("usage"):
            self.response["usage"] = counted(usage)
        if reason := choice.get("finish_reason"):
            yield from self.done_events(reason)

    def text_events(self, text: str) -> Iterator[Json]:
        if self.text is None:
            part: Json = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            self.text = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress"}
            self.text["content"] = [part]
            self.response["output"].append(self.text)
            yield self.event("output_item.added", output_index=0, item={**self.text, "content": []})
            yield self.event("content_part.added", output_index=0, content_index=0, item_id="msg_1", part={**part})
        self.text["content"][0]["text"] += text
        yield self.event("output_text.delta", output_index=0, content_index=0, item_id="msg_1", delta=text, logprobs=[])

    def call_events(self, call: Json) -> Iterator[Json]:
        number, function = call["index"], call["function"]
        if number not in self.calls:
            item = {"id": f"fc_{number}", "type": "function_call", "call_id": call["id"], "name": function["name"]}
            self.calls[number] = {**item, "arguments": "", "status": "in_progress"}
            self.response["output"].append(self.calls[number])
            yield self.event("output_item.added", output_index=self.place(number), item={**self.calls[number]})
        if part := function.get("arguments"):
            self.calls[number]["arguments"] += part
            yield self.event(
                "function_call_arguments.delta", output_index=self.place(number), item_id=f"fc_{number}", delta=part
            )

    def place(self, number: int) -> int:
        return next(at for at, item in enumerate(self.response["output"]) if item is self.calls[number])

    def done_events(self, reason: str) -> Iterator[Json]:
        is_cut = reason == "length"
        self.response["status"] = "incomplete" if is_cut else "completed"
        if is_cut:
            self.response["incomplete_details"] = {"reason": "max_output_tokens"}
        for place, item in enumerate(self.response["output"]):
            item["status"] = "incomplete" if is_cut else "completed"
            yield self.event("output_item.done", output_index=place, item={**item})

    def ended(self) -> Json:
        return self.event(self.response["status"], response=self.response)


def counted(usage: Json) -> Json:
    return {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage["total_tokens"],
    }
