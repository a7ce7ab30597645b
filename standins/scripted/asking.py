"""What does a chat completion request ask for?"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from standins.narrowing import Json, json_list, json_object


class BadRequest(Exception):
    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    role: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """`partial` is the text of a last assistant message, which the answer continues; `limit` is in tokens, and so
    is `length`, of an answer that no command asks for.
    """

    model: str
    messages: tuple[Message, ...]
    partial: str | None
    limit: int | None
    stream: bool
    include_usage: bool
    tool: Json | None
    functions: tuple[Json, ...]
    tools_text: str
    schema: Json | None
    length: int | None = None

    @property
    def conversation(self) -> str:
        """Names these exact messages, whatever was answered so far."""
        text = json.dumps([(message.role, message.text) for message in self.messages])
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def first_text(self, role: str) -> str:
        return next((message.text for message in self.messages if message.role == role), "")

    def last_text(self, role: str) -> str:
        """Gives the last text of a role; an empty message after it carries no command."""
        texts = (message.text for message in reversed(self.messages) if message.role == role)
        return next(filter(None, texts), "")


def ask_from_body(given: Any) -> Ask:
    body = json_object(given)
    if body is None:
        raise BadRequest("the body must be a JSON object")
    entries = [entry_from(entry) for entry in json_list(body.get("messages")) or []]
    if not entries:
        raise BadRequest("messages must be a list with at least one message", "messages")
    continues = is_partial(entries[-1])
    check_continuation(body, continues=continues)
    messages = [Message(role=str(entry["role"]), text=text_from(entry.get("content"))) for entry in entries]
    return Ask(
        model=str(body.get("model") or "scripted"),
        messages=tuple(messages[:-1] if continues else messages),
        partial=messages[-1].text if continues else None,
        limit=limit_from(body),
        stream=bool(body.get("stream")),
        include_usage=bool((json_object(body.get("stream_options")) or {}).get("include_usage")),
        tool=tool_from(body),
        functions=callable_in(body),
        tools_text=json.dumps(body["tools"]) if body.get("tools") else "",
        schema=schema_from(json_object(body.get("response_format")) or {}),
    )


def entry_from(given: Any) -> Json:
    entry = json_object(given)
    if entry is None or "role" not in entry:
        raise BadRequest("each message must be an object with a role", "messages")
    return entry


def text_from(content: Any) -> str:
    parts = json_list(content)
    if parts is not None:
        return "".join(str(part.get("text", "")) for part in parts)
    return "" if content is None else str(content)


def is_partial(entry: Json) -> bool:
    return entry["role"] == "assistant" and not entry.get("tool_calls")


def check_continuation(body: Json, *, continues: bool) -> None:
    """Refuses what vLLM refuses: to continue needs an assistant message last, and no new prompt behind it."""
    if not body.get("continue_final_message"):
        return
    if not continues:
        raise BadRequest("continue_final_message needs a last message from the assistant", "continue_final_message")
    if body.get("add_generation_prompt", True):
        raise BadRequest("continue_final_message needs add_generation_prompt false", "add_generation_prompt")


def limit_from(body: Json) -> int | None:
    given = (body.get(name) for name in ("max_completion_tokens", "max_tokens"))
    limit = next((limit for limit in given if limit is not None), None)
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise BadRequest("the limit of tokens must be a whole number above 0", "max_tokens")
    return limit


def tool_from(body: Json) -> Json | None:
    """Gives the function that must be called: the named one, the first when any will do, none when it may answer."""
    functions = functions_of(body)
    choice = body.get("tool_choice")
    named = json_object(choice)
    if named:
        name = named.get("function", named).get("name")
        functions = [function for function in functions if function.get("name") == name]
    elif choice != "required":
        return None
    if not functions:
        raise BadRequest("tool_choice names no tool of this request", "tool_choice")
    return functions[0]


def functions_of(body: Json) -> list[Json]:
    return [tool.get("function", tool) for tool in json_list(body.get("tools")) or []]


def callable_in(body: Json) -> tuple[Json, ...]:
    return () if body.get("tool_choice") == "none" else tuple(functions_of(body))


def schema_from(wanted: Json) -> Json | None:
    if wanted.get("type") == "json_schema":
        return wanted.get("json_schema", wanted).get("schema", {})
    if wanted.get("type") == "json_object":
        return wanted.get("schema", {"type": "object", "properties": {"answer": {"type": "string"}}})
    return None
