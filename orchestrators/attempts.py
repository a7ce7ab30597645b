"""What has this turn tried, and what follows from how it went?"""

from dataclasses import dataclass, field, replace
from typing import Any

from domain import wire


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptHistory:
    """What was tried so far: `retries` are the failures in a row at `backend`; `excluded` tells why others are out.

    `failures` counts all failures by backend and posture.
    """

    routes: int = 0
    attempts: int = 0
    retries: int = 0
    backend: str = ""
    excluded: dict[str, str] = field(default_factory=dict[str, str])
    failures: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])

    def for_route(self) -> dict[str, Any]:
        return {"number": self.routes + 1, "excluded": self.excluded}

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
        }


def after_attempt(tried: AttemptHistory, backend: str, inferred: wire.InferredWire) -> AttemptHistory:
    """Return what is known after an attempt that did not end the turn: handover, wait or elsewhere."""
    counted = replace(
        tried,
        routes=tried.routes + 1,
        attempts=tried.attempts + 1,
        backend=backend,
        failures=with_failure(tried.failures, backend, inferred.get("posture", "")),
    )
    if inferred["result"] == wire.FAILOVER:
        return replace(counted, retries=0, excluded={**tried.excluded, backend: inferred["message"]})
    if inferred["result"] == "wait":
        same = tried.backend == backend
        return replace(counted, retries=tried.retries + 1 if same else 1)
    return replace(counted, retries=0)


def with_failure(failures: dict[str, dict[str, int]], backend: str, posture: str) -> dict[str, dict[str, int]]:
    if not posture:
        return failures
    here = failures.get(backend, {})
    return {**failures, backend: {**here, posture: here.get(posture, 0) + 1}}


def after_pause(tried: AttemptHistory) -> AttemptHistory:
    """Return what is known after a route that found every backend out for a while."""
    return replace(tried, routes=tried.routes + 1)
