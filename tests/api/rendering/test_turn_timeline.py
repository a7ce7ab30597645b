"""Does the timeline of a turn show its waits, warm-ups and takeovers in their order?"""

from copy import replace

from api.rendering.turn_timeline import TurnAccount, turn_timeline
from domain.log.events import AttemptOutcome, EventKind, LogEvent, ResponseStatus, Slot
from domain.money.costing import time_cost
from domain.turns.webhook_events import WebhookDelivery
from state.webhook_outbox import DeliveryNote
from tests.domain.money.sessions.test_gpu_sessions import PRICE
from tests.frozen.objects import ATTEMPT, RESPONSE

ROUTES = (
    {
        "number": 0,
        "at": 10.5,
        "route": {"wakes": "gpu", "why_wake": "no warm backend", "decided_at": 10.0},
        "routed": {"woken": True},
    },
    {
        "number": 1,
        "at": 11.0,
        "route": {"wakes": None},
        "routed": {"delay_s": 5.0, "wait": {"backend": "gpu", "reason": "starting"}},
    },
    {"number": 2, "at": 16.0, "route": {}, "routed": {"delay_s": 0}},
)
WORD = LogEvent(kind=EventKind.TEXT, text="one ")


def slot(writer: str, at: float, first: int, events: int, result: str = "") -> Slot:
    outcome = AttemptOutcome(attempt=1, result=result) if result else None
    return Slot(number=first, writer=writer, first=first, at=at, events=(WORD,) * events, outcome=outcome)


SLOTS = (
    slot("infer:a", 20.0, 1, 0),
    slot("infer:a", 25.5, 1, 19),
    slot("infer:b", 30.0, 20, 0),
    slot("infer:b", 40.0, 20, 5, "handover"),
    slot("infer:c", 41.0, 25, 3, "done"),
)
ACCEPTED = WebhookDelivery(
    owner=RESPONSE.owner, response=RESPONSE.id, status=ResponseStatus.COMPLETED, at=42.0, endpoint="crm", due_at=43.0
)
NOTES = (
    DeliveryNote(delivery=replace(ACCEPTED, tries=2), outcome="accepted", closed_at=44.0),
    DeliveryNote(delivery=replace(ACCEPTED, endpoint="billing", tries=1), outcome="due", closed_at=None),
)


def test_waits_warm_ups_and_takeovers_stand_between_the_steps() -> None:
    opened = replace(ATTEMPT, started_at=17.0, progress=replace(ATTEMPT.progress, opened_at=18.0, first_token_at=19.0))
    prices = {opened.backend: PRICE}
    turn = replace(RESPONSE, created_at=9.0)
    account = TurnAccount(turn=turn, routes=ROUTES, attempts=(opened,), slots=SLOTS, deliveries=NOTES, prices=prices)
    found = turn_timeline(account)
    assert [each["at"] for each in found] == sorted(each["at"] for each in found)
    steps = {each["step"]: each for each in found}
    assert steps["warm-up"] == {
        "step": "warm-up",
        "at": 10.0,
        "backend": "gpu",
        "reason": "no warm backend",
        "outcome": "sent",
    }
    assert steps["waiting"] == {"step": "waiting", "at": 11.0, "until": 16.0, "backend": "gpu", "reason": "starting"}
    assert steps["taken over"] == {
        "step": "taken over",
        "at": 30.0,
        "after_event": 19,
        "lost_s": 4.5,
        "attempt": ATTEMPT.number,
        "previous": [1, 19],
        "previous_seen_at": 25.5,
        "next": [20, 24],
        "cost_usd": f"{time_cost(PRICE, 4.5):.9f}",
    }
    assert steps["handed over"] == {"step": "handed over", "at": 40.0, "attempt": 1, "after_event": 24}
    fields = ("at", "endpoint", "outcome", "tries", "until")
    told = [{name: each[name] for name in fields} for each in found if each["step"] == "webhook"]
    assert told == [
        {"at": 42.0, "endpoint": "billing", "outcome": "due", "tries": 1, "until": 43.0},
        {"at": 44.0, "endpoint": "crm", "outcome": "accepted", "tries": 2, "until": None},
    ]
    assert steps[f"attempt {ATTEMPT.number} accepted by a cold backend"]["at"] == 18.0
    assert [each["step"] for each in found].count("waiting") == 1
