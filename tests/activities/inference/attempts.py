"""Which record of an attempt do the tests of its costs begin with?"""

from decimal import Decimal

from domain.money.attempt_charge import AttemptCharge
from domain.money.ledger_records import AttemptRecord


def attempt_record(*, prompt_tokens: int) -> AttemptRecord:
    """Return the record of a first attempt at a backend that is paid by the token."""
    return AttemptRecord(
        response="resp_a",
        subject="user:1",
        number=1,
        backend="main",
        price="tokens",
        started_at=0.0,
        charge=AttemptCharge(reserved=Decimal(1)),
        prompt_tokens=prompt_tokens,
    )
