"""What does a stand-in pass on that speaks Chat Completions, and how does it read the model's answer?"""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp

from standins.json_values import Json

DONE = b"[DONE]"


class BadCall(Exception):
    """The request is invalid on this wire."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One call of a stand-in: the chat to ask the model, and whether the caller wants a stream.

    `billed_ms` are the milliseconds that the system bills, where it says so.
    """

    chat: Json
    streams: bool
    billed_ms: list[int] = field(default_factory=list[int])


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer that is an error."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: {"content-type": "application/json"})


class DoorWire(Protocol):
    """How a stand-in reads its requests and writes its answers."""

    def operation(self, path: str, body: bytes) -> Operation | None:
        """Return what a request asks for; None where the stand-in has no such path. Raises BadCall."""
        ...

    def headers(self, operation: Operation) -> Mapping[str, str]: ...

    def encoded(self, operation: Operation, answer: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the body of an answer, from the lines of the model's own stream."""
        ...

    def error(self, operation: Operation, status: int, body: bytes) -> Refusal:
        """Return how the model's error with this status looks from outside."""
        ...


class ChatDoor:
    """Passes Chat Completions on as it is."""

    path = "chat/completions"

    def operation(self, path: str, body: bytes) -> Operation | None:
        if path != self.path:
            return None
        chat = json.loads(body)
        return Operation(chat=chat, streams=bool(chat.get("stream")))

    def headers(self, operation: Operation) -> Mapping[str, str]:
        return {"content-type": "text/event-stream" if operation.streams else "application/json"}

    async def encoded(
        self,
        operation: Operation,  # noqa: ARG002 - the protocol's own
        answer: AsyncIterator[bytes],
    ) -> AsyncIterator[bytes]:
        async for line in answer:
            yield line

    def error(self, operation: Operation, status: int, body: bytes) -> Refusal:  # noqa: ARG002 - the protocol's own
        return Refusal(status=status, body=body)


async def lines_of(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async for line in answer.content:
        yield line


async def chunks_of(lines: AsyncIterator[bytes]) -> AsyncIterator[Json]:
    """Yield the chunks of a stream of Chat Completions."""
    async for line in lines:
        data = line.removeprefix(b"data:").strip()
        if line.startswith(b"data:") and data != DONE:
            yield json.loads(data)


def choice_of(chunk: Json) -> Json:
    choices: list[Json] = chunk["choices"]
    return choices[0] if choices else {}
