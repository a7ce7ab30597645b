"""Which texts does a call consist of, for a server that takes nothing else?"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from clients.backends.chat_request import Message, request_body
from clients.backends.port import BackendCall
from domain.fleet.catalog import Backend

ROLES: Final = frozenset({"system", "user", "assistant"})


class TextChat(Struct, frozen=True, kw_only=True):
    """A call as texts: its system text, what user and assistant said, and the sampling parameters that it sets."""

    system: str
    spoken: Sequence[Message]
    sampling: Mapping[str, Any]


def text_chat(backend: Backend, call: BackendCall) -> TextChat:
    """Return the texts of a call. Raises ValueError for functions, schemas and images."""
    chat = request_body(backend, call)
    if {"tools", "response_format"} & chat.keys() or call.is_held:
        raise ValueError("a prompt knows neither functions nor schemas")
    messages: list[Message] = chat["messages"]
    if not all(isinstance(each["content"], str) and each["role"] in ROLES for each in messages):
        raise ValueError("a prompt takes text only")
    return TextChat(
        system="\n\n".join(each["content"] for each in messages if each["role"] == "system"),
        spoken=[each for each in messages if each["role"] != "system"],
        sampling={name: chat[name] for name in ("temperature", "top_p") if name in chat},
    )
