"""What does the host ask of a worker, and what can come back?"""

from dataclasses import dataclass, field
from typing import Any

type Binding = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedFunction:
    """One function as the worker found it."""

    name: str
    id: str
    bindings: tuple[Binding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReady:
    """What a worker says when it has loaded the app. `http` is the address of the app's own server, if it has one."""

    functions: tuple[IndexedFunction, ...]
    http: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceContext:
    """A W3C trace context."""

    parent: str
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """`type` is string, json or http; `body` its value as bytes; `http` the request around the body."""

    id: str
    function_id: str
    description: str
    type: str
    trace: TraceContext
    body: bytes = b""
    http: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionReturned:
    """The function returned. `type` is none, string, json, bytes, int, double or http, which `header` describes."""

    type: str
    body: bytes
    header: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def text(self) -> str | None:
        return None if self.type == "none" else self.body.decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionRaised:
    """The function raised: `message` is "ValueError: boom", `stack` the traceback."""

    message: str
    stack: str


type InvocationResult = FunctionReturned | FunctionRaised


class AppFailedToLoadError(Exception):
    """The worker could not index the app; the text is the app's own traceback."""


class WorkerLostError(Exception):
    """The worker process ended before it answered."""


class WorkerNotReadyError(Exception):
    """No worker came up in time."""


class FunctionTimeoutError(Exception):
    """The function ran longer than `functionTimeout`."""
