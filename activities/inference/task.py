"""What is one attempt asked to do?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from domain.fleet.catalog import Backend, Capability
from domain.identity.owners import Owner
from domain.money.ledger_records import AttemptRecord
from domain.turns.response import Response


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptTask:
    """One attempt of one turn at one backend; the rest as in `wire.InferWire`."""

    owner: Owner
    response: Response
    number: int
    backend: Backend
    worst_cost: Decimal
    output_tokens: int
    retries: int
    has_alternative: bool
    abilities: frozenset[Capability] = frozenset()
    failures: Mapping[str, int] = field(default_factory=dict[str, int])
    cold: bool = False
    hold_s: float | None = None
    limit_s: float | None = None
    input_tokens: int = 0

    def record(self, *, at: float) -> AttemptRecord:
        """Return the record of the attempt that begins now, in seconds since the epoch."""
        return AttemptRecord(
            response=self.response.id,
            subject=self.owner.subject,
            number=self.number,
            backend=self.backend.name,
            price=self.backend.price,
            reserved=self.worst_cost,
            started_at=at,
            model=self.backend.model,
            conversation=self.response.conversation or "",
            prompt_tokens=self.input_tokens,
        )
