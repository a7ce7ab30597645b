"""Does a turn count its attempts, and its failures by backend and class?"""

from typing import Any

from domain import wire
from domain.log.events import CALLS
from orchestrators.attempts import AttemptHistory, after_attempt, after_pause


def routed(backend: str = "small", **more: Any) -> Any:
    result = {"backend": backend, "reason": "", "worst_cost": "0.1", "output_tokens": 5, "has_alternative": True}
    return {**result, "delay_s": 0.0, **more}


def inferred(result: str, posture: str = "") -> Any:
    return {"result": result, "code": "", "message": "", "delay_s": 1.0, "posture": posture}


def test_failures_are_counted_by_backend_and_failure_class() -> None:
    history = AttemptHistory()
    for backend, posture in (("small", "cold"), ("small", "cold"), ("large", "cold"), ("small", "broken")):
        history = after_attempt(history, backend, inferred("wait", posture))
    assert history.for_infer(routed("small"))["failures"] == {"cold": 2, "broken": 1}
    assert history.for_infer(routed("large"))["failures"] == {"cold": 1}
    assert history.for_infer(routed("other"))["failures"] == {}


def test_a_handover_is_no_failure() -> None:
    assert after_attempt(AttemptHistory(), "small", inferred("handover")).failures == {}


def test_a_result_of_an_earlier_release_has_no_failure_class() -> None:
    before: wire.InferredWire = {"result": "wait", "code": "", "message": "", "delay_s": 1.0}
    history = after_attempt(AttemptHistory(), "small", before)
    assert (history.failures, history.retries) == ({}, 1)


def test_an_attempt_gets_the_values_of_its_route() -> None:
    request = AttemptHistory().for_infer(routed(cold=True, hold_s=10.0, limit_s=40.0))
    assert (request["cold"], request["hold_s"], request["limit_s"]) == (True, 10.0, 40.0)


def test_a_pause_counts_as_a_route_and_as_no_attempt() -> None:
    paused = after_pause(AttemptHistory())
    assert (paused.routes, paused.attempts) == (1, 0)


def test_a_route_tells_that_an_attempt_for_the_same_answer_came_before() -> None:
    first = AttemptHistory()
    assert "repeated" not in first.for_route()
    for result in ("wait", wire.FAILOVER, "handover"):
        assert after_attempt(first, "small", inferred(result)).for_route()["repeated"]


def test_the_next_round_is_another_answer() -> None:
    failed = after_attempt(AttemptHistory(), "small", inferred("wait"))
    assert "repeated" not in after_attempt(failed, "small", inferred(CALLS)).for_route()
