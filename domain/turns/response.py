"""What is a response, before and beside its log?"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from domain.content.capabilities import Capability
from domain.content.sampling_parameters import needed_capabilities
from domain.content.tools import ToolConfig
from domain.identity.owners import Owner
from domain.ids import own_token, thread_of
from domain.log.events import ResponseStatus
from domain.turns.history_index import HistoryIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the model is to choose its words; None leaves it to the backend.

    `parameters` are those that a backend takes as they are, as `domain.content.sampling_parameters` has them.
    """

    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One turn as it was asked for, and where it stands. Times are seconds since the epoch.

    `previous` is the response that it goes on from; `execution` names the one run of the orchestration whose turn it
    is; `input_items` and `output_items` are ids; `traceparent` is the W3C context of the request that asked for it. Of
    its conversation it reads the entries numbered below `reads_before`; of all past turns it leaves out the oldest
    `left_out`, which it may do where it `truncates`. `sources` names the private data that it reads; `form` is what its
    answer may be. `track` leads to the turns before it; a turn of a release that kept none has None.
    """

    id: str
    owner: Owner
    model: str
    created_at: float
    deadline_at: float
    status: ResponseStatus = ResponseStatus.QUEUED
    background: bool = False
    store: bool = True
    previous: str | None = None
    conversation: str | None = None
    instructions: str | None = None
    sampling: Sampling = field(default_factory=Sampling)
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    input_items: tuple[str, ...] = ()
    output_items: tuple[str, ...] = ()
    execution: str | None = None
    begun_at: float | None = None
    ended_at: float | None = None
    traceparent: str = ""
    reads_before: int = 0
    left_out: int = 0
    truncates: bool = True
    history_index: HistoryIndex | None = None
    warning: str = ""
    sources: tuple[str, ...] = ()
    tool_config: ToolConfig = field(default_factory=ToolConfig)

    @property
    def thread(self) -> str:
        thread = thread_of(self.id)
        if thread is None:
            raise ValueError(f"{self.id!r} is no id of a response")
        return thread

    @property
    def needs(self) -> frozenset[Capability]:
        """What a model must be able to do."""
        return self.tool_config.needs | frozenset(needed_capabilities(self.sampling.parameters).values())

    @property
    def token(self) -> str:
        return own_token(self.id)

    def begun(self, *, execution: str, at: float) -> "Response":
        return replace(self, status=ResponseStatus.IN_PROGRESS, execution=execution, begun_at=at)

    def ended(self, *, status: ResponseStatus, at: float, output_items: tuple[str, ...]) -> "Response":
        return replace(self, status=status, ended_at=at, output_items=output_items)

    def to_document(self) -> dict[str, Any]:
        return {
            "kind": "response",
            "v": 1,
            "status": self.status.value,
            "at": self.created_at,
            "tenant": self.owner.tenant,
            "subject": self.owner.subject,
            "model": self.model,
            "deadline_at": self.deadline_at,
            "background": self.background,
            "store": self.store,
            "previous": self.previous,
            "conversation": self.conversation,
            "instructions": self.instructions,
            "temperature": self.sampling.temperature,
            "top_p": self.sampling.top_p,
            "max_output_tokens": self.sampling.max_output_tokens,
            "parameters": dict(self.sampling.parameters),
            "metadata": dict(self.metadata),
            "input_items": list(self.input_items),
            "output_items": list(self.output_items),
            "execution": self.execution,
            "begun_at": self.begun_at,
            "ended_at": self.ended_at,
            "traceparent": self.traceparent,
            "reads_before": self.reads_before,
            "left_out": self.left_out,
            "truncates": self.truncates,
            "track": self.history_index.to_document() if self.history_index else None,
            "warning": self.warning,
            "sources": list(self.sources),
            "form": self.tool_config.to_document(),
            "roles": list(self.owner.roles),
        }

    @classmethod
    def from_document(cls, identifier: str, body: Mapping[str, Any]) -> Self:
        sampling = Sampling(
            temperature=body["temperature"],
            top_p=body["top_p"],
            max_output_tokens=body["max_output_tokens"],
            parameters=body.get("parameters", {}),
        )
        return cls(
            id=identifier,
            owner=Owner(tenant=body["tenant"], subject=body["subject"], roles=tuple(body.get("roles", ()))),
            model=body["model"],
            created_at=body["at"],
            deadline_at=body["deadline_at"],
            status=ResponseStatus(body["status"]),
            background=body["background"],
            store=body["store"],
            previous=body["previous"],
            conversation=body["conversation"],
            instructions=body["instructions"],
            sampling=sampling,
            metadata=body["metadata"],
            input_items=tuple(body["input_items"]),
            output_items=tuple(body["output_items"]),
            execution=body["execution"],
            begun_at=body["begun_at"],
            ended_at=body["ended_at"],
            traceparent=body["traceparent"],
            reads_before=body.get("reads_before", 0),
            left_out=body.get("left_out", 0),
            truncates=body.get("truncates", True),
            history_index=HistoryIndex.from_document(body["track"]) if body.get("track") else None,
            warning=body.get("warning", ""),
            sources=tuple(body.get("sources", ())),
            tool_config=ToolConfig.from_document(body["form"]) if body.get("form") else ToolConfig(),
        )
