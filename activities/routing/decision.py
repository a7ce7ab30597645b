"""Which backend would take a turn of this size, with the current backend states?"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import replace
from decimal import Decimal
from functools import partial

from msgspec import Struct

from activities.routing.request_size import counts_from_wire
from clients.clock import Clock
from clients.storage.port import Document
from domain import wire
from domain.errors import Retryable
from domain.fleet.backend_state import BackendState, last_starts
from domain.fleet.catalog import Backend, Fleet
from domain.fleet.instances.held_backend import held, held_fleet
from domain.fleet.instances.numbered import backend_of
from domain.log.capped_answers import CappedAnswer
from domain.log.escalations import Escalation
from domain.money.sessions.transitions import FollowingAttempt
from domain.routing.difficulty import Difficulty, difficulty
from domain.routing.estimates import AttemptLimits, Demand
from domain.routing.further_rule import FurtherTerms, next_instance, overflow
from domain.routing.rent_or_buy import DEFAULT_RULE, SpendPart, unspent, window_s
from domain.routing.router import NO_RENTAL_SPEND, RouteDecision, route
from domain.routing.rules.rule_choice import RuleChoice
from domain.turns.response import Response
from state.fleet.answer_lengths import LearnedAnswerLengths
from state.fleet.backend_state import BackendStates
from state.fleet.demand_log import DemandLog
from state.fleet.fleet_counters import Addition
from state.fleet.rental_rules import RentalRules
from state.fleet.rental_spend import RentalSpend, SpendWindow

EXPECTED_ANSWER_TOKENS = 211
"""The mean answer of 19,366 requests of conversations (Azure Public Dataset, LLM inference trace 2023).

