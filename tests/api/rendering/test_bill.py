"""How does a bill show sessions that are over, and on which machine they were?"""

from decimal import Decimal

import pytest

from api.rendering.bill import DIVIDED, UNUSED, dollars, machine_of, settled_session
from domain.money.attempt_charge import SessionShare
from domain.money.costing import BillLine
from domain.money.sessions.gpu_sessions import LINES

LINE: BillLine = LINES[0]


def share(amount: str, before: str, *, unused: bool = False, is_estimate: bool = False) -> SessionShare:
    return SessionShare(
        lines={LINE: Decimal(amount)}, final=True, before=Decimal(before), unused=unused, is_estimate=is_estimate
    )


def test_the_parts_of_one_session_are_summed_and_the_difference_has_its_sign() -> None:
    assert settled_session("gpu/1000", [share("0.1", "0.5"), share("0.2", "0.25")]) == {
        "backend": "gpu",
        "provisional_usd": "0.750000000",
        "final_usd": "0.300000000",
        "difference_usd": "-0.450000000",
        "reason": DIVIDED,
    }


def test_a_session_is_unused_where_no_part_of_it_answered_anything() -> None:
    idle, used = share("0.1", "0.1", unused=True), share("0.1", "0.1")
    assert settled_session("gpu/1", [idle, idle])["reason"] == UNUSED
    assert settled_session("gpu/1", [idle, used])["reason"] == DIVIDED


def test_one_inferred_part_makes_an_estimate() -> None:
    parts = [share("0.1", "0.1"), share("0.1", "0.1", is_estimate=True)]
    assert settled_session("gpu/1", parts)["is_estimate"] is True
    assert "is_estimate" not in settled_session("gpu/1", parts[:1])


@pytest.mark.parametrize(
    ("name", "machine"), [("gpu", {"backend": "gpu"}), ("gpu#2", {"backend": "gpu", "instance": 2})]
)
def test_the_first_instance_has_no_number(name: str, machine: dict[str, object]) -> None:
    assert machine_of(name) == machine


def test_dollars_have_nine_digits_whatever_their_exponent() -> None:
    assert [dollars(Decimal(text)) for text in ("0", "1E-7", "12.5")] == ["0.000000000", "0.000000100", "12.500000000"]
