"""Does the permission to start more instances never make few turns beyond the room of one dearer?"""

import pytest

from benches.routing.extras.few_beyond import behind_product
from benches.routing.extras.instances import INSTANCES


@pytest.mark.slow
def test_two_turns_beyond_the_room_start_no_instance_that_they_do_not_pay_for() -> None:
    one, several = (behind_product(most, bursts=3) for most in (1, INSTANCES))
    assert several.lives == one.lives == 1
    assert several.bill_usd <= one.bill_usd
