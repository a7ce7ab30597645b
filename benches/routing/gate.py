"""Does routing cost as little as recorded? A few short cells, the same at every run, in `make check`.

`python -m benches.routing record` records the figures anew, in a commit that says why they changed.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benches.routing.cells import MINI, Cell, drawn, real
from benches.routing.product import Outcome, simulate

RECORDED = Path(__file__).parents[1] / "data" / "routing-gate.json"
TOLERANCE = 1.05

SHORT_WAIT_S = 60.0
"""The waits of all turns of a cell may add up to so much more than was recorded."""

SECOND_GPU = "a second idle GPU"

GATE = (
    Cell(name="hours", arrivals=drawn("hours", 240, 100, seed=5), start_s=20, idle_s=300),
    Cell(name="bursts of a client", arrivals=real("40", 240, day=8, days=1, seed=5), start_s=20, idle_s=60),
    Cell(name="a client with long prompts", arrivals=real("30", 200, day=8, days=1, seed=5), api=MINI, idle_s=60),
    Cell(name="a start configured too long", arrivals=drawn("quarters", 200, 400, seed=5), idle_s=400, configured=3),
    Cell(
        name="a start configured too long to be seen",
        arrivals=drawn("quarters", 200, 400, seed=5),
        idle_s=120,
        configured=5,
    ),
    Cell(name="a deadline shorter than a start", arrivals=drawn("hours", 200, 300, seed=5), idle_s=120, deadline_s=30),
    Cell(name="a full GPU", arrivals=drawn("fives", 200, 300, seed=5), start_s=20, idle_s=120, room=1),
    Cell(
        name="a GPU slower than the API",
        arrivals=drawn("hours", 150, 300, seed=5),
        start_s=20,
        idle_s=60,
        gpu_tokens_s=3,
    ),
    Cell(name=SECOND_GPU, arrivals=drawn("hours", 200, 300, seed=5), start_s=20, idle_s=120, gpus=2),
    Cell(name="two GPUs of little room", arrivals=drawn("quarters", 200, 120, seed=5), room=1, gpus=2),
    Cell(name="short answers", arrivals=real("16", 250, day=8, days=0.04, seed=5), start_s=20, idle_s=60),
    Cell(name="a start configured too short", arrivals=drawn("fives", 200, 200, seed=5), idle_s=60, configured=0.2),
    Cell(name="starts that no turn waits for", arrivals=drawn("fives", 200, 200, seed=5), idle_s=60, deadline_s=30),
)
"""Short, so that they take seconds. They are no sample of the world: they are there to notice a change."""


def figures(outcome: Outcome) -> Mapping[str, float]:
    """Return what may not grow: dollars of all requests, seconds that turns waited, and turns that did not complete."""
    return {
        "dollars": round(outcome.bill_usd, 6),
        "waited_s": round(max(0.0, sum(outcome.waits_s)), 1),
        "misses": outcome.misses,
    }


def recorded() -> Mapping[str, Mapping[str, float]]:
    return json.loads(RECORDED.read_text(encoding="utf-8"))


def is_within(found: Mapping[str, float], known: Mapping[str, float]) -> bool:
    """Return whether figures are no more than 5 % above the recorded ones, and no further turn failed."""
    is_cheap = found["dollars"] <= TOLERANCE * known["dollars"]
    is_quick = found["waited_s"] <= TOLERANCE * known["waited_s"] + SHORT_WAIT_S
    return is_cheap and is_quick and found["misses"] <= known["misses"]


def record(cells: Sequence[Cell] = GATE) -> None:
    """Run the cells and write their figures."""
    found = {cell.name: figures(simulate(cell)) for cell in cells}
    RECORDED.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(RECORDED.read_text(encoding="utf-8"))
