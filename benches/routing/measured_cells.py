"""Which cells are policies developed on, and which ones are the published figures of?

Each has other arrivals than the rest: other clients or other days, other seeds. Of the real ones, periods were drawn
until an API costs more than the GPU in some of their ten minutes and less in others: elsewhere any rule is right. The
other factors were dealt out, so that each level comes about equally often. Of 28 final cells seven were left out before
the product ran on them: to save time, and mostly because one service alone was the optimum there.
"""

from benches.routing.arrivals import Arrivals
from benches.routing.cells import GPT_4O, MINI, SMALLEST, Cell, drawn, real

SMALL_GPU_USD = 0.32
"""An hour of a small GPU (an NVIDIA T4 on Azure Container Apps). So few requests pay for it that a cell lasts days."""


def small(
    arrivals: Arrivals,
    *,
    api: str = GPT_4O,
    start_s: float,
    idle_s: float,
    room: int = 64,
    configured: float = 1.0,
    gpu_hour_usd: float | None = SMALL_GPU_USD,
) -> Cell:
    """Return a cell on the small GPU, named by its arrivals."""
    what = f"client {arrivals.source}" if arrivals.source.isdigit() else arrivals.source
    when = f", day {arrivals.first_day:g}" if arrivals.source.isdigit() else f", {arrivals.per_hour:g} an hour"
    return Cell(
        name=what + when,
        arrivals=arrivals,
        api=api,
        start_s=start_s,
        idle_s=idle_s,
        room=room,
        configured=configured,
        gpu_hour_usd=gpu_hour_usd,
    )


def large(arrivals: Arrivals, *, start_s: float, idle_s: float, room: int = 64, configured: float = 1.0) -> Cell:
    """Return a cell on the shipped L4."""
    return small(arrivals, start_s=start_s, idle_s=idle_s, room=room, configured=configured, gpu_hour_usd=None)


DEVELOPMENT = (
    large(real("40", 1200, day=0, days=4), start_s=60, idle_s=300),
    large(real("30", 1200, day=0, days=4), start_s=20, idle_s=600),
    large(real("9", 1200, day=0, days=1), start_s=5, idle_s=60, configured=5),
    small(real("40", 1000, day=4, days=4), start_s=150, idle_s=600),
    small(real("9", 1000, day=1, days=6), start_s=20, idle_s=60, configured=0.5),
    small(real("28", 600, day=0, days=4), api=MINI, start_s=60, idle_s=300),
    small(real("30", 1000, day=2, days=1), api=MINI, start_s=20, idle_s=60, room=8),
    small(real("32", 1200, day=12, days=1.5), start_s=60, idle_s=300),
    large(drawn("hours", 1200, 150), start_s=300, idle_s=900, room=8),
    small(drawn("hours", 1200, 38), start_s=5, idle_s=600, configured=5),
    small(drawn("quarters", 1200, 38), start_s=20, idle_s=60),
    small(drawn("quarters", 1200, 240), api=MINI, start_s=60, idle_s=300, configured=0.2),
    small(drawn("days", 1200, 45), start_s=300, idle_s=300, room=8, configured=2),
    small(drawn("days", 1200, 60), start_s=20, idle_s=900),
    small(drawn("fives", 1200, 640), api=SMALLEST, start_s=5, idle_s=60, room=8),
    small(drawn("fives", 1200, 240), api=MINI, start_s=20, idle_s=60, configured=5),
)
"""Policies are developed on these."""

FINAL = (
    large(real("2", 1500, day=4.2, days=0.3, seed=2), start_s=60, idle_s=600, room=8, configured=2),
    large(real("16", 1950, day=6.3, days=0.2, seed=2), start_s=300, idle_s=60, room=8),
    large(drawn("hours", 1000, 200, seed=3), start_s=20, idle_s=300),
    large(drawn("quarters", 1000, 170, seed=3), start_s=5, idle_s=60, configured=5),
    small(real("16", 2000, day=12.1, days=1, seed=2), start_s=5, idle_s=600, configured=2),
    small(real("19", 2000, day=6.9, days=1, seed=2), start_s=300, idle_s=300),
    small(real("21", 2000, day=11.4, days=1.5, seed=2), start_s=20, idle_s=60, configured=0.5),
    small(real("24", 2000, day=4.5, days=3, seed=2), start_s=5, idle_s=60),
    small(real("24", 1500, day=4.6, days=3, seed=3), start_s=150, idle_s=300, room=8),
    small(real("35", 1500, day=13.4, days=0.3, seed=2), start_s=300, idle_s=60, room=8, configured=0.2),
    small(real("36", 1950, day=9.7, days=0.6, seed=2), start_s=5, idle_s=60, configured=5),
    small(real("39", 1000, day=1.6, days=0.6, seed=2), start_s=300, idle_s=900, room=8),
    small(real("41", 1000, day=11.5, days=0.3, seed=2), start_s=150, idle_s=300, configured=0.2),
    small(drawn("hours", 1000, 45, seed=3), start_s=20, idle_s=900, room=8),
    small(drawn("hours", 1000, 250, seed=3), api=MINI, start_s=60, idle_s=600, configured=0.5),
    small(drawn("days", 1000, 50, seed=3), start_s=60, idle_s=600, configured=2),
    small(drawn("days", 1000, 40, seed=4), start_s=5, idle_s=60, room=8),
    small(drawn("quarters", 1000, 40, seed=3), start_s=150, idle_s=300),
    small(drawn("quarters", 1000, 270, seed=4), api=MINI, start_s=20, idle_s=60, room=8, configured=0.2),
    small(drawn("fives", 1000, 270, seed=3), api=MINI, start_s=5, idle_s=60, configured=2),
    small(drawn("fives", 1000, 640, seed=3), api=SMALLEST, start_s=20, idle_s=60, room=8),
)
"""Figures are published of these."""
