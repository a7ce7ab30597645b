"""Does the gate of routing notice each of its fixes, if that is undone?

Each fix is undone in the product's code, and one cell of the gate then costs more, waits longer or fails more turns.
"""

from collections.abc import Callable, Iterable, Mapping
from copy import replace
from decimal import Decimal

import pytest

from activities.routing import decision
from activities.routing.start_observer import StartObserver
from benches.routing.gate import GATE, figures, is_within, recorded
from benches.routing.product import simulate
from domain.fleet.catalog import Backend
from domain.fleet.load import Load, QueuePlace
from domain.identity.owners import Owner
from domain.routing import candidates
from domain.routing.answer_lengths import TurnForecast
from domain.routing.candidates import EvaluatedOption
from domain.routing.estimates import Demand, RoutingOption
from domain.routing.rent_or_buy import SpendPart
from state.fleet.answer_lengths import LearnedAnswerLengths


def keep_queue_places(patch: pytest.MonkeyPatch) -> None:
    """Undo: a place in the queue ends with the wait."""

    def with_place(load: Load, response: str, place: QueuePlace, *, now: float) -> Load:
        kept = place._replace(until=max(place.until, now))
        return replace(load, queue_places={**load.queue_places, response: kept})

    def waiting(option: RoutingOption, demand: Demand) -> int:
        places = option.backend_state.load.queue_places
        mine = demand.admitted_at, demand.response
        before = [name for name, each in places.items() if (each.admitted_at, name) < mine]
        return option.backend_state.load.running(option.now) + len(before)

    def without_place(load: Load, _response: str) -> Load:
        return load

    patch.setattr(Load, "with_place", with_place)
    patch.setattr(RoutingOption, "waiting", waiting)
    patch.setattr(Load, "without_place", without_place)


def count_whole_rent(patch: pytest.MonkeyPatch) -> None:
    """Undo: rental spend is what the GPU would win, waiting included. It is what the API costs again."""

    def saving(each: EvaluatedOption, alternative: Decimal | None) -> Decimal | None:
        return alternative if each.scales_to_zero else None

    patch.setattr(candidates, "saving", saving)


def forget_answers(patch: pytest.MonkeyPatch) -> None:
    """Undo: the length of an answer is learned from the caller."""

    async def forecast(_lengths: LearnedAnswerLengths, _owner: Owner, _thread: str) -> TurnForecast:
        return TurnForecast({}, None)

    patch.setattr(LearnedAnswerLengths, "forecast", forecast)


def observe_no_start(patch: pytest.MonkeyPatch) -> None:
    """Undo: starts that no turn waits for are probed."""

    async def watch(_observer: StartObserver, _backend: Backend, _by: str) -> None:
        """Probe nothing."""

    async def probe_unseen(_observer: StartObserver) -> None:
        """Probe nothing."""

    patch.setattr(StartObserver, "watch", watch)
    patch.setattr(StartObserver, "probe_unseen", probe_unseen)


def buy_twice(patch: pytest.MonkeyPatch) -> None:
    """Undo: spend that paid for one session counts for no other."""

    def unspent(parts: Iterable[SpendPart], _starts: Mapping[str, float]) -> Decimal:
        return sum((part.amount for part in parts), Decimal(0))

    patch.setattr(decision, "unspent", unspent)


UNDONE: Mapping[str, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "places in the queue end": ("a full GPU", keep_queue_places),
    "warm-up and pick agree": ("a GPU slower than the API", count_whole_rent),
    "answers are learned": ("short answers", forget_answers),
    "starts are observed": ("starts that no turn waits for", observe_no_start),
    "spend buys once": ("two GPUs of little room", buy_twice),
}


@pytest.mark.campaign
@pytest.mark.parametrize("fix", UNDONE)
def test_the_gate_fails_without_a_fix(fix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, undo = UNDONE[fix]
    cell = next(each for each in GATE if each.name == name)
    undo(monkeypatch)
    found = figures(simulate(cell))
    assert not is_within(found, recorded()[name]), (found, recorded()[name])
