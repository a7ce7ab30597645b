"""How hard is a turn of `auto`, and which quality tier is the least for it?

The estimate is cheap and explained: points for the length of the input, for code, tools, a format and earlier turns.
It reads no meaning, so it decides only where the caller has chosen neither a model nor a tier, and the operator has
said which tiers count for what (`[auto]` in the fleet file).
"""

import re
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple, Self

from domain.content.capabilities import Capability
from domain.content.items import Item, ItemKind, Role
from domain.fleet.caller_rules import Level
from domain.fleet.catalog import Fleet
from domain.routing.filters import ModelChoice
from domain.tokens.sizes import SignsWire

LONG_TOKENS: Final = 2000
VERY_LONG_TOKENS: Final = 8000
MANY_TURNS: Final = 5
HARD_POINTS: Final = 3
"""Points from which a turn counts as hard; one with no point is easy."""

CODE: Final = re.compile(
    r"```|^[ \t]*(?:def|class|func|fn|import|#include|SELECT|CREATE TABLE)\b[^\n]*[({:;<*]|[;{][ \t]*$", re.MULTILINE
)
"""A fenced block, or a line that begins or ends as code does."""

READ_CHARACTERS: Final = 20_000
"""Code is looked for in so many characters at the end of what the user says."""


class Difficulty(NamedTuple):
    """How hard a turn seems, and why."""

    level: Level
    reasons: tuple[str, ...]


class WantedTier(NamedTuple):
    """The least tier that a turn of `auto` should get, and why; `is_met` unless no backend of it could serve it."""

    tier: int
    difficulty: Difficulty
    is_met: bool = True

    def unmet(self) -> Self:
        return self._replace(is_met=False)

    @property
    def reason(self) -> str:
        level, reasons = self.difficulty
        why = f" ({', '.join(reasons)})" if reasons else ""
        lacking = "" if self.is_met else "; no backend of that tier can serve it now"
        return f"the turn seems {level}{why}: tier {self.tier} or better{lacking}"


def wanted_tier(difficulty: Difficulty | None, choice: ModelChoice, fleet: Fleet) -> WantedTier | None:
    """Return the tier for a turn of `auto`; None where the caller names a backend or the fleet file has no `[auto]`."""
    if difficulty is None or fleet.auto is None or choice.model or choice.backend:
        return None
    return WantedTier(fleet.auto.least(difficulty.level), difficulty)


def signs_of(items: Sequence[Item]) -> SignsWire:
    """Return the signs that only the texts of a conversation show; code counts in what the user says last."""
    asked = [item for item in items if item.kind is ItemKind.MESSAGE and item.role is Role.USER]
    last = asked[-1].prompt_text[-READ_CHARACTERS:] if asked else ""
    return {"code": CODE.search(last) is not None, "turns": max(0, len(asked) - 1)}


def difficulty(signs: SignsWire, *, input_tokens: int, needs: Collection[Capability]) -> Difficulty:
    """Return how hard a turn is; `input_tokens` is the estimate of what the model reads."""
    found = [
        (input_tokens > VERY_LONG_TOKENS, 2, f"an input of more than {VERY_LONG_TOKENS:,} tokens"),
        (VERY_LONG_TOKENS >= input_tokens > LONG_TOKENS, 1, f"an input of more than {LONG_TOKENS:,} tokens"),
        (signs["code"], 1, "code"),
        (Capability.TOOLS in needs, 1, "tools"),
        (Capability.JSON_SCHEMA in needs, 1, "a format"),
        (signs["turns"] >= MANY_TURNS, 1, f"{MANY_TURNS} earlier turns or more"),
    ]
    points = sum(each for holds, each, _ in found if holds)
    level = Level.HARD if points >= HARD_POINTS else Level.MEDIUM if points else Level.EASY
    return Difficulty(level, tuple(reason for holds, _, reason in found if holds))
