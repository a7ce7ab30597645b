"""What does it save to know the KV memory of a GPU? `python -m benches.routing.extras.memory`

A GPU whose engine has room for tokens, and writes more slowly under load, beside an API. The fleet file allows it 64
requests at once. Without `limits.kv_tokens` this number is all that the product knows of its room.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from copy import replace
from itertools import product

from benches.routing.cells import GPU, MINI, Cell, drawn, real
from benches.routing.comparison import PROCESSES
from benches.routing.measured_cells import small
from benches.routing.product import Outcome, VirtualProduct
from benches.routing.services import PagedGpuService
from benches.tables import percentile, print_table
from tests.fakes.clocks import in_no_time

REQUESTS = 400
ROOM = 64
KV_TOKENS = 24_000
"""What a GPU of 24 GB leaves beside the weights of a 14B model, quantized, in a 16-bit cache: some 15 requests."""


def cells(requests: int = REQUESTS) -> Iterator[Cell]:
    """Yield cells whose bursts need more memory than there is; no policy was developed on their arrivals."""
    for arrivals in (
        drawn("fives", requests, 6000, seed=13),
        drawn("quarters", requests, 6000, seed=13),
        drawn("hours", requests, 4000, seed=13),
        real("16", requests, day=9.2, days=0.05, seed=13),
    ):
        yield replace(small(arrivals, api=MINI, start_s=20, idle_s=60, room=ROOM), kv_tokens=KV_TOKENS)


def measured(cell: Cell) -> tuple[Outcome, int]:
    """Return how a cell went, and how often its engine threw a request out."""
    run = VirtualProduct(cell=cell, requests=cell.arrivals.draw())
    outcome = in_no_time(run.run())
    gpu = run.gpus[GPU]
    return outcome, gpu.engine.preempted if isinstance(gpu, PagedGpuService) else 0


def row(case: tuple[Cell, bool]) -> Sequence[str]:
    cell, knows = case
    found, preempted = measured(replace(cell, knows_memory=knows))
    quantiles = [f"{percentile(found.waits_s, share):.1f}" for share in (0.5, 0.9, 0.99)]
    room = "memory" if knows else "number"
    return (cell.name, room, f"{found.bill_usd:.3f}", str(found.misses), str(preempted), *quantiles)


def main() -> None:
    with ProcessPoolExecutor(PROCESSES) as pool:
        rows = list(pool.map(row, product(cells(), (False, True))))
    head = ("KV memory of 24,000 tokens", "room by", "$", "misses", "thrown out", "wait p50, s", "p90", "p99")
    print_table(head, rows)


if __name__ == "__main__":
    main()
