"""What is a further GPU worth where an API takes the overflow? `python -m benches.routing.extras.overflow`

One GPU service with room for eight requests in each instance and one API are served by the product, which sets the
number of instances: up to one, and up to three. Beside it are the services alone: each request at the API, and each on
the GPU service that starts up to one, two or three instances as they come.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from copy import replace

from benches.routing.cells import Cell, drawn
from benches.routing.comparison import PROCESSES
from benches.routing.extras.instances import INSTANCES, ROOM, served_alone
from benches.routing.measured_cells import small
from benches.routing.product import Outcome, simulate
from benches.routing.services import token_dollars
from benches.tables import print_table
from tests.fakes.clocks import in_no_time

REQUESTS = 300


def cells(requests: int = REQUESTS) -> Iterator[Cell]:
    """Yield cells whose bursts exceed the room of one instance; no policy was developed on their arrivals."""
    seen = (
        (drawn("fives", requests, 9000, seed=21), 20.0, 60.0),
        (drawn("quarters", requests, 12_000, seed=21), 20.0, 300.0),
        (drawn("hours", requests, 12_000, seed=21), 60.0, 600.0),
        (drawn("fives", requests, 3000, seed=21), 20.0, 60.0),
    )
    for arrivals, start_s, idle_s in seen:
        yield small(arrivals, start_s=start_s, idle_s=idle_s, room=ROOM)


def behind_product(cell: Cell, *, most: int) -> Outcome:
    return simulate(replace(cell, counted=True, instances=most))


def alone(cell: Cell) -> Sequence[float]:
    """Return the dollars of the API, then those of the GPU service with up to one, two and three instances."""
    requests = cell.arrivals.draw()
    pools = [in_no_time(served_alone(cell, requests, most=most))[0] for most in range(1, INSTANCES + 1)]
    return [sum(token_dollars(cell.token_price, each) for each in requests), *pools]


def row(cell: Cell) -> Sequence[str]:
    services, one, three = alone(cell), behind_product(cell, most=1), behind_product(cell, most=INSTANCES)
    return (
        cell.name,
        *(f"{dollars:.3f}" for dollars in services),
        f"{one.bill_usd:.3f}",
        f"{three.bill_usd:.3f}",
        f"{three.bill_usd / one.bill_usd:.2f}",
        f"{three.bill_usd / min(services):.2f}",
        f"{three.ledger_usd / three.bill_usd - 1:+.2%}",
        f"{one.lives}, {three.lives} ({three.wasted})",
        str(three.misses),
        f"{one.wait_p99_s:.1f}, {three.wait_p99_s:.1f}",
    )


def main() -> None:
    with ProcessPoolExecutor(PROCESSES) as pool:
        rows = list(pool.map(row, cells()))
    services = ("API alone, $", "GPU alone, 1", "2", "3")
    product = ("product, 1", "3", "3 ÷ 1", "÷ best service alone", "ledger", "starts (unused)", "missed", "p99, s")
    print_table(("room 8, with an API", *services, *product), rows)


if __name__ == "__main__":
    main()
