"""Which input does a call to a language model on Replicate become?

The models there take one prompt and one system prompt. A conversation of several messages is written as a dialogue.
"""

from collections.abc import Mapping
from typing import Any, Final

from clients.backends.chat_request import Message, request_body
from clients.backends.port import BackendCall
from domain.fleet.catalog import Backend

SPEAKERS: Final[Mapping[str, str]] = {"user": "User", "assistant": "Assistant"}
KEPT: Final = ("temperature", "top_p")


def prediction_input(backend: Backend, call: BackendCall) -> dict[str, Any]:
    """Return the input of a prediction. Raises ValueError for what a prompt cannot express."""
    chat = request_body(backend, call)
    if {"tools", "response_format"} & chat.keys() or call.is_held:
        raise ValueError("a prediction knows neither functions nor schemas")
    messages: list[Message] = chat["messages"]
    system = "\n\n".join(text_of(each) for each in messages if each["role"] == "system")
    spoken = [each for each in messages if each["role"] != "system"]
    found = {
        "prompt": prompt_of(spoken),
        "system_prompt": system,
        backend.output_limit.value: call.max_output_tokens,
        **{name: chat[name] for name in KEPT if name in chat},
    }
    return {name: value for name, value in found.items() if value != ""}


def prompt_of(messages: list[Message]) -> str:
    if len(messages) == 1:
        return text_of(messages[0])
    lines = [f"{SPEAKERS[each['role']]}: {text_of(each)}" for each in messages]
    return "\n\n".join([*lines, "Assistant:"])


def text_of(message: Message) -> str:
    """Return the text of a message. Raises ValueError for an image, a call or a result."""
    content = message["content"]
    if not isinstance(content, str) or message["role"] not in {"system", *SPEAKERS}:
        raise ValueError("a prediction takes text only")
    return content
