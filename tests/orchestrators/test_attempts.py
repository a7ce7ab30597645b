"""Does a turn remember what it has tried, each kind of failure by itself?"""

from typing import Any

from domain import wire
from orchestrators.attempts import AttemptHistory, after, after_pause


def routed(backend: str = "small", **more: Any) -> Any:
    given = {"backend": backend, "reason": "", "worst_cost": "0.1", "output_tokens": 5, "has_alternative": True}
    return {**given, "delay_s": 0.0, **more}


def inferred(result: str, posture: str = "") -> Any:
    return {"result": result, "code": "", "message": "", "delay_s": 1.0, "posture": posture}


def test_failures_are_counted_by_backend_and_posture() -> None:
    tried = AttemptHistory()
    for backend, posture in (("small", "cold"), ("small", "cold"), ("large", "cold"), ("small", "broken")):
        tried = after(tried, backend, inferred("wait", posture))
    assert tried.for_infer(routed("small"))["failures"] == {"cold": 2, "broken": 1}
    assert tried.for_infer(routed("large"))["failures"] == {"cold": 1}
    assert tried.for_infer(routed("other"))["failures"] == {}


def test_a_handover_is_no_failure() -> None:
    assert after(AttemptHistory(), "small", inferred("handover")).failures == {}


def test_a_result_of_an_earlier_release_tells_no_posture() -> None:
    before: wire.InferredWire = {"result": "wait", "code": "", "message": "", "delay_s": 1.0}
    tried = after(AttemptHistory(), "small", before)
    assert (tried.failures, tried.retries) == ({}, 1)


def test_an_attempt_is_told_what_the_route_found() -> None:
    given = AttemptHistory().for_infer(routed(cold=True, hold_s=10.0, limit_s=40.0))
    assert (given["cold"], given["hold_s"], given["limit_s"]) == (True, 10.0, 40.0)


def test_a_pause_counts_as_a_route_and_as_no_attempt() -> None:
    paused = after_pause(AttemptHistory())
    assert (paused.routes, paused.attempts) == (1, 0)
