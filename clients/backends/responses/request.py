"""Which Responses request does a call to a backend become?

The request is translated from that of Chat Completions, which already settles roles, instructions and function calls.
Field names are those of the openai SDK's `openai.types.responses`. Nothing is stored by the backend.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from clients.backends.chat_request import Message, request_body
from clients.backends.port import BackendCall
from domain.fleet.catalog import Backend

FEWEST_TOKENS: Final = 16
"""The lowest output limit that OpenAI and Azure accept: below it they answer 400 `integer_below_min_value`."""

KEPT: Final = ("model", "temperature", "top_p", "parallel_tool_calls", "service_tier")

type Block = dict[str, Any]


def responses_body(backend: Backend, call: BackendCall) -> dict[str, Any]:
    """Return the body of a request. Raises ValueError for an answer of fewer than 16 tokens."""
    if call.max_output_tokens < FEWEST_TOKENS:
        raise ValueError(f"the Responses API takes no output limit below {FEWEST_TOKENS} tokens")
    chat = request_body(backend, call)
    text = text_options(chat)
    effort = chat.get("reasoning_effort")
    optional: dict[str, Any] = {
        "tools": [tool(each["function"]) for each in chat.get("tools", ())],
        "tool_choice": tool_choice(chat),
        "text": text,
        "reasoning": {"effort": effort} if effort else {},
    }
    return {
        **{name: chat[name] for name in KEPT if name in chat},
        "input": [item for message in chat["messages"] for item in input_items(message)],
        "max_output_tokens": call.max_output_tokens,
        "stream": backend.streams,
        "store": False,
        **{name: value for name, value in optional.items() if value},
    }


def input_items(message: Message) -> Iterator[Block]:
    if message["role"] == "tool":
        yield {"type": "function_call_output", "call_id": message["tool_call_id"], "output": message["content"]}
        return
    if content := message["content"]:
        parts = content if isinstance(content, str) else [content_part(part) for part in content]
        yield {"type": "message", "role": message["role"], "content": parts}
    for call in message.get("tool_calls", ()):
        yield {"type": "function_call", "call_id": call["id"], **call["function"]}


def content_part(part: Mapping[str, Any]) -> Block:
    if part["type"] == "text":
        return {"type": "input_text", "text": part["text"]}
    return {"type": "input_image", "image_url": part["image_url"]["url"], "detail": part["image_url"]["detail"]}


def tool(function: Mapping[str, Any]) -> Block:
    """Return a function. Where the caller did not ask for strict arguments, the API's own default of true is undone."""
    return {"type": "function", "strict": False, **function}


def tool_choice(chat: Mapping[str, Any]) -> str | Block | None:
    choice = chat.get("tool_choice")
    return {"type": "function", "name": choice["function"]["name"]} if isinstance(choice, dict) else choice


def text_options(chat: Mapping[str, Any]) -> Block:
    """Return the format and the verbosity of the answer."""
    form = chat.get("response_format")
    found: Block = {"verbosity": chat["verbosity"]} if "verbosity" in chat else {}
    if form:
        found["format"] = {"type": form["type"], **form.get("json_schema", {})}
    return found
