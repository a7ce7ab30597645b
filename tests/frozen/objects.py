"""Which objects did the first release write into the frozen documents?"""

from decimal import Decimal

from domain.content.tools import FunctionTool, OutputFormat, OutputFormatKind, ToolChoice, ToolConfig
from domain.identity.owners import Owner
from domain.log.events import ResponseStatus, TokenUsage
from domain.money.attempt_charge import AttemptCharge, AttemptStatus, SessionShare
from domain.money.ledger_records import AttemptProgress, AttemptRecord, Reservation, ReservationStatus
from domain.money.overheads import OverheadCost
from domain.routing.estimates import Estimate, Readiness
from domain.routing.filters import Rejection
from domain.routing.model_choice import RouteProblem
from domain.routing.queueing import QueueWait
from domain.routing.rent_or_buy import RentOrBuy
from domain.routing.router import Candidate, RouteDecision
from domain.sources.catalog import FetchedRows
from domain.turns.history_index import HistoryIndex
from domain.turns.response import Response, ResponseHistory, ResponseOptions, ResponseProgress, Sampling

NOW = 1_800_000_000.0
OWNER = Owner(tenant="tenant-1", subject="user:alice", roles=("Analyst", "Reader"))
THREAD = "a" * 24
RESPONSE_ID = f"resp_{THREAD}{2:024x}"
PREVIOUS_ID = f"resp_{THREAD}{1:024x}"
CONVERSATION_ID = f"conv_{THREAD}"
MESSAGE_ID = f"msg_{THREAD}{3:024x}"
CALL_ID = f"fc_{THREAD}{4:024x}"
OUTPUT_ID = f"fco_{THREAD}{5:024x}"
REASONING_ID = f"rs_{THREAD}{6:024x}"

TOOLS = ToolConfig(
    functions=(
        FunctionTool(
            name="find",
            description="Finds.",
            parameters={"type": "object", "properties": {"q": {"type": "string"}}},
            strict=True,
        ),
    ),
    tool_choice=ToolChoice.REQUIRED,
    allowed_names=("find",),
    must_call_one=True,
    parallel=False,
    format=OutputFormat(
        kind=OutputFormatKind.JSON_SCHEMA,
        name="answer",
        schema={"type": "object"},
        description="The answer.",
        strict=True,
    ),
    images=2,
)
RESPONSE = Response(
    id=RESPONSE_ID,
    owner=OWNER,
    created_at=NOW,
    deadline_at=NOW + 600,
    input_items=(MESSAGE_ID, OUTPUT_ID),
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    warning="Your budget for the day is nearly used up.",
    options=ResponseOptions(
        model="small@gpu-l4",
        background=True,
        store=False,
        instructions="Answer briefly.",
        sampling=Sampling(temperature=0.5, top_p=0.9, max_output_tokens=256, parameters={"seed": 7, "stop": ["END"]}),
        metadata={"ticket": "42"},
        sources=("orders", "wiki"),
        tool_config=TOOLS,
    ),
    progress=ResponseProgress(
        status=ResponseStatus.COMPLETED,
        output_items=(REASONING_ID, CALL_ID),
        execution="execution-1",
        begun_at=NOW + 1,
        ended_at=NOW + 30,
    ),
    history=ResponseHistory(
        previous=PREVIOUS_ID,
        conversation=CONVERSATION_ID,
        reads_before=3,
        left_out=2,
        truncates=False,
        index=HistoryIndex(depth=5, anchor=PREVIOUS_ID, lasting=(MESSAGE_ID,)),
    ),
)
USAGE = TokenUsage(input_tokens=100, cached_tokens=40, output_tokens=20, reasoning_tokens=5)
ATTEMPT = AttemptRecord(
    response=RESPONSE_ID,
    subject=OWNER.subject,
    number=2,
    backend="gpu-l4",
    price="l4",
    started_at=NOW + 3,
    model="small",
    conversation=CONVERSATION_ID,
    prompt_tokens=321,
    charge=AttemptCharge(
        reserved=Decimal("0.05"),
        status=AttemptStatus.PROVISIONAL,
        cost=Decimal("0.0042"),
        counters=("budget_tenant_2027-01", "budget_owner_user:alice_2027-01"),
        lines={"gpu": Decimal("0.003"), "cold": Decimal("0.0012")},
        shares={
            "gpu-l4/s-1": SessionShare(lines={"gpu": Decimal("0.003"), "cold": Decimal("0.0012")}, final=True),
        },
    ),
    progress=AttemptProgress(
        deliveries=2, first_token_at=NOW + 12, ended_at=NOW + 20, usage=USAGE, result="done", reason="max_output_tokens"
    ),
)
RESERVATION = Reservation(
    response=RESPONSE_ID,
    subject=OWNER.subject,
    amount=Decimal("0.25"),
    at=NOW,
    status=ReservationStatus.SETTLED,
    cost=Decimal("0.0042"),
    closed_at=NOW + 31,
    overhead=OverheadCost(store=Decimal("0.000000123"), functions=Decimal("0.000000456")),
)
FETCHED = (
    FetchedRows(source="orders", rows=({"id": "o-1", "total": 5},), left_out=3, problem="", seconds=0.25),
    FetchedRows(source="wiki", problem="it could not be read in time", seconds=5.0),
)
ESTIMATE = Estimate(
    seconds=12.5,
    busy_s=3.25,
    late_s=1.5,
    worst_s=60.5,
    cost=Decimal("0.0012"),
    worst_cost=Decimal("0.05"),
    output_tokens=256,
    why_cost="3.3 s of an L4",
)
RENT_OR_BUY = RentOrBuy(
    price=Decimal("0.02"), spent=Decimal("0.015"), scheduled=Decimal("0.001"), window_s=720.0, pays=False
)
CANDIDATES = tuple(
    Candidate(
        backend=name,
        found=ESTIMATE,
        terms={"cost": Decimal("0.0012"), "time": Decimal("0.0025")},
        score=Decimal("0.0037"),
        readiness=Readiness.COLD,
        remaining_start_s=9.25,
        session=session,
    )
    for name, session in (("gpu-l4", RENT_OR_BUY), ("api", None))
)
ROUTE = RouteDecision(
    backend="gpu-l4",
    reason="gpu-l4 has the lowest score.",
    problem=RouteProblem.NONE_FEASIBLE,
    candidates=CANDIDATES,
    rejected=(Rejection(backend="tiny", code="window", reason="It is too small.", retry_in_s=4.5),),
    retry_in_s=4.5,
    warm_up="gpu-l4",
    warm_up_reason="rent has paid for it",
    cold_candidates=("gpu-l4", "gpu-h100"),
    rental_spend=Decimal("0.003"),
)
WAIT = QueueWait(delay_s=2.5, kept_until=NOW + 40, reason="gpu-l4 is starting", cause="room")
