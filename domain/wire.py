"""What do orchestrations and activities exchange? Stored histories contain these names and shapes.

A shape may only gain optional fields; any other change needs a new name. Shapes contain ids and small scalars, never
the caller's content. Each shape is the input or the output of one activity or orchestration.
"""

from typing import Any, Final, Literal, NotRequired, TypedDict

from domain.identity.owners import Owner

RESPOND: Final = "respond"
"""The orchestration of one turn."""

DELIVERY_ORCHESTRATION: Final = "announce"
"""The orchestration that delivers the end of one turn to one webhook endpoint."""

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
"""The steps that run in parallel before the first route. They never fail: each returns a `TriedWire`."""

ONE_BY_ONE: Final = "1.0"
"""The version of orchestrations that run recall before the route and nothing in parallel."""

CANCELLED_EVENT: Final = "cancelled"
"""The external event that wakes an orchestration whose response was cancelled."""


class TurnWire(TypedDict):
    """Identifies one turn; `traceparent` is the W3C trace context of the request that created it.

    `start` identifies the start of its orchestration; it stays the same when the host repeats the start.
    """

    tenant: str
    subject: str
    response: str
    traceparent: str
    start: NotRequired[str]


class BeginWire(TurnWire):
    """`execution` identifies one run of the orchestration."""

    execution: str


class BegunWire(TypedDict):
    """`mine`: the turn belongs to this execution."""

    mine: bool


class SizeWire(TypedDict):
    """A conversation's size in tokens, as in `domain.fleet.token_estimates.TokenEstimate`, and in bytes."""

    expected: int
    likely: int
    ceiling: int
    bytes: int


class RecalledWire(TypedDict):
    """The size of the input that the model reads."""

    size: SizeWire
    messages: int


class AnticipatedWire(TypedDict):
    """The cold backend that this turn or later turns need; `woken`: this turn has started its warm-up."""

    backend: str | None
    woken: bool


class TriedWire(TypedDict):
    """The result of a step that runs in parallel: its value, or None and the problem."""

    value: Any
    problem: str


class RouteWire(TurnWire):
    """`number` counts routes from 1; `excluded` maps the names of excluded backends to reasons."""

    number: int
    size: SizeWire
    excluded: dict[str, str]


class RoutedWire(TypedDict):
    """The chosen backend and the reason. Where it is None, `delay_s` above 0 is the delay before the next route.

    `worst_cost` is a decimal string of dollars; `output_tokens` is the output limit. `cold`: the backend is
    probably not running. It may hold the request for `hold_s` before it accepts it, and process it for `limit_s`.
    `input_tokens` is the estimated size of the prompt.
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
    """One attempt: `attempt` counts from 1 in the turn; `retries` counts consecutive failures at this backend.

    `failures` counts all failures at this backend by failure class; other fields are those of `RoutedWire`.
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
"""done: answered. handover: continue in a new attempt. wait: retry after `delay_s`. elsewhere: try another backend.
failed: end with `code`. ended: another process ended the response."""


class InferredWire(TypedDict):
    """The result of an attempt. `code` is the error code (failed) or the reason of an incomplete answer (done).

    `posture` is the failure class.
    """

    result: InferResult
    code: str
    message: str
    delay_s: float
    posture: NotRequired[str]


class FinishWire(TurnWire):
    """The requested final status of the turn; `code` and `message` are those of `domain.log.events.Ending`."""

    status: Literal["completed", "incomplete", "failed", "cancelled"]
    code: str
    message: str


class FinishedWire(TypedDict):
    """The actual final status of the turn, or `deleted`."""

    status: str


class StepSpentWire(TypedDict):
    """What one step used: request units of the store, and seconds. A step's result may have it as `spent`."""

    units: float
    seconds: float


class SpentWire(StepSpentWire):
    """The resources that all steps of a turn used; the seconds are billed seconds."""

    executions: int


class SettleWire(TurnWire):
    spent: NotRequired[SpentWire]


class SettledWire(TypedDict):
    """The cost of the turn, a decimal string of dollars."""

    cost: str


class RespondedWire(TypedDict):
    """The orchestration's output."""

    status: str
    cost: NotRequired[str]


class DeliverWebhookWire(TurnWire):
    """Names the endpoint that gets the webhook."""

    endpoint: str


class WebhookTriedWire(TypedDict):
    """The result of one try; `delay_s` above 0 is the delay before the next try."""

    delay_s: float
    outcome: str


class WebhookDeliveredWire(TypedDict):
    """The output of the webhook delivery orchestration."""

    outcome: str


def owner_from_wire(turn: TurnWire) -> Owner:
    return Owner(tenant=turn["tenant"], subject=turn["subject"])
