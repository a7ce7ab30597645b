"""Which Converse request does a call to a backend become?

The request is translated from that of Chat Completions, which already settles roles, instructions and function calls.
Field names and constraints are those of botocore's service model `bedrock-runtime/2023-09-30`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from clients.backends.chat_request import Message, request_body
from clients.backends.port import BackendCall
from domain.content.tools import ANYTHING
from domain.fleet.catalog import Backend

DATA_URL: Final = re.compile(r"data:image/(png|jpeg|jpg|gif|webp);base64,(.+)", re.DOTALL)
FORMATS: Final = {"jpg": "jpeg"}
NO_TEXT: Final = "."
"""Stands for an empty text, which Converse rejects."""

JSON_ONLY: Final = "Answer with one JSON object and nothing else."

type Block = dict[str, Any]


def converse_body(backend: Backend, call: BackendCall) -> dict[str, Any]:
    """Return the body of the Converse request for a call. Raises ValueError for an image that is not a data URL."""
    chat = request_body(backend, call)
    body = {
        "messages": merged(message for each in chat["messages"] for message in converse_messages(each)),
        "system": [*system_blocks(chat)],
        "inferenceConfig": inference_config(chat, call),
        "toolConfig": tool_config(chat),
        "outputConfig": output_config(chat),
        "serviceTier": {"type": chat["service_tier"]} if "service_tier" in chat else {},
    }
    return {name: value for name, value in body.items() if value}


def system_blocks(chat: Mapping[str, Any]) -> Iterator[Block]:
    for message in chat["messages"]:
        if message["role"] == "system":
            yield from text_blocks(message["content"])
    if chat.get("response_format", {}).get("type") == "json_object":
        yield {"text": JSON_ONLY}


def converse_messages(message: Message) -> Iterator[Message]:
    match message["role"]:
        case "system":
            return
        case "tool":
            content = [{"text": message["content"] or NO_TEXT}]
            yield {
                "role": "user",
                "content": [{"toolResult": {"toolUseId": message["tool_call_id"], "content": content}}],
            }
        case role:
            calls = [tool_use(each) for each in message.get("tool_calls", ())]
            blocks = [*text_blocks(message["content"]), *calls]
            yield {"role": role, "content": blocks or [{"text": NO_TEXT}]}


def merged(messages: Iterator[Message]) -> list[Message]:
    """Return messages whose roles alternate, the first one of the user: neighbours of one role become one message."""
    found: list[Message] = []
    for message in messages:
        if found and found[-1]["role"] == message["role"]:
            found[-1]["content"] += message["content"]
        else:
            found.append(message)
    if found and found[0]["role"] == "assistant":
        found.insert(0, {"role": "user", "content": [{"text": NO_TEXT}]})
    return found


def text_blocks(content: str | list[Block] | None) -> Iterator[Block]:
    text: list[Block] = [{"type": "text", "text": content}]
    parts = text if isinstance(content, str) else content or []
    for part in parts:
        if part["type"] == "image_url":
            yield {"image": image(part["image_url"]["url"])}
        elif part["text"].strip():
            yield {"text": part["text"]}


def image(url: str) -> Block:
    found = DATA_URL.fullmatch(url)
    if found is None:
        raise ValueError("Converse accepts images as data URLs of png, jpeg, gif or webp only")
    return {"format": FORMATS.get(found[1], found[1]), "source": {"bytes": found[2]}}


def tool_use(call: Mapping[str, Any]) -> Block:
    function = call["function"]
    return {"toolUse": {"toolUseId": call["id"], "name": function["name"], "input": json_object(function["arguments"])}}


def json_object(text: str) -> dict[str, Any]:
    """Return the arguments of an earlier call; Converse accepts only an object."""
    try:
        found: Any = json.loads(text)
    except ValueError:
        found = None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {"arguments": text}


def inference_config(chat: Mapping[str, Any], call: BackendCall) -> dict[str, Any]:
    stop = chat.get("stop")
    fields = {
        "maxTokens": call.max_output_tokens,
        "temperature": chat.get("temperature"),
        "topP": chat.get("top_p"),
        "stopSequences": [stop] if isinstance(stop, str) else stop,
    }
    return {name: value for name, value in fields.items() if value is not None}


def tool_config(chat: Mapping[str, Any]) -> dict[str, Any]:
    """Return the functions. Converse demands those of the history, too, where the call offers none."""
    tools = [tool_spec(each["function"]) for each in chat.get("tools", ())] or [*tools_of_history(chat)]
    choice = chat.get("tool_choice")
    if not tools or choice is None:
        return {"tools": tools} if tools else {}
    if choice == "required":
        return {"tools": tools, "toolChoice": {"any": {}}}
    return {"tools": tools, "toolChoice": {"tool": {"name": choice["function"]["name"]}}}


def tool_spec(function: Mapping[str, Any]) -> Block:
    spec = {"name": function["name"], "inputSchema": {"json": function["parameters"]}}
    optional = {name: function[name] for name in ("description", "strict") if function.get(name)}
    return {"toolSpec": spec | optional}


def tools_of_history(chat: Mapping[str, Any]) -> Iterator[Block]:
    names = dict.fromkeys(
        call["function"]["name"] for message in chat["messages"] for call in message.get("tool_calls", ())
    )
    yield from (tool_spec({"name": name, "parameters": ANYTHING}) for name in names)


def output_config(chat: Mapping[str, Any]) -> dict[str, Any]:
    form = chat.get("response_format", {})
    if form.get("type") != "json_schema":
        return {}
    given = form["json_schema"]
    schema = {"schema": json.dumps(given["schema"]), "name": given["name"], "description": given.get("description")}
    structure = {"jsonSchema": {name: value for name, value in schema.items() if value is not None}}
    return {"textFormat": {"type": "json_schema", "structure": structure}}
