"""Which rule would have been the cheapest for the demand of the last weeks?

The default rule stays in force until there is enough demand to judge by, and as long as no other is clearly cheaper.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Final, NamedTuple, Self

from msgspec import Struct

from domain.routing.rent_or_buy import DEFAULT_RULE, Rule
from domain.routing.rules.replay import ALWAYS, NEVER, PastDemand, SessionTerms, replay

THRESHOLDS: Final = (0.3, 0.6, 1.0, 1.6, 2.5)
KEEPS: Final = (0.3, 0.6, 1.0)
WINDOWS: Final = (0.5, 0.75, 1.0, 2.0)
RULES: Final = tuple(Rule(*each) for each in product(THRESHOLDS, KEEPS, WINDOWS))
"""The rules that are replayed. No threshold is lower than 0.3 or higher than 2.5: a bad month costs a bounded sum."""

HELD_RULES: Final = tuple(Rule(*each) for each in product((0.3, 0.6, 1.0, 1.6), (0.3,), (0.5, 1.0, 2.0)))
IDLE_SHARES: Final = (0.0, 0.03, 0.06, 0.12, 0.25, 0.5, 1.0)
"""Where the product ends the GPU, these are replayed with idle periods of so many starts.

Another start is a bounded price, so the cheapest idle periods of 31 cells of development were shorter than a start: a
tenth of it or less in most, and never longer.
"""

SHORTEST_START_S: Final = 5.0
SHORTEST_IDLE_S: Final = 0.25
LONGEST_IDLE_S: Final = 3600.0

DAY_S: Final = 86_400.0
ENOUGH_S: Final = 3 * DAY_S
ENOUGH_TURNS: Final = 200
CLEARLY: Final = 0.98
"""A rule is adopted if it would have cost at most this share of the default rule's dollars."""


class ObservedDemand(NamedTuple):
    """The demand of the last weeks in the order of time, and the number of its turns."""

    parts: Sequence[PastDemand]
    turns: int

    @property
    def lasts_s(self) -> float:
        return self.parts[-1].at - self.parts[0].at if self.parts else 0.0


class RuleChoice(Struct, frozen=True, kw_only=True):
    """A rule and why it is in force. `at` is seconds since the epoch, `second_usd` the price that it was chosen for.

    `dollars` are what the demand would have cost under this rule (`adopted`) and its rivals: `default`, `never` and
    `always` to use the GPU, and the `next` best rule; empty where there was too little demand to judge.
    """

    rule: Rule
    at: float
    second_usd: float
    turns: int
    reason: str
    dollars: Mapping[str, float]

    def is_due(self, now: float, second_usd: float) -> bool:
        """Return whether the rule has to be chosen again: after a day, and when the price has changed."""
        return now - self.at >= DAY_S or second_usd != self.second_usd

    def to_document(self) -> dict[str, Any]:
        return {
            "rule": self.rule.to_document(),
            "at": self.at,
            "second_usd": self.second_usd,
            "turns": self.turns,
            "reason": self.reason,
            "dollars": dict(self.dollars),
        }

    @classmethod
    def from_document(cls, body: Mapping[str, Any]) -> Self:
        return cls(
            rule=Rule.from_document(body["rule"]),
            at=body["at"],
            second_usd=body["second_usd"],
            turns=body["turns"],
            reason=body["reason"],
            dollars=body["dollars"],
        )


def rules_for(terms: SessionTerms) -> Sequence[Rule]:
    """Return the rules to replay: with idle periods of their own where the product ends the GPU."""
    if terms.wait_s is None:
        return RULES
    start_s = max(terms.wait_s, SHORTEST_START_S)
    periods = [min(max(share * start_s, SHORTEST_IDLE_S), LONGEST_IDLE_S) for share in IDLE_SHARES]
    held = (rule._replace(idle_s=idle_s) for rule, idle_s in product(HELD_RULES, dict.fromkeys(periods)))
    return (DEFAULT_RULE, *held)


def choose_rule(demand: ObservedDemand, terms: SessionTerms, *, now: float) -> RuleChoice:
    """Replay the demand with every rule; `now` is in seconds since the epoch."""
    if demand.turns < ENOUGH_TURNS or demand.lasts_s < ENOUGH_S:
        reason = f"too few turns to choose another rule: {demand.turns} in {demand.lasts_s / DAY_S:.1f} days"
        return RuleChoice(
            rule=DEFAULT_RULE, at=now, second_usd=terms.second_usd, turns=demand.turns, reason=reason, dollars={}
        )
    rules = rules_for(terms)
    costs = {rule: replay(demand.parts, rule, terms).dollars for rule in (*rules, DEFAULT_RULE, NEVER, ALWAYS)}
    ranked = sorted(rules, key=lambda rule: (costs[rule], rule != DEFAULT_RULE))
    adopted = ranked[0] if costs[ranked[0]] <= CLEARLY * costs[DEFAULT_RULE] else DEFAULT_RULE
    following = next(rule for rule in ranked if rule != adopted)
    named = {"adopted": adopted, "default": DEFAULT_RULE, "next": following, "never": NEVER, "always": ALWAYS}
    dollars = {name: round(costs[rule], 6) for name, rule in named.items()}
    reason = f"the cheapest of {len(rules)} rules for {demand.turns} turns in {demand.lasts_s / DAY_S:.1f} days"
    if adopted == DEFAULT_RULE:
        reason = f"no rule is clearly cheaper than the default for {demand.turns} turns"
    return RuleChoice(
        rule=adopted, at=now, second_usd=terms.second_usd, turns=demand.turns, reason=reason, dollars=dollars
    )