It counts until enough answers of the tenant are known."""


class DecidedRoute(Struct, frozen=True, kw_only=True):
    """A decision with the backend states that it is based on; `at` is in seconds since the epoch.

    A line of a batch `is_deferrable`: it counts neither as rental spend nor as demand of its backend. `overflow` is
    what a turn would save on the next instance of a backend that has no room for it, and `spent` the rental spend; both
    name an instance as `NAME#1`.
    """

    route: RouteDecision
    backend_states: Mapping[str, BackendState]
    at: float
    is_deferrable: bool = False
    overflow: Mapping[str, Decimal] = NO_RENTAL_SPEND
    spent: Mapping[str, Decimal] = NO_RENTAL_SPEND


class RouteDecider:
    """Reads the backend states and decides. It changes nothing.

    What budgets left the turn at its admission rules out backends that may cost more. Where it rules out all, the turn
    is routed as if there were no budget: its attempt may reserve less, and reads what is left now.
    """

    def __init__(
        self,
        *,
        backend_states: BackendStates,
        rental_spend: RentalSpend,
        rental_rules: RentalRules,
        demand_log: DemandLog,
        answer_lengths: LearnedAnswerLengths,
        fleet: Fleet,
        clock: Clock,
        default_output_tokens: int,
        attempt_limits: AttemptLimits,
    ) -> None:
        self.backend_states = backend_states
        self.rental_spend = rental_spend
        self.rental_rules = rental_rules
        self.demand_log = demand_log
        self.answer_lengths = answer_lengths
        self.fleet = fleet
        self.clock = clock
        self.default_output_tokens = default_output_tokens
        self.attempt_limits = attempt_limits

    def backend(self, name: str) -> Backend:
        """Return a backend as the router sees it.

        Where the product ends its instances, it has the idle period of the rule in force.
        """
        adopted = self.rental_rules.cached.get(name)
        return held(self.fleet.backends[name], adopted.rule.idle_s if adopted else None)

    @property
    def scaling_backends(self) -> tuple[Backend, ...]:
        """The backends that scale to zero, as the router sees them."""
        return tuple(self.backend(name) for name, each in self.fleet.backends.items() if each.cold_start.scales_to_zero)

    async def decide(
        self,
        response: Response,
        size: wire.SizeWire,
        *,
        excluded: Mapping[str, str],
        capped: wire.CappedWire | None = None,
        escalation: wire.EscalationWire | None = None,
        is_repeated: bool = False,
    ) -> DecidedRoute:
        """Decide. A turn without cover may wait for it, but not where it `is_repeated` after an escalation."""
        rules = await self.rental_rules.in_force(self.scaling_backends)
        documents, expected = await asyncio.gather(
            self.backend_states.documents(), self.answer_lengths.forecast(response.owner, response.thread)
        )
        states = await self.backend_states.among(documents, self.fleet.backends)
        parts = await self.recent_rental_spend(documents, states, rules)
        now = self.clock.now()
        starts = last_starts(states)
        spent = {name: unspent(found, starts) for name, found in parts.items()}
        demand = replace(
            self.demand(response, size, excluded, now),
            answers=expected.answers,
            cached=expected.cached,
            capped=CappedAnswer.from_wire(capped) if capped else None,
        )
        decide = partial(
            route,
            fleet=held_fleet(self.fleet, {name: adopted.rule.idle_s for name, adopted in rules.items()}),
            states=states,
            now=now,
            spent=spent,
            rules=rules,
            hardness=hardness(demand, size),
            escalation=Escalation.from_wire(escalation) if escalation else None,
        )
        decision = decide(demand)
        if decision.lacks_budget_alone and not (escalation and is_repeated):
            decision = decide(replace(demand, budget=None))
        terms = FurtherTerms(now=now, time_value=demand.time_value, left_s=response.deadline_at - now)
        return DecidedRoute(
            route=decision,
            backend_states=states,
            at=now,
            is_deferrable=bool(response.options.batch),
            overflow=overflow(decision, self.fleet.backends, states, terms),
            spent=spent,
        )

    async def recent_rental_spend(
        self, documents: Sequence[Document], states: Mapping[str, BackendState], rules: Mapping[str, RuleChoice]
    ) -> Mapping[str, Sequence[SpendPart]]:
        """Return the rental spend of the window of its rule for each backend that scales to zero."""
        windows: dict[str, SpendWindow] = {}
        for each in self.scaling_backends:
            window = SpendWindow(
                backend=each,
                seconds=window_s(each, states[each.name].start_times.p50_s),
                reach=rules[each.name].rule.window if each.name in rules else DEFAULT_RULE.window,
            )
            windows[each.name] = window
            if more := next_instance(each, states[each.name], self.clock.now()):
                windows[more] = replace(window, backend=replace(each, name=more))
        return await self.rental_spend.recent_among(documents, windows)

    async def record_rental_spend(self, decided: DecidedRoute) -> None:
        """Add what each backend would have saved in this turn to its rental spend, and to its log of demand."""
        if decided.route.backend is None or decided.is_deferrable:
            return
        savings, busy_s = decided.route.savings, {each.backend: each.busy_s for each in decided.route.candidates}
        additions: list[Addition] = []
        for name, saved in sorted(savings.items()):
            backend, others = self.backend(name), {other: savings[other] for other in savings if other != name}
            window = window_s(backend, decided.backend_states[name].start_times.p50_s)
            spent = self.rental_spend.addition(backend, saved, window_s=window, shared=others)
            additions += spent, self.demand_log.addition(backend, saved, busy_s=busy_s.get(name, 0.0))
        for name, saved in sorted(decided.overflow.items()):
            one = replace(self.backend(backend_of(name)), name=name)
            window = window_s(one, decided.backend_states[backend_of(name)].start_times.p50_s)
            additions.append(self.rental_spend.addition(one, saved, window_s=window, shared={}))
        with suppress(Retryable):
            await self.rental_spend.counters.add(additions)

    def demand(self, response: Response, size: wire.SizeWire, excluded: Mapping[str, str], now: float) -> Demand:
        requested = response.options.sampling.max_output_tokens
        limit = self.default_output_tokens if requested is None else requested
        rules = self.fleet.callers.of_turn(response.owner.tenant, response.options.metadata)
        return Demand(
            response=response.id,
            model=response.model,
            input_tokens=size["likely"],
            expected_input_tokens=size["expected"],
            ceiling_input_tokens=size["ceiling"],
            request_bytes=size["bytes"],
            counts=counts_from_wire(size),
            output_tokens=limit,
            is_open_ended=requested is None,
            expected_output_tokens=min(limit, EXPECTED_ANSWER_TOKENS),
            tier=response.options.metadata.get("tier"),
            residencies=rules.residencies,
            time_value=rules.time_value,
            budget=response.budget_left,
            deadline_s=response.deadline_at - now,
            excluded=excluded,
            needs=response.required_capabilities,
            admitted_at=response.created_at,
            attempt_limits=self.attempt_limits,
        )


def hardness(demand: Demand, size: wire.SizeWire) -> Difficulty | None:
    """Return how hard a turn of `auto` seems; None where its size was told by an earlier release."""
    signs = size.get("signs")
    return difficulty(signs, input_tokens=demand.input_tokens, needs=demand.needs) if signs else None


def following_attempt(decision: RouteDecision) -> FollowingAttempt:
    """Return the attempt that the turn makes after the warm-up that a decision wants."""
    worst_cost = decision.chosen.worst_cost if decision.chosen else Decimal(0)
    return FollowingAttempt(worst_cost=worst_cost, uses_warm_up=decision.warm_up == decision.backend)
