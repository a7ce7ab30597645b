"""How are the calls of concurrent clients recorded?"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from domain.errors import Retryable
from tests.linearizability.checker import Operation


@dataclass(slots=True)
class Recorder:
    """Numbers the moments at which calls begin and end. One event loop runs all clients, so the numbers are true."""

    moments: "count[int]" = field(default_factory=count)
    history: list[Operation] = field(default_factory=list[Operation])

    async def call(self, given: Any, action: Callable[[], Awaitable[Any]]) -> Any:
        """Record a call with its output; one that raises Retryable may have happened. Returns None then."""
        began = next(self.moments)
        try:
            output = await action()
        except Retryable:
            self.history.append(Operation(input=given, began=began))
            return None
        self.history.append(Operation(input=given, output=output, began=began, ended=next(self.moments)))
        return output
