"""What is a response: what was asked for, which history it reads, and how far it has come?"""

from collections.abc import Mapping
from copy import replace
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self

from msgspec import Struct, field

from domain.content.capabilities import Capability
from domain.content.sampling_parameters import needed_capabilities
from domain.content.tools import ToolConfig
from domain.identity.owners import Owner
from domain.ids import own_token, thread_of
from domain.log.events import ResponseStatus
from domain.pipelines.pipeline_use import PipelineUse
from domain.tokens.counts import NOT_COUNTED, TokenCount
from domain.turns.cache_use import CacheUse
from domain.turns.history_index import HistoryIndex
from domain.turns.response_progress import ResponseProgress


class IncludedPart(StrEnum):
    """A part of an answer that is sent only where the caller asks for it."""

    SEARCH_RESULTS = "file_search_call.results"
    """The rows that a search of private data has found."""

    ENCRYPTED_REASONING = "reasoning.encrypted_content"
    """The reasoning in a form that a caller can send back; only this service reads it."""


class Sampling(Struct, frozen=True, kw_only=True):
    """How the model chooses its output. None leaves the value to the backend.

    `parameters` are the ones that are passed to a backend unchanged; see `domain.content.sampling_parameters`.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_document(self) -> dict[str, Any]:
        return {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_output_tokens": self.max_output_tokens,
            "parameters": dict(self.parameters),
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            temperature=body["temperature"],
            top_p=body["top_p"],
            max_output_tokens=body["max_output_tokens"],
            parameters=body.get("parameters", {}),
        )


class ResponseOptions(Struct, frozen=True, kw_only=True):
    """What the caller asked for.

    `sources` names the private data that the turn reads. `echoed` are fields without effect that the response object
    returns as they were sent. `include` has the parts of the answer that are only sent on demand. `batch` is the id of
    the batch whose line the turn answers. `approval_wait_s` is how long it may wait in place for approvals, 0 for not.
    `keeps_text`: its stream can't replace text that was shown, as that of chat completions can't.
    """

    model: str
    background: bool = False
    store: bool = True
    instructions: str | None = None
    sampling: Sampling = field(default_factory=Sampling)
    tool_config: ToolConfig = field(default_factory=ToolConfig)
    sources: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    echoed: Mapping[str, str | int] = field(default_factory=dict[str, str | int])
    include: tuple[IncludedPart, ...] = ()
    batch: str = ""
    approval_wait_s: float = 0.0
    cache: CacheUse | None = None
    pipeline: PipelineUse | None = None
    keeps_text: bool = False

    def to_document(self) -> dict[str, Any]:
        return {
            **({"echoed": dict(self.echoed)} if self.echoed else {}),
            "model": self.model,
            "background": self.background,
            "store": self.store,
            "instructions": self.instructions,
            **self.sampling.to_document(),
            "form": self.tool_config.to_document(),
            "sources": list(self.sources),
            "metadata": dict(self.metadata),
            **({"include": [part.value for part in self.include]} if self.include else {}),
            **({"batch": self.batch} if self.batch else {}),
            **({"approval_wait_s": self.approval_wait_s} if self.approval_wait_s else {}),
            **({"cache": self.cache.to_document()} if self.cache else {}),
            **({"pipeline": self.pipeline.to_document()} if self.pipeline else {}),
            **({"keeps_text": True} if self.keeps_text else {}),
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            model=body["model"],
            background=body["background"],
            store=body["store"],
            instructions=body["instructions"],
            sampling=Sampling.from_document(body),
            tool_config=ToolConfig.from_document(body["form"]) if body.get("form") else ToolConfig(),
            sources=tuple(body.get("sources", ())),
            metadata=body["metadata"],
            echoed=body.get("echoed", {}),
            include=tuple(IncludedPart(part) for part in body.get("include", ()) if part in IncludedPart),
            batch=body.get("batch", ""),
            approval_wait_s=body.get("approval_wait_s", 0.0),
            cache=CacheUse.from_document(body["cache"]) if "cache" in body else None,
            pipeline=PipelineUse.from_document(body["pipeline"]) if "pipeline" in body else None,
            keeps_text=body.get("keeps_text", False),
        )


class ResponseHistory(Struct, frozen=True, kw_only=True):
    """Which earlier turns the model reads.

    `previous` is the id of the response that this one continues. The turn reads the entries of its conversation that
    are numbered below `reads_before`. It leaves out the oldest `left_out` turns and, of the others, the oldest
    `results_out` results of tools, which is allowed where it `truncates`.
    `index` finds the earlier turns; it is None for a turn of a release that stored no index.
    `counts` are the tokens of what it reads, without private data, for each model that they were counted for.
    A turn that waits until the response `waits_for` has ended, or those after it, has no history yet.
    """

    previous: str | None = None
    conversation: str | None = None
    reads_before: int = 0
    left_out: int = 0
    truncates: bool = True
    index: HistoryIndex | None = None
    waits_for: str | None = None
    results_out: int = 0
    counts: Mapping[str, TokenCount] = field(default_factory=lambda: NOT_COUNTED)

    def to_document(self) -> dict[str, Any]:
        counts = {model: count.to_document() for model, count in self.counts.items()}
        return {
            "previous": self.previous,
            "conversation": self.conversation,
            "reads_before": self.reads_before,
            "left_out": self.left_out,
            "truncates": self.truncates,
            "track": self.index.to_document() if self.index else None,
            **({"waits_for": self.waits_for} if self.waits_for else {}),
            **({"results_out": self.results_out} if self.results_out else {}),
            **({"counts": counts} if counts else {}),
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            previous=body["previous"],
            conversation=body["conversation"],
            reads_before=body.get("reads_before", 0),
            left_out=body.get("left_out", 0),
            truncates=body.get("truncates", True),
            index=HistoryIndex.from_document(body["track"]) if body.get("track") else None,
            waits_for=body.get("waits_for"),
            results_out=body.get("results_out", 0),
            counts={model: TokenCount.from_document(count) for model, count in body.get("counts", {}).items()},
        )


class Response(Struct, frozen=True, kw_only=True):
    """One turn. Times are seconds since the epoch; `input_items` are ids.

    `traceparent` is the W3C trace context of the request that created the response. `warning` is shown to the caller.
    `budget_left` is what budgets left the turn when it was admitted, in dollars; None where they have no limit.
    `approved` are the requests whose calls the turn runs first.
    """

    id: str
    owner: Owner
    created_at: float
    deadline_at: float
    options: ResponseOptions
    input_items: tuple[str, ...] = ()
    history: ResponseHistory = field(default_factory=ResponseHistory)
    progress: ResponseProgress = field(default_factory=ResponseProgress)
    traceparent: str = ""
    warning: str = ""
    budget_left: Decimal | None = None
    approved: tuple[str, ...] = ()

    @property
    def model(self) -> str:
        return self.options.model

    @property
    def status(self) -> ResponseStatus:
        return self.progress.status

    @property
    def instance(self) -> str:
        """The id of the orchestration that runs the turn: its own, or that of its batch."""
        return self.options.batch or self.id

    @property
    def is_readable(self) -> bool:
        """Whether the response may be read; of an unstored one that has ended, only its stream may."""
        return self.options.store or not self.status.is_terminal

    @property
    def thread(self) -> str:
        thread = thread_of(self.id)
        if thread is None:
            raise ValueError(f"{self.id!r} is not the id of a response")
        return thread

    @property
    def required_capabilities(self) -> frozenset[Capability]:
        """The capabilities that the model must have."""
        needed = needed_capabilities(self.options.sampling.parameters)
        return self.options.tool_config.required_capabilities | frozenset(needed.values())

    @property
    def token(self) -> str:
        return own_token(self.id)

    @property
    def latest_deadline_at(self) -> float:
        """The deadline after all the time that the turn may still wait for approvals."""
        return self.deadline_at + max(0.0, self.options.approval_wait_s - self.progress.waited_s)

    @property
    def calls_end_at(self) -> float:
        """When no call of a tool may run any more: the rest of the time is kept for the answer."""
        return self.deadline_at - self.progress.answer_s(self.deadline_at - self.created_at)

    def begun(self, *, execution: str, at: float) -> "Response":
        begun = replace(self.progress, status=ResponseStatus.IN_PROGRESS, execution=execution, begun_at=at)
        return replace(self, progress=begun)

    def with_follower(self, response_id: str) -> "Response":
        return replace(self, progress=replace(self.progress, followers=(*self.progress.followers, response_id)))

    def ended(self, *, status: ResponseStatus, at: float, output_items: tuple[str, ...]) -> "Response":
        running = self.progress.without_wait(at)
        return replace(self, progress=replace(running, status=status, ended_at=at, output_items=output_items))

    def waiting(self, *, at: float, until: float) -> "Response":
        """Return the turn while it waits for approvals, from `at` or from the beginning of its present wait."""
        return replace(self, progress=self.progress.with_wait(at, until=until))

    def resumed(self, *, at: float) -> "Response":
        """Return the turn after its wait. Its deadline was paused meanwhile."""
        resumed = self.progress.without_wait(at)
        waited_s = resumed.waited_s - self.progress.waited_s
        return replace(self, deadline_at=self.deadline_at + waited_s, progress=resumed)

    def to_document(self) -> dict[str, Any]:
        return {
            "kind": "response",
            "v": 1,
            **self.progress.time_of_record(self.created_at),
            "deadline_at": self.deadline_at,
            "tenant": self.owner.tenant,
            "subject": self.owner.subject,
            "roles": list(self.owner.roles),
            "input_items": list(self.input_items),
            **self.options.to_document(),
            **self.history.to_document(),
            **self.progress.to_document(),
            "traceparent": self.traceparent,
            "warning": self.warning,
            **({} if self.budget_left is None else {"budget_left": f"{self.budget_left:f}"}),
            **({"approved": list(self.approved)} if self.approved else {}),
        }

    @classmethod
    def from_document(cls, identifier: str, body: Mapping[str, Any]) -> Self:
        return cls(
            id=identifier,
            owner=Owner(tenant=body["tenant"], subject=body["subject"], roles=tuple(body.get("roles", ()))),
            created_at=body.get("created_at", body["at"]),
            deadline_at=body["deadline_at"],
            options=ResponseOptions.from_document(body),
            input_items=tuple(body["input_items"]),
            history=ResponseHistory.from_document(body),
            progress=ResponseProgress.from_document(body),
            traceparent=body["traceparent"],
            warning=body.get("warning", ""),
            budget_left=Decimal(body["budget_left"]) if "budget_left" in body else None,
            approved=tuple(body.get("approved", ())),
        )
