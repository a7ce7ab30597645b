"""Do a row's causes always add up to its cost, however an attempt's record changes?"""

from copy import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.money.attempt_charge import AttemptCharge, SessionShare
from domain.money.costing import BillLine
from domain.money.ledger_records import AttemptRecord
from domain.money.usage import CAUSES, COST, ESTIMATED, UNDIVIDED, UsageRow, row_for_attempt, usage_changes

AMOUNTS = st.integers(0, 10**9).map(lambda nanos: Decimal(nanos) / 10**9)
SHARES = st.builds(
    SessionShare,
    lines=st.dictionaries(st.sampled_from([BillLine.GPU, BillLine.COLD, BillLine.TAIL]), AMOUNTS, min_size=1),
    final=st.booleans(),
    is_estimate=st.booleans(),
)
COVERED_BY = st.sampled_from([0, 2])
OPEN = AttemptCharge(reserved=Decimal("0.5"))


def in_sessions(cost: Decimal, shares: dict[str, SessionShare], covered_by: int) -> AttemptCharge:
    charge = OPEN.closed(cost, line=BillLine.GPU).with_shares(shares)
    return charge.covered(covered_by) if covered_by else charge


CHARGES = st.one_of(
    st.just(OPEN),
    AMOUNTS.map(lambda cost: OPEN.closed(cost, line=BillLine.TOKENS)),
    AMOUNTS.map(lambda cost: OPEN.closed(cost, line=BillLine.TOOLS)),
    st.just(OPEN.lost(line=BillLine.HELD, run=1)),
    st.builds(
        in_sessions,
        AMOUNTS,
        st.dictionaries(st.sampled_from(["one", "two"]), SHARES, min_size=1),
        COVERED_BY,
    ),
)
ATTEMPT = AttemptRecord(
    response="resp_1",
    subject="user:alice",
    number=1,
    backend="gpu",
    price="l4",
    started_at=1_800_000_000.0,
    charge=OPEN,
)


@given(st.lists(CHARGES, min_size=1, max_size=6))
def test_causes_add_up_to_the_cost(charges: list[AttemptCharge]) -> None:
    counts: dict[str, int] = {}
    before = None
    for charge in charges:
        after = replace(ATTEMPT, charge=charge)
        changes = usage_changes(before, after)
        assert len(changes) <= 10
        counts = {name: counts.get(name, 0) + changes.get(name, 0) for name in (*counts, *changes)}
        before = after
    row = UsageRow.from_document({**row_for_attempt(ATTEMPT).dimensions, **counts})
    assert sum(counts.get(name, 0) for name in CAUSES) == row.counts[COST]
    assert 0 <= row.counts.get(ESTIMATED, 0) <= row.counts[COST]
    assert row.causes[UNDIVIDED] == 0
    owed = charges[-1].cost
    assert row.counts[COST] == (0 if charges[-1].is_open or owed is None else int(owed * 10**9))


def test_the_cost_of_an_earlier_release_is_undivided() -> None:
    place = {"day": "2027-01-15", "owner": "user:alice", "conversation": "", "model": "m", "backend": "b"}
    row = UsageRow.from_document({**place, "cost": 5, "store": 1, "functions": 2})
    assert {name: amount for name, amount in row.causes.items() if amount} == {UNDIVIDED: 5, "store": 1, "functions": 2}
