"""Does the timeline of a turn show its waits, warm-ups and takeovers in their order?"""

from dataclasses import replace

from api.rendering.turn_timeline import turn_timeline
from tests.frozen.objects import ATTEMPT, RESPONSE

ROUTES = (
    {"number": 0, "at": 10.0, "route": {"wakes": "gpu", "why_wake": "no warm backend"}, "routed": {"woken": True}},
    {
        "number": 1,
        "at": 11.0,
        "route": {"wakes": None},
        "routed": {"delay_s": 5.0, "wait": {"backend": "gpu", "reason": "starting"}},
    },
    {"number": 2, "at": 16.0, "route": {}, "routed": {"delay_s": 0}},
)
RUNS = (
    {"taken_over_at": 30.0, "last_event": 19, "lost_s": 4.5},
    {"taken_over_at": None, "last_event": 40, "lost_s": None},
)


def test_waits_warm_ups_and_takeovers_stand_between_the_steps() -> None:
    opened = replace(ATTEMPT, started_at=17.0, progress=replace(ATTEMPT.progress, opened_at=18.0, first_token_at=19.0))
    found = turn_timeline(replace(RESPONSE, created_at=9.0), ROUTES, (opened,), RUNS)
    assert [each["at"] for each in found] == sorted(each["at"] for each in found)
    steps = {each["step"]: each for each in found}
    assert steps["warm-up"] == {"step": "warm-up", "at": 10.0, "backend": "gpu", "reason": "no warm backend"}
    assert steps["waiting"] == {"step": "waiting", "at": 11.0, "until": 16.0, "backend": "gpu", "reason": "starting"}
    assert steps["taken over"] == {"step": "taken over", "at": 30.0, "after_event": 19, "lost_s": 4.5}
    assert steps[f"attempt {ATTEMPT.number} accepted by a cold backend"]["at"] == 18.0
    assert [each["step"] for each in found].count("waiting") == 1
