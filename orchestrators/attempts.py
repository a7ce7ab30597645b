"""Which attempts has this turn made, and what follows from their results?"""

from copy import replace
from typing import Any

from msgspec import Struct, field

from domain import wire
from domain.log.events import CALLS


class AttemptHistory(Struct, frozen=True, kw_only=True):
    """The attempts so far. `capped` is the answer of the present round that has reached its cap.

    `retries` counts the failures in a row at `backend`, `failures` all failures by backend and failure class.
    `excluded` gives the reason for each backend that the turn no longer uses. `is_repeated`: the last attempt did
    not complete the answer of the present round. `escalation`: an answer of the turn failed its checks, once at most;
    `is_escalating` where that was in the present round.
    """

    routes: int = 0
    attempts: int = 0
    retries: int = 0
    backend: str = ""
    excluded: dict[str, str] = field(default_factory=dict[str, str])
    failures: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    capped: wire.CappedWire | None = None
    is_repeated: bool = False
    escalation: wire.EscalationWire | None = None
    is_escalating: bool = False

    def for_route(self) -> dict[str, Any]:
        capped = {"capped": self.capped} if self.capped else {}
        repeated = {"repeated": True} if self.is_repeated else {}
        escalated = {"escalation": self.escalation} if self.escalation else {}
        return {"number": self.routes + 1, "excluded": self.excluded, **capped, **repeated, **escalated}

    def for_infer(self, routed: wire.RoutedWire) -> dict[str, Any]:
        return {
            "attempt": self.attempts + 1,
            "backend": routed["backend"],
            "worst_cost": routed["worst_cost"],
            "output_tokens": routed["output_tokens"],
            "retries": self.retries if routed["backend"] == self.backend else 0,
            "has_alternative": routed["has_alternative"],
            "failures": self.failures.get(routed["backend"] or "", {}),
            "cold": routed.get("cold", False),
            "hold_s": routed.get("hold_s"),
            "limit_s": routed.get("limit_s"),
            "input_tokens": routed.get("input_tokens", 0),
            **({"capped": True} if self.capped else {}),
            **({"escalates": True} if routed.get("escalates") and not self.escalation else {}),
            **({"claim": routed["claim"]} if "claim" in routed else {}),
        }

    def between_rounds(self) -> dict[str, Any]:
        """Return the attempts as a new history of the orchestration takes them over: the last one ended its round."""
        escalated = {"escalation": self.escalation} if self.escalation else {}
        return {
            "routes": self.routes,
            "attempts": self.attempts,
            "retries": self.retries,
            "backend": self.backend,
            "excluded": self.excluded,
            "failures": self.failures,
            **escalated,
        }


def after_attempt(history: AttemptHistory, backend: str, inferred: wire.InferredWire) -> AttemptHistory:
    """Return the history after an attempt that did not end the turn: a handover, a wait or a failover."""
    counted = replace(
        history,
        routes=history.routes + 1,
        attempts=history.attempts + 1,
        backend=backend,
        failures=with_failure(history.failures, backend, inferred.get("posture", "")),
        capped=None if inferred["result"] == CALLS else inferred.get("capped", history.capped),
        is_repeated=inferred["result"] != CALLS,
        is_escalating=history.is_escalating and inferred["result"] != CALLS,
    )
    if escalation := inferred.get("escalation"):
        counted = replace(counted, capped=None, escalation=escalation, is_escalating=True)
    if inferred["result"] == wire.FAILOVER:
        return replace(counted, retries=0, excluded={**history.excluded, backend: inferred["message"]})
    if inferred.get("posture") == wire.NO_COVER:
        return replace(counted, retries=history.retries)
    if inferred["result"] == "wait":
        is_same_backend = history.backend == backend
        return replace(counted, retries=history.retries + 1 if is_same_backend else 1)
    return replace(counted, retries=0)


def with_failure(failures: dict[str, dict[str, int]], backend: str, failure_class: str) -> dict[str, dict[str, int]]:
    if not failure_class:
        return failures
    counts = failures.get(backend, {})
    return {**failures, backend: {**counts, failure_class: counts.get(failure_class, 0) + 1}}


def after_pause(history: AttemptHistory) -> AttemptHistory:
    """Return the history after a route that found no backend available for a while."""
    return replace(history, routes=history.routes + 1)
