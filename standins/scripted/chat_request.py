"""What does a chat completion request ask for?"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from standins.json_values import Json, json_list, json_object

BASE64 = ";base64,"
HEAD = 100
"""The characters of a data URL in which its type ends."""


class BadRequest(Exception):
    """The request is invalid; `param` names the field."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptMessage:
    role: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedRequest:
    """`partial` is the text of a last assistant message, which the answer continues. `limit` is in tokens, like
    `length`, the length of an answer without a command. `top_logprobs` is how many options come with the log
    probability of each token, None where these are not asked for.
    """

    model: str
    messages: tuple[PromptMessage, ...]
    partial: str | None
    limit: int | None
    stream: bool
    include_usage: bool
    tool: Json | None
    functions: tuple[Json, ...]
    tools_text: str
    schema: Json | None
    length: int | None = None
    top_logprobs: int | None = None

    @property
    def conversation(self) -> str:
        """Identifies these exact messages, without the partial answer."""
        text = json.dumps([(message.role, message.text) for message in self.messages])
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def first_text(self, role: str) -> str:
        return next((message.text for message in self.messages if message.role == role), "")

    def last_text(self, role: str) -> str:
        """The last text of a role; an empty message after it carries no command."""
        texts = (message.text for message in reversed(self.messages) if message.role == role)
        return next(filter(None, texts), "")


def request_from_body(value: Any) -> ScriptedRequest:
    body = json_object(value)
    if body is None:
        raise BadRequest("the body must be a JSON object")
    messages = [message_from(message) for message in json_list(body.get("messages")) or []]
    if not messages:
        raise BadRequest("messages must be a list with at least one message", "messages")
    continues = is_partial(messages[-1])
    check_continuation(body, continues=continues)
    prompt = [
        PromptMessage(role=role, text=text_from(message.get("content"))) for role, message in with_roles(messages)
    ]
    return ScriptedRequest(
        model=str(body.get("model") or "scripted"),
        messages=tuple(prompt[:-1] if continues else prompt),
        partial=prompt[-1].text if continues else None,
        limit=limit_from(body),
        stream=bool(body.get("stream")),
        include_usage=bool((json_object(body.get("stream_options")) or {}).get("include_usage")),
        tool=tool_from(body),
        functions=callable_functions(body),
        tools_text=json.dumps(body["tools"]) if body.get("tools") else "",
        schema=schema_from(json_object(body.get("response_format")) or {}),
        top_logprobs=int(body.get("top_logprobs") or 0) if body.get("logprobs") else None,
    )


def message_from(value: Any) -> Json:
    message = json_object(value)
    if message is None or "role" not in message:
        raise BadRequest("each message must be an object with a role", "messages")
    return message


def with_roles(messages: list[Json]) -> Iterator[tuple[str, Json]]:
    """Gives each message with its role; images of the user behind a tool's result belong to that result."""
    last = ""
    for message in messages:
        has_images = any("image_url" in part for part in json_list(message.get("content")) or [])
        last = "tool" if last == "tool" and has_images else str(message["role"])
        yield last, message


def text_from(content: Any) -> str:
    parts = json_list(content)
    if parts is not None:
        return "".join(map(text_of_part, parts))
    return "" if content is None else str(content)


def text_of_part(part: Json) -> str:
    """Gives the text of a part; of an image its type and size, or its address: `[image/png, 68 bytes]`."""
    image = json_object(part.get("image_url"))
    if image is None:
        return str(part.get("text", ""))
    address = str(image.get("url", ""))
    kind, is_data, _ = address[:HEAD].removeprefix("data:").partition(BASE64)
    return f"[{kind}, {decoded_size(address)} bytes]" if is_data else f"[image at {address}]"


def decoded_size(address: str) -> int:
    """Gives the bytes of a data URL in base64, without a copy of it."""
    digits = len(address) - address.index(BASE64) - len(BASE64)
    return digits * 3 // 4 - address.count("=", -2)


def is_partial(message: Json) -> bool:
    return message["role"] == "assistant" and not message.get("tool_calls")


def check_continuation(body: Json, *, continues: bool) -> None:
    """Rejects what vLLM rejects: a continuation needs an assistant message last and no new generation prompt."""
    if not body.get("continue_final_message"):
        return
    if not continues:
        raise BadRequest("continue_final_message needs a last message from the assistant", "continue_final_message")
    if body.get("add_generation_prompt", True):
        raise BadRequest("continue_final_message needs add_generation_prompt false", "add_generation_prompt")


def limit_from(body: Json) -> int | None:
    limits = (body.get(name) for name in ("max_completion_tokens", "max_tokens"))
    limit = next((limit for limit in limits if limit is not None), None)
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise BadRequest("the token limit must be a whole number above 0", "max_tokens")
    return limit


def tool_from(body: Json) -> Json | None:
    """Gives the function that must be called: the named one, the first for `required`, else None."""
    functions = functions_of(body)
    choice = body.get("tool_choice")
    named = json_object(choice)
    if named:
        name = named.get("function", named).get("name")
        functions = [function for function in functions if function.get("name") == name]
    elif choice != "required":
        return None
    if not functions:
        raise BadRequest("tool_choice names a tool that is not in tools", "tool_choice")
    return functions[0]


def functions_of(body: Json) -> list[Json]:
    return [tool.get("function", tool) for tool in json_list(body.get("tools")) or []]


def callable_functions(body: Json) -> tuple[Json, ...]:
    return () if body.get("tool_choice") == "none" else tuple(functions_of(body))


def schema_from(response_format: Json) -> Json | None:
    if response_format.get("type") == "json_schema":
        return response_format.get("json_schema", response_format).get("schema", {})
    if response_format.get("type") == "json_object":
        return response_format.get("schema", {"type": "object", "properties": {"answer": {"type": "string"}}})
    return None
