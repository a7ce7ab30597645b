"""Does the GPU service bill seconds by Cloud Run's rules?"""

import pytest

from standins.cloud_run.instance_bill import InstanceBill, billed_seconds


@pytest.mark.parametrize(
    ("seconds", "paid"), [(0, 0), (0.001, 0.1), (0.1, 0.1), (0.30000000000000004, 0.3), (1.21, 1.3), (60, 60)]
)
def test_seconds_are_billed_in_steps_of_100_ms(seconds: float, paid: float) -> None:
    assert billed_seconds(seconds) == paid


def test_a_running_session_is_billed_up_to_now() -> None:
    bill = InstanceBill()
    session = bill.open(now=1000.0, speed=10)
    session.ready = 1000.5
    assert bill.to_json(now=1002.0)["billed_s"] == 20.0
    session.ended = 1003.0
    wire = bill.to_json(now=2000.0)
    assert wire["billed_s"] == 30.0
    assert wire["sessions"][0]["start_s"] == 5.0
