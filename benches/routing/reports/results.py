"""What was measured of each cell, and where is it kept, so that a summary needs no new run?"""

import json
import math
from collections.abc import Mapping, Sequence
from copy import replace
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from benches.routing.arrivals import DATA
from benches.routing.cells import Cell
from benches.routing.product import Outcome
from settings import ROOT

LITELLM: Final = DATA / "routing-litellm.json"
FOLDER: Final = ROOT / ".run" / "routing"

PRODUCT, BEST_RULE, BEST_LITELLM = "product", "best rule", "best LiteLLM"
DRAWN: Final = "product, drawn starts"
"""The product compared with the optimum that meets the drawn starts and knows them."""


class Cost(NamedTuple):
    """What the counted requests cost under a policy: dollars, and the multiple of what they cost at least.

    Each policy is compared with the optimum that begins with the same GPU, up or down.
    """

    dollars: float
    multiple: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A cell with its outcome, and the cost of each policy, by its name.

    `controlled` is the optimum that ends idle GPUs itself, as a multiple of the one that can't.
    """

    cell: Cell
    outcome: Outcome
    costs: Mapping[str, Cost]
    controlled: float


def file_of(cells: str) -> Path:
    """Return where the results of a set of cells are kept."""
    return FOLDER / f"{cells}.json"


def keep(measured: Sequence[Measured], file: Path) -> None:
    """Write results as JSON; what LiteLLM costs is recorded elsewhere."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.encode(measured))


def kept(file: Path) -> Sequence[Measured]:
    """Return results with what LiteLLM costs."""
    found = msgspec.json.decode(file.read_bytes(), type=list[Measured])
    return [with_litellm(each) for each in found]


def with_litellm(measured: Measured) -> Measured:
    """Return a result with the recorded cost of LiteLLM's best strategy in hindsight, if the cell is recorded."""
    multiples = recorded_litellm().get(measured.cell.name)
    if not multiples:
        return measured
    return replace(measured, costs={**measured.costs, BEST_LITELLM: Cost(math.nan, min(multiples.values()))})


@cache
def recorded_litellm() -> Mapping[str, Mapping[str, float]]:
    return json.loads(LITELLM.read_text(encoding="utf-8"))["cells"] if LITELLM.exists() else {}
