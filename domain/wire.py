"""What do orchestrations and activities exchange? Stored histories contain these names and shapes.

A shape may only gain optional fields; any other change needs a new name. Shapes contain ids and small scalars, never
the caller's content. Each shape is the input or the output of one activity or orchestration.
"""

from typing import Any, Final, Literal, NotRequired, TypedDict

from domain.identity.owners import Owner
from domain.log.capped_answers import CappedWire
from domain.log.escalations import EscalationWire
from domain.place_wire import ClaimWire
from domain.tokens.sizes import SizeWire

RESPOND: Final = "respond"
"""The orchestration of one turn."""

DELIVERY_ORCHESTRATION: Final = "announce"
"""The orchestration that delivers the end of one turn to one webhook endpoint."""

ENTER: Final = "enter"
BEGIN: Final = "begin"
RECALL: Final = "recall"
TRY_RECALL: Final = "try_recall"
ANTICIPATE: Final = "anticipate"
ROUTE: Final = "route"
INFER: Final = "infer"
FINISH: Final = "finish"
SETTLE: Final = "settle"
DELIVER_WEBHOOK: Final = "notify"
CALL_TOOL: Final = "call_tool"
TRY_CALL_TOOL: Final = "try_call_tool"
TRY_CALL_TOOLS: Final = "try_call_tools"

FIRST_STEPS: Final = (TRY_RECALL, ANTICIPATE)
"""The steps that run in parallel before the first route."""

NEVER_RAISING: Final = (*FIRST_STEPS, TRY_CALL_TOOL, TRY_CALL_TOOLS)
"""The steps that run in parallel with others. They never fail: each returns a `TriedWire`."""

ONE_BY_ONE: Final = "1.0"
"""The version of orchestrations that run recall before the route and nothing in parallel."""
ONE_HISTORY: Final = frozenset({None, ONE_BY_ONE, "1.1", "1.2"})
"""The versions of orchestrations that keep one history, however long it gets."""

CANCELLED_EVENT: Final = "cancelled"
"""The external event that wakes an orchestration whose response was cancelled."""

TURN_ENDED_EVENT: Final = "turn_ended"
"""The external event that wakes the first turn in a conversation's line: the turn before it has ended."""


class TurnWire(TypedDict):
    """Identifies one turn; `traceparent` is the W3C trace context of the request that created it.

    `start` identifies the start of its orchestration; it stays the same when the host repeats the start.
    """

    tenant: str
    subject: str
    response: str
    traceparent: str
    start: NotRequired[str]


class RespondWire(TurnWire):
    """`waiting`: the turn was admitted while another one had its conversation. `in_place`: it waits for approvals.

    `continued` is what the turn's earlier histories leave to this one; see `orchestrators.continuation`.
    """

    waiting: NotRequired[bool]
    in_place: NotRequired[bool]
    continued: NotRequired[dict[str, Any]]


class EnterWire(TurnWire):
    """`waits` counts how often the turn has waited before."""

    waits: int


class EnteredWire(TypedDict):
    """Whether the turn may begin: at once, after another try in `delay_s`, or never, where there is a `code`."""

    delay_s: float
    code: str
    message: str


class BeginWire(TurnWire):
    """`execution` identifies one run of the orchestration."""

    execution: str


class BegunWire(TypedDict):
    """`mine`: the turn belongs to this execution. `calls` are the items of approved calls, which run first."""

    mine: bool
    calls: NotRequired[list[str]]


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
    """`number` counts routes from 1; `excluded` maps the names of excluded backends to reasons.

    `prefers` names the backend that takes the turn if it can: the one that was started for its batch. `repeated`: an
    earlier attempt has begun this answer, or failed to. `escalation`: an answer of the turn failed its checks.
    """

    number: int
    size: SizeWire
    excluded: dict[str, str]
    capped: NotRequired[CappedWire]
    repeated: NotRequired[bool]
    prefers: NotRequired[str]
    escalation: NotRequired[EscalationWire]


class WaitReasonWire(TypedDict):
    """Why a turn waits, and for which backend; the backend is empty where all of them are unavailable."""

    backend: str
    reason: str


class WaitWire(WaitReasonWire):
    """A durable timer that a turn waited on, in seconds since the epoch."""

    since: float
    until: float


class RoutedWire(ClaimWire):
    """The chosen backend and the reason. Where it is None, `delay_s` above 0 is the delay before the next route.

    `worst_cost` is a decimal string of dollars; `output_tokens` is the output limit. `cold`: the backend is
    probably not running. It may hold the request for `hold_s` before it accepts it, and process it for `limit_s`.
    `input_tokens` estimates the prompt. `wait` is the cause of a delay. `escalates`: a better model can be asked too.
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
    wait: NotRequired[WaitReasonWire]
    escalates: NotRequired[bool]


class InferWire(TurnWire, ClaimWire):
    """One attempt: `attempt` counts from 1 in the turn; `retries` counts consecutive failures at this backend.

    `failures` counts all of them there by class. `capped`: this round's answer has reached its cap before.
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
    capped: NotRequired[bool]
    escalates: NotRequired[bool]


FAILOVER: Final = "elsewhere"
"""The result of an attempt after which the turn tries another backend."""

BUDGET_EXHAUSTED: Final = "insufficient_quota"
"""The code of a turn that no budget covers."""
NO_COVER: Final = "budget"
"""The `posture` of an attempt without a call: other turns hold what it lacks of a budget."""

type InferResult = Literal["done", "calls", "handover", "wait", "elsewhere", "failed", "ended", "cancelled"]
"""done: answered. calls: run `calls`, then another round. handover: continue in a new attempt. wait: retry after
`delay_s`. elsewhere: try another backend. failed: end with `code`. ended, cancelled: the response was, meanwhile."""


class InferredWire(TypedDict):
    """The result of an attempt. `code` is the error code (failed) or the reason of an incomplete answer (done).

    `posture` is the failure class. `calls` are the ids of the items of calls, `added` is what this round adds to the
    input of the next one. `hands_back`: after the calls the turn ends, for the caller's functions were called too.
    `capped`: the attempt hands over because its answer has reached its cap.
    """

    result: InferResult
    code: str
    message: str
    delay_s: float
    posture: NotRequired[str]
    calls: NotRequired[list[str]]
    added: NotRequired[SizeWire]
    hands_back: NotRequired[bool]
    capped: NotRequired[CappedWire]
    escalation: NotRequired[EscalationWire]


class CallToolWire(TurnWire):
    """Names the item of a call that the server runs. `looks`: it is running, as a task of its server."""

    call: str
    looks: NotRequired[bool]


class CalledToolWire(TypedDict):
    """How a call ended; `added` is what its result adds to the next input.

    `ended`: the response has ended. `stopped`: its outcome is unknown, and the turn must not go on. `asks`: so it is,
    and the turn ends with the question whether to run it again. `running`: look again `until` (seconds of the epoch).
    """

    outcome: Literal["completed", "failed", "incomplete", "ended", "stopped", "asks", "running"]
    added: SizeWire
    until: NotRequired[float]


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
    """`status` and `code` are those of the turn's ending; `waits` are its durable timers."""

    spent: NotRequired[SpentWire]
    status: NotRequired[str]
    code: NotRequired[str]
    waits: NotRequired[list[WaitWire]]


class SettledWire(TypedDict):
    """The cost of the turn, a decimal string of dollars."""

    cost: str


class RespondedWire(TypedDict):
    """The orchestration's output."""

    status: str
    cost: NotRequired[str]


def owner_from_wire(turn: TurnWire) -> Owner:
    return Owner(tenant=turn["tenant"], subject=turn["subject"])
