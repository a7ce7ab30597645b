"""What is a batch of requests, and how far has it come?"""

from collections.abc import Mapping
from copy import replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Self

from msgspec import Struct, field

from domain.batches.totals import BatchTotals
from domain.identity.owners import Owner

ENDPOINTS: Final = ("/v1/responses", "/v1/chat/completions")
WINDOW: Final = "24h"
WINDOW_S: Final = 86_400.0
SHORTEST_WINDOW_S, LONGEST_WINDOW_S = 60, 7 * 86_400
LINES_LIMIT: Final = 50_000
CHUNK_LINES: Final = 64
"""The lines of one child orchestration, whose turns share a thread."""

NO_TIMES: Final[Mapping[str, float]] = MappingProxyType({})


class BatchStatus(StrEnum):
    VALIDATING = "validating"
    FAILED = "failed"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        return self in ENDINGS

    @property
    def runs_lines(self) -> bool:
        return self is BatchStatus.IN_PROGRESS


ENDINGS: Final = frozenset({BatchStatus.FAILED, BatchStatus.COMPLETED, BatchStatus.EXPIRED, BatchStatus.CANCELLED})


class BatchRequest(Struct, frozen=True, kw_only=True):
    """What the caller asked for. `keep_s` is how long the files of the results are kept; None: until deleted."""

    endpoint: str
    input_file: str
    metadata: Mapping[str, str]
    window_s: float
    keep_s: float | None = None


class Batch(Struct, frozen=True, kw_only=True):
    """One batch. Times are seconds since the epoch; `times` has when it came into each status.

    `lines` are the lines of its input, `errors` those that are wrong. An average line has `input_tokens`, and may have
    `output_tokens`. `outcome` is the status that it will end with, once that is decided. `totals` are those of a batch
    that has ended. `looked_at` is when a sweep that had more batches before it than it may look at has looked at this
    one; else 0.
    """

    id: str
    owner: Owner
    created_at: float
    request: BatchRequest
    status: BatchStatus = BatchStatus.VALIDATING
    traceparent: str = ""
    lines: int = 0
    errors: int = 0
    model: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    outcome: BatchStatus | None = None
    times: Mapping[str, float] = NO_TIMES
    output_file: str | None = None
    error_file: str | None = None
    totals: BatchTotals = field(default_factory=BatchTotals)
    looked_at: float = 0.0

    @property
    def expires_at(self) -> float:
        return self.created_at + self.request.window_s

    @property
    def chunks(self) -> int:
        return -(-self.lines // CHUNK_LINES)

    def entered(self, status: BatchStatus, *, at: float) -> "Batch":
        """Return the batch in a new status."""
        return replace(self, status=status, times={**self.times, status.value: at})

    def to_document(self) -> dict[str, Any]:
        """Return the stored form. The sweep finds a batch that has not ended by its `status`."""
        request = self.request
        return {
            "kind": "batch",
            "v": 1,
            "at": self.looked_at or self.created_at,
            **({"created_at": self.created_at} if self.looked_at else {}),
            "status": "ended" if self.status.has_ended else "active",
            "tenant": self.owner.tenant,
            "subject": self.owner.subject,
            "roles": list(self.owner.roles),
            "batch": self.id,
            "state": self.status.value,
            "endpoint": request.endpoint,
            "input_file": request.input_file,
            "metadata": dict(request.metadata),
            "window_s": request.window_s,
            "keep_s": request.keep_s,
            "traceparent": self.traceparent,
            "lines": self.lines,
            "errors": self.errors,
            "model": self.model,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "outcome": self.outcome.value if self.outcome else None,
            "times": dict(self.times),
            "output_file": self.output_file,
            "error_file": self.error_file,
            "totals": self.totals.to_document(),
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            id=body["batch"],
            owner=Owner(tenant=body["tenant"], subject=body["subject"], roles=tuple(body["roles"])),
            created_at=body.get("created_at", body["at"]),
            looked_at=body["at"] if "created_at" in body else 0.0,
            request=BatchRequest(
                endpoint=body["endpoint"],
                input_file=body["input_file"],
                metadata=body["metadata"],
                window_s=body["window_s"],
                keep_s=body["keep_s"],
            ),
            status=BatchStatus(body["state"]),
            traceparent=body["traceparent"],
            lines=body["lines"],
            errors=body["errors"],
            model=body["model"],
            input_tokens=body.get("input_tokens", 0),
            output_tokens=body.get("output_tokens", 0),
            outcome=BatchStatus(body["outcome"]) if body["outcome"] else None,
            times=body["times"],
            output_file=body["output_file"],
            error_file=body["error_file"],
            totals=BatchTotals.from_document(body["totals"]),
        )
