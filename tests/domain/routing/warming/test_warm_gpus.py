"""For which GPUs does a turn count that one of them, or another backend, takes?"""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from domain.routing.estimates import Readiness
from domain.routing.router import savings_of


def candidate(name: str, *, readiness: Readiness = Readiness.UP, saving: int = 1, has_session: bool = True) -> Any:
    session = SimpleNamespace(pays=False) if has_session else None
    return SimpleNamespace(backend=name, readiness=readiness, saving=Decimal(saving), session=session)


def counted(*candidates: Any, cold: tuple[Any, ...] = ()) -> set[str]:
    return set(savings_of(candidates, cold))


STEADY = candidate("api", has_session=False)
COLD = candidate("cold", readiness=Readiness.COLD)


@pytest.mark.parametrize(
    ("chosen", "others", "expected"),
    [
        (candidate("a"), (candidate("b"),), {"a", "cold"}),
        (STEADY, (candidate("a"), candidate("b")), {"a", "b", "cold"}),
        (candidate("a"), (STEADY,), {"a", "cold"}),
        (candidate("a", saving=0), (candidate("b"),), {"cold"}),
        (candidate("c", readiness=Readiness.COLD), (candidate("a"),), {"a", "cold"}),
        (candidate("s", readiness=Readiness.STARTING), (candidate("a"),), {"s", "cold"}),
    ],
)
def test_a_turn_counts_for_the_warm_gpu_that_takes_it(chosen: Any, others: tuple[Any, ...], expected: set[str]) -> None:
    assert counted(chosen, *others, cold=(COLD,)) == expected


def test_a_turn_without_a_candidate_counts_for_cold_gpus() -> None:
    assert counted(cold=(COLD, candidate("b", readiness=Readiness.COLD, saving=0))) == {"cold"}
