"""Which messages do the host and a worker exchange?"""

from dataclasses import dataclass, field
from typing import Any

type Binding = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedFunction:
    """One function that the worker found in the app."""

    name: str
    id: str
    bindings: tuple[Binding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReady:
    """Sent when the worker has loaded the app. `http` is the URL of the app's own HTTP server, if it has one."""

    functions: tuple[IndexedFunction, ...]
    http: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceContext:
    """A W3C trace context."""

    parent: str
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """`type` is string, json, bytes or http; `body` is the value in bytes; `http` describes the HTTP request.

    `metadata` is what the trigger knows beside the value.
    """

    id: str
    function_id: str
    description: str
    type: str
    trace: TraceContext
    body: bytes = b""
    http: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionReturned:
    """The function returned. `type` is none, string, json, bytes, int, double or http; `header` describes an HTTP
    response.
    """

    type: str
    body: bytes
    header: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def text(self) -> str | None:
        return None if self.type == "none" else self.body.decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionRaised:
    """The function raised an exception: `message` is like "ValueError: boom", `stack` is the traceback."""

    message: str
    stack: str


type InvocationResult = FunctionReturned | FunctionRaised


class AppFailedToLoadError(Exception):
    """The worker could not index the app; the message is the app's own traceback."""


class WorkerLostError(Exception):
    """The worker process ended before it returned a result."""


class NotBegunError(WorkerLostError):
    """The worker process ended before it began the function, which may safely run in the next one."""


class WorkerNotReadyError(Exception):
    """No worker became ready in time."""


class FunctionTimeoutError(Exception):
    """The function ran longer than `functionTimeout`."""
