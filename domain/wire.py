"""What crosses the durable boundary? Names and shapes, which only grow: a changed shape is a new name.

Ids and small scalars only; no content of a caller is ever in it. Each shape is what one activity takes or gives.
"""

from typing import Any, Final, Literal, NotRequired, TypedDict

from domain.identity.owners import Owner

RESPOND: Final = "respond"
"""The orchestration of one turn."""

DELIVERY_ORCHESTRATION: Final = "announce"
"""The orchestration that tells one endpoint of the end of one turn."""

BEGIN: Final = "begin"
RECALL: Final = "recall"
TRY_RECALL: Final = "try_recall"
ANTICIPATE: Final = "anticipate"
ROUTE: Final = "route"
INFER: Final = "infer"
FINISH: Final = "finish"
SETTLE: Final = "settle"
DELIVER_WEBHOOK: Final = "notify"

NEVER_RAISING: Final = (TRY_RECALL, ANTICIPATE)
"""The steps that run beside each other before the first route. They never fail: each gives a `TriedWire`."""

ONE_BY_ONE: Final = "1.0"
"""The version of orchestrations that recall before the route and gather nothing."""

CANCELLED_EVENT: Final = "cancelled"
"""The external event that wakes an orchestration whose response was cancelled."""


class TurnWire(TypedDict):
    """Names one turn; `traceparent` is the W3C trace context of the request that asked for it.

    `start` names the start of its orchestration: whatever of it the host forgets and does again is the same start.
    """

    tenant: str
    subject: str
    response: str
    traceparent: str
    start: NotRequired[str]


class BeginWire(TurnWire):
    """`execution` names one run of the orchestration."""

    execution: str


class BegunWire(TypedDict):
    """Whether it is this execution's turn."""

    mine: bool


class SizeWire(TypedDict):
    """A conversation's size in tokens, as `domain.fleet.token_estimates.Tokens`, and its bytes."""

    expected: int
    likely: int
    ceiling: int
    bytes: int


class RecalledWire(TypedDict):
    """How big the conversation is that the model is to read."""

    size: SizeWire
    messages: int


class AnticipatedWire(TypedDict):
    """Which sleeping backend the turn, or those after it, will want; and whether this turn has woken it."""

    backend: str | None
    woken: bool


class TriedWire(TypedDict):
    """What a step gives that runs beside others: its value, or None and why there is none."""

    value: Any
    problem: str


class RouteWire(TurnWire):
    """`number` counts routes from 1; `excluded` tells why a backend is out of this turn, by its name."""

    number: int
    size: SizeWire
    excluded: dict[str, str]


class RoutedWire(TypedDict):
    """The chosen backend and why. Where it is None, `delay_s` above 0 tells when to ask again.

    `worst_cost` is a decimal string of dollars; `output_tokens` is how much the backend may write. `cold` tells that it
    is not believed to be up; it may hold the request for `hold_s` before it lets it in, and work on it for `limit_s`.
    `input_tokens` is what the turn's prompt is estimated at.
    """

    backend: str | None
    reason: str
    worst_cost: str
    output_tokens: int
    has_alternative: bool
    delay_s: float
    cold: NotRequired[bool]
    hold_s: NotRequired[float | None]
    limit_s: NotRequired[float | None]
    input_tokens: NotRequired[int]


class InferWire(TurnWire):
    """One attempt: `attempt` counts from 1 in the turn, `retries` the failures in a row before it at this backend.

    `failures` counts all failures at this backend by their posture; the rest as in `RoutedWire`.
    """

    attempt: int
    backend: str
    worst_cost: str
    output_tokens: int
    retries: int
    has_alternative: bool
    failures: NotRequired[dict[str, int]]
    cold: NotRequired[bool]
    hold_s: NotRequired[float | None]
    limit_s: NotRequired[float | None]
    input_tokens: NotRequired[int]


FAILOVER: Final = "elsewhere"
"""The result of an attempt after which the turn tries another backend."""

type InferResult = Literal["done", "handover", "wait", "elsewhere", "failed", "ended"]
"""done: answered. handover: go on in a new attempt. wait: try again after `delay_s`. elsewhere: try another backend.
failed: give up with `code`. ended: somebody else ended the response."""


class InferredWire(TypedDict):
    """What an attempt came to. `code` is an error's code (failed) or why the answer is incomplete (done).

    `posture` is what a failure says of the backend.
    """

    result: InferResult
    code: str
    message: str
    delay_s: float
    posture: NotRequired[str]


class FinishWire(TurnWire):
    """The status that the turn is to end with; `code` and `message` as in `log.Ending`."""

    status: Literal["completed", "incomplete", "failed", "cancelled"]
    code: str
    message: str


class FinishedWire(TypedDict):
    """The status that the turn did end with, or `deleted`."""

    status: str


class StepSpentWire(TypedDict):
    """What one step has spent: request units of the store, and seconds. Every step's result may have it as `spent`."""

    units: float
    seconds: float


class SpentWire(StepSpentWire):
    """What the steps of a turn have spent together; the seconds are those that are billed."""

    executions: int


class SettleWire(TurnWire):
    spent: NotRequired[SpentWire]


class SettledWire(TypedDict):
    """What the turn cost, a decimal string of dollars."""

    cost: str


class RespondedWire(TypedDict):
    """The orchestration's output."""

    status: str
    cost: NotRequired[str]


class DeliverWebhookWire(TurnWire):
    """Names the endpoint that is to be told of the end of the turn."""

    endpoint: str


class WebhookTriedWire(TypedDict):
    """What a try came to; `delay_s` above 0 tells when to try again."""

    delay_s: float
    outcome: str


class WebhookDeliveredWire(TypedDict):
    """The output of the orchestration that tells an endpoint."""

    outcome: str


def owner_from_wire(given: TurnWire) -> Owner:
    return Owner(tenant=given["tenant"], subject=given["subject"])
