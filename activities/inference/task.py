"""What does one attempt have to do?"""

from collections.abc import Iterable, Mapping, Sequence
from copy import replace
from decimal import Decimal

from msgspec import Struct, field

from domain.content.capabilities import Capability
from domain.content.items import Item
from domain.content.result_images import with_shown_images
from domain.content.schema_tool_calls import is_held_to_output_schema
from domain.content.server_calls import readable_items
from domain.content.tools import FunctionCall, OutputFormatKind, ToolConfig
from domain.fleet.catalog import Backend, ContinuationMode
from domain.identity.owners import Owner
from domain.money.attempt_charge import AttemptCharge
from domain.money.ledger_records import AttemptRecord
from domain.tools.approval_rules import ApprovalRules
from domain.tools.rounds import without_calls
from domain.turns.origins import origin_of
from domain.turns.response import Response


class AttemptTask(Struct, frozen=True, kw_only=True):
    """One attempt of one turn at one backend. `wire.InferWire` explains the fields that it shares.

    `is_capped`: the answer of the present round has reached its cap before. `tools` are those of the present round;
    `limit` names the limit because of which the round forbids calls, and
    `calls_left` is how many calls of servers' tools may be run, and `approvals` says which of them need an approval.
    """

    owner: Owner
    response: Response
    number: int
    backend: Backend
    worst_cost: Decimal
    output_tokens: int
    retries: int
    has_alternative: bool
    tools: ToolConfig = field(default_factory=ToolConfig)
    capabilities: frozenset[Capability] = frozenset()
    failures: Mapping[str, int] = field(default_factory=dict[str, int])
    is_cold: bool = False
    hold_s: float | None = None
    limit_s: float | None = None
    input_tokens: int = 0
    claim: int = 0
    limit: str = ""
    calls_left: int = 0
    approvals: ApprovalRules | None = None
    is_capped: bool = False
    escalates: bool = False

    def closing(self, limit: str) -> "AttemptTask":
        """Return the task of a round in which the model has to answer, because of a limit."""
        return replace(self, tools=without_calls(self.tools), limit=limit)

    def asks(self, call: FunctionCall) -> bool:
        """Tell whether a call has to be approved before it is made."""
        return self.approvals is not None and self.approvals.asks(call)

    @property
    def continues_text(self) -> bool:
        """Tell whether the backend can continue a partial answer; one that is held to JSON begins it again."""
        return self.backend.continues is not ContinuationMode.NO and not self.is_json

    @property
    def is_json(self) -> bool:
        """Tell whether the text of the answer has to be JSON."""
        return self.tools.format.kind is not OutputFormatKind.TEXT

    @property
    def is_open_ended(self) -> bool:
        """Tell whether the caller has left the length of the answer open."""
        return self.response.options.sampling.max_output_tokens is None

    @property
    def top_logprobs(self) -> int | None:
        """How many options the caller wants beside the log probability of each token; None: no log probabilities."""
        parameters = self.response.options.sampling.parameters
        return parameters.get("top_logprobs", 0) if parameters.get("logprobs") else None

    @property
    def calls_tools_by_schema(self) -> bool:
        """Tell whether the model cannot call functions and has to answer by a JSON schema instead."""
        return Capability.TOOLS not in self.capabilities

    def readable(self, items: Sequence[Item]) -> tuple[Item, ...]:
        """Return the items as the model reads them: without the images of results where it has no vision."""
        return tuple(readable_items(with_shown_images(items, sees=Capability.VISION in self.capabilities)))

    def is_held(self, history: Iterable[Item]) -> bool:
        """Tell whether the answer encodes calls or a text as JSON; a model without JSON schemas can't be held to it.

        An answer with log probabilities is not, where it may call no function: they would be those of the JSON.
        """
        has_scores = self.top_logprobs is not None and not self.tools.callable_functions
        can_be_held = self.calls_tools_by_schema and Capability.JSON_SCHEMA in self.capabilities and not has_scores
        return can_be_held and is_held_to_output_schema(self.tools, history)

    def record(self, *, at: float) -> AttemptRecord:
        """Return the record of the attempt that begins at `at`, in seconds since the epoch."""
        return AttemptRecord(
            response=self.response.id,
            subject=self.owner.subject,
            number=self.number,
            backend=self.backend.name,
            price=self.backend.price.name,
            started_at=at,
            charge=AttemptCharge(reserved=self.worst_cost),
            model=self.backend.model,
            conversation=self.response.history.conversation or "",
            prompt_tokens=self.input_tokens,
            origin=origin_of(self.response.options),
        )
