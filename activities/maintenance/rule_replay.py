"""Which rule decides from now on when a GPU is bought and kept? Once a day the demand of the last weeks is replayed."""

import asyncio
import logging
from typing import Final

from clients.clock import Clock
from domain.fleet.catalog import Backend, Fleet
from domain.fleet.instances.scaling import Scaling
from domain.money.prices import TimePrice
from domain.routing.rules.replay import SessionTerms
from domain.routing.rules.rule_choice import choose_rule
from state.fleet.backend_state import BackendStates
from state.fleet.demand_log import DemandLog
from state.fleet.rental_rules import RentalRules

log = logging.getLogger(__name__)

MANY: Final = 200
"""More parts of demand are replayed in a thread: that takes up to some seconds, and would block the event loop."""


class RuleReplay:
    """Runs with the sweep. A run that dies before its record leaves the old rule in force; the next one repeats it."""

    def __init__(
        self, *, demand_log: DemandLog, rules: RentalRules, backend_states: BackendStates, fleet: Fleet, clock: Clock
    ) -> None:
        self.demand_log = demand_log
        self.rules = rules
        self.backend_states = backend_states
        self.fleet = fleet
        self.clock = clock

    async def replay_due(self) -> None:
        """Choose the rule of each backend whose rule is a day old, or whose price has changed."""
        for backend in self.fleet.backends.values():
            if backend.cold_start.scales_to_zero and isinstance(backend.price, TimePrice):
                await self.replay_if_due(backend, backend.price)

    async def replay_if_due(self, backend: Backend, price: TimePrice) -> None:
        known = (await self.rules.in_force((backend,))).get(backend.name)
        second_usd = float(price.amount) / price.per_s
        if known and not known.is_due(self.clock.now(), second_usd):
            return
        demand = await self.demand_log.observed(backend)
        state = (await self.backend_states.read({backend.name: backend}))[backend.name]
        start_s = state.start_times.p50_s if price.bills_cold else 0.0
        idle_s, is_held = backend.cold_start.idle_s, backend.scaling is not Scaling.PROVIDER
        terms = SessionTerms(
            second_usd=second_usd,
            start_s=start_s,
            idle_s=idle_s if is_held else price.idle_s,
            wait_s=state.start_times.p50_s if is_held else None,
        )
        if len(demand.parts) > MANY:
            choice = await asyncio.to_thread(choose_rule, demand, terms, now=self.clock.now())
        else:
            choice = choose_rule(demand, terms, now=self.clock.now())
        await self.rules.adopt(backend, choice)
        if known is None or choice.rule != known.rule:
            log.info("%s: warm-ups follow the rule %s: %s", backend.name, choice.rule.to_document(), choice.reason)
