"""What do few turns beyond the room of a GPU cost? `python -m benches.routing.extras.few_beyond`

Ten turns come at once each quarter of an hour to a GPU service with room for eight in each instance, whose idle period
is longer than that, beside an API. The service starts further instances itself, up to one and up to three.
"""

from collections.abc import Sequence
from copy import replace

from benches.routing.arrivals import TrafficRequest
from benches.routing.cells import Cell, drawn
from benches.routing.extras.instances import INSTANCES, ROOM
from benches.routing.measured_cells import small
from benches.routing.product import Outcome, VirtualProduct
from benches.tables import print_table
from tests.fakes.clocks import in_no_time

TURNS, BURSTS = ROOM + 2, 12
BETWEEN_S, APART_S = 900.0, 0.2
TIME_VALUE = 0.0002


def requests(bursts: int = BURSTS) -> Sequence[TrafficRequest]:
    times = (BETWEEN_S * burst + APART_S * turn for burst in range(bursts) for turn in range(TURNS))
    return [TrafficRequest(at=at, input_tokens=800, output_tokens=600) for at in times]


def cell(most: int) -> Cell:
    return replace(small(drawn("fives", 1, 1, seed=21), start_s=60.0, idle_s=1200.0, room=ROOM), instances=most)


def behind_product(most: int, *, bursts: int = BURSTS) -> Outcome:
    return in_no_time(VirtualProduct(cell=cell(most), requests=requests(bursts)).run())


def row(most: int) -> Sequence[str]:
    found = behind_product(most)
    waiting = TIME_VALUE * sum(found.waits_s)
    dollars = (f"{found.bill_usd:.3f}", f"{waiting:.3f}", f"{found.bill_usd + waiting:.3f}")
    return (str(most), *dollars, str(found.lives), str(found.misses), f"{found.wait_p99_s:.1f}")


def main() -> None:
    head = ("up to", "bill, $", "waiting, $", "together, $", "starts", "missed", "wait p99, s")
    print_table(head, [row(most) for most in (1, INSTANCES)])


if __name__ == "__main__":
    main()
