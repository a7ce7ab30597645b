"""Which function calls do the parts of a streamed answer add up to?

Chat Completions numbers parallel calls by `index`, but servers exist that repeat the number 0, leave it out, or leave
out the ids. So a part belongs to the call of its index, unless it shows that another call begins.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from domain.content.tools import FunctionCall

NO_ARGUMENTS = "{}"
"""The arguments of a call for which the backend streamed none; an empty text is not JSON."""


class PartialCall(Struct, kw_only=True):
    """A call of which parts have arrived. Calls are ordered by `index`, then by arrival."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""

    def is_followed_by(self, part: "CallPart") -> bool:
        """Tell whether a part at the same index opens another call instead of extending this one.

        Only a part with a name opens a call: some servers make up an id for each part, some repeat the name in each.
        """
        if not part.name or not self.name:
            return False
        if part.id and self.id:
            return part.id != self.id
        return part.name != self.name or is_json(self.arguments)

    def extend(self, part: "CallPart") -> None:
        self.id = self.id or part.id
        self.name = self.name or part.name
        self.arguments += part.arguments


class CallPart(Struct, frozen=True, kw_only=True):
    """One entry of a frame's `tool_calls`. `index` is None where the server left it out."""

    index: int | None
    id: str
    name: str
    arguments: str


class ToolCallCollector:
    """Collects the calls of one answer."""

    def __init__(self) -> None:
        self.calls: list[PartialCall] = []
        self.last: PartialCall | None = None

    def add(self, parts: Sequence[Mapping[str, Any]]) -> None:
        """Add the parts of one frame. Raises TypeError or ValueError where one is malformed."""
        for position, body in enumerate(parts):
            part = call_part(body, default_index=position if len(parts) > 1 else None)
            call = self.matching_call(part)
            if call is None or call.is_followed_by(part):
                call = PartialCall(index=len(self.calls) if part.index is None else part.index)
                self.calls.append(call)
            call.extend(part)
            self.last = call

    def matching_call(self, part: CallPart) -> PartialCall | None:
        """Return the call that a part most likely extends: that of its id, else the latest of its index."""
        of_index = [call for call in self.calls if part.index in (None, call.index)]
        of_id = [call for call in of_index if part.id and call.id == part.id]
        if of_id:
            return of_id[-1]
        if part.index is None:
            return self.last
        return of_index[-1] if of_index else None

    @property
    def have_begun(self) -> bool:
        """Tell whether a part of a call has arrived."""
        return bool(self.calls)

    def all_calls(self) -> tuple[FunctionCall, ...]:
        """Return the calls of an answer that ended by itself."""
        return identified(self.calls)

    def whole_calls(self) -> tuple[FunctionCall, ...]:
        """Return the calls of an answer that was cut off, without those whose arguments did not arrive whole."""
        return identified([call for call in self.calls if is_json(call.arguments)])


def identified(found: Sequence[PartialCall]) -> tuple[FunctionCall, ...]:
    """Return the calls in their order. An id that repeats is left out of the later call."""
    ids: set[str] = set()
    calls: list[FunctionCall] = []
    for call in sorted(found, key=lambda each: each.index):
        call_id = "" if call.id in ids else call.id
        ids.add(call_id)
        arguments = call.arguments if call.arguments.strip() else NO_ARGUMENTS
        calls.append(FunctionCall(name=call.name, arguments=arguments, call_id=call_id))
    return tuple(calls)


def call_part(body: Mapping[str, Any], *, default_index: int | None) -> CallPart:
    function: Mapping[str, Any] = body.get("function") or {}
    index = body.get("index")
    return CallPart(
        index=default_index if index is None else int(index),
        id=text_of(body, "id"),
        name=text_of(function, "name"),
        arguments=text_of(function, "arguments"),
    )


def text_of(body: Mapping[str, Any], field: str) -> str:
    """Return a field that is text, or empty where it is absent or null. Raises TypeError for any other value."""
    text = body.get(field)
    if text is not None and not isinstance(text, str):
        raise TypeError(f"{field}: expected text, found {type(text).__name__}")
    return text or ""


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
