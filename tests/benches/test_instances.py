"""Does the product leave a service of several instances as cheap and as quick as it is alone?"""

from benches.routing.cells import drawn
from benches.routing.extras.instances import behind_product, replace_instances, served_alone
from benches.routing.measured_cells import small
from benches.tables import percentile
from tests.fakes.clocks import in_no_time

READ_S = 0.5
"""The product sees that an answer has come by its stream, which is read at most so much later."""


def test_a_burst_is_served_as_by_the_service_alone() -> None:
    cell = replace_instances(small(drawn("fives", 120, 6000, seed=12), start_s=20, idle_s=60, room=8))
    requests = cell.arrivals.draw()
    dollars, waits, starts = in_no_time(served_alone(cell, requests))
    found = behind_product(cell, requests)
    assert (found.misses, found.lives) == (0, starts)
    assert starts > 1
    assert found.bill_usd <= 1.02 * dollars
    assert abs(found.ledger_usd / found.bill_usd - 1) < 0.02
    assert percentile(found.waits_s, 0.99) <= percentile(waits, 0.99) + READ_S
