"""What does one attempt have to do?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from domain.content.capabilities import Capability
from domain.content.tools import ToolConfig
from domain.fleet.catalog import Backend, ContinuationMode
from domain.identity.owners import Owner
from domain.money.ledger_records import AttemptRecord
from domain.turns.response import Response


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptTask:
    """One attempt of one turn at one backend. `wire.InferWire` explains the fields that it shares."""

    owner: Owner
    response: Response
    number: int
    backend: Backend
    worst_cost: Decimal
    output_tokens: int
    retries: int
    has_alternative: bool
    capabilities: frozenset[Capability] = frozenset()
    failures: Mapping[str, int] = field(default_factory=dict[str, int])
    is_cold: bool = False
    hold_s: float | None = None
    limit_s: float | None = None
    input_tokens: int = 0

    @property
    def continues_text(self) -> bool:
        """Tell whether the backend can continue a partial answer."""
        return self.backend.continues is not ContinuationMode.NO

    @property
    def calls_tools_by_schema(self) -> bool:
        """Tell whether the model cannot call functions and has to answer by a JSON schema instead."""
        return Capability.TOOLS not in self.capabilities

    @property
    def schema_tools(self) -> ToolConfig | None:
        """The tools whose calls the answer encodes as JSON; None where the answer is plain."""
        tools = self.response.options.tool_config
        return tools if tools.callable_functions and self.calls_tools_by_schema else None

    def record(self, *, at: float) -> AttemptRecord:
        """Return the record of the attempt that begins at `at`, in seconds since the epoch."""
        return AttemptRecord(
            response=self.response.id,
            subject=self.owner.subject,
            number=self.number,
            backend=self.backend.name,
            price=self.backend.price.name,
            reserved=self.worst_cost,
            started_at=at,
            model=self.backend.model,
            conversation=self.response.history.conversation or "",
            prompt_tokens=self.input_tokens,
        )
